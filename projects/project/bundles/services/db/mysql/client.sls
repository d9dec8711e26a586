# What talks to MySQL.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
makina-mysql-client-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

makina-mysql-client-package:
  pkg.installed:
    - pkgs:
      - default-mysql-client
    - watch:
      - mc_proxy: makina-mysql-client-pre-install-hook
    - watch_in:
      - mc_proxy: makina-mysql-client-post-install-hook
