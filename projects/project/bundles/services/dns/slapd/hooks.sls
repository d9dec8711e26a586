# The points by which projects order themselves around slapd.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart'] %}
slapd-{{ hook }}-hook:
  mc_proxy.hook: []
slapd-{{ hook }}:
  mc_proxy.hook:
    - require_in:
      - mc_proxy: slapd-{{ hook }}-hook
{% endfor %}

slapd-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: slapd-post-install-hook
    - require_in:
      - mc_proxy: slapd-pre-conf-hook
