# MySQL or MariaDB, as the distribution has it.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
makina-mysql-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

makina-mysql-package:
  pkg.installed:
    - pkgs:
      - default-mysql-server
      - default-mysql-client
    - watch:
      - mc_proxy: makina-mysql-pre-install-hook
    - watch_in:
      - mc_proxy: makina-mysql-post-install-hook

makina-mysql-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: makina-mysql-post-install-hook
    - require_in:
      - mc_proxy: makina-mysql-pre-conf-hook

makina-mysql-service:
  service.running:
    - name: mysql
    - enable: true
    - watch:
      - mc_proxy: makina-mysql-post-conf-hook
    - watch_in:
      - mc_proxy: makina-mysql-post-restart-hook
