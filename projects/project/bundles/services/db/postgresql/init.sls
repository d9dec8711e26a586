# PostgreSQL, as the distribution has it.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
makina-postgresql-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

makina-postgresql-package:
  pkg.installed:
    - pkgs:
      - postgresql
      - postgresql-client
    - watch:
      - mc_proxy: makina-postgresql-pre-install-hook
    - watch_in:
      - mc_proxy: makina-postgresql-post-install-hook

makina-postgresql-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: makina-postgresql-post-install-hook
    - require_in:
      - mc_proxy: makina-postgresql-pre-conf-hook

makina-postgresql-service:
  service.running:
    - name: postgresql
    - enable: true
    - watch:
      - mc_proxy: makina-postgresql-post-conf-hook
    - watch_in:
      - mc_proxy: makina-postgresql-post-restart-hook
