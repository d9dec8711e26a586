# node.js, as the distribution has it.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
nodejs-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

nodejs-package:
  pkg.installed:
    - pkgs:
      - nodejs
    - watch:
      - mc_proxy: nodejs-pre-install-hook
    - watch_in:
      - mc_proxy: nodejs-post-install-hook

# The names under which projects of the original know the hooks.
{% for hook in ['nodejs-post-prefix-install', 'nodejs-post-install', 'nodejs-post-system-install'] %}
{{ hook }}:
  mc_proxy.hook:
    - require:
      - pkg: nodejs-package
{% endfor %}
{% for hook in ['nodejs-pre-prefix-install', 'nodejs-pre-install', 'nodejs-pre-system-install'] %}
{{ hook }}:
  mc_proxy.hook:
    - require_in:
      - pkg: nodejs-package
{% endfor %}
