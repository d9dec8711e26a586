# Redis, as the distribution has it.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
redis-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

redis-package:
  pkg.installed:
    - pkgs:
      - redis-server
    - watch:
      - mc_proxy: redis-pre-install-hook
    - watch_in:
      - mc_proxy: redis-post-install-hook

redis-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: redis-post-install-hook
    - require_in:
      - mc_proxy: redis-pre-conf-hook

redis-service:
  service.running:
    - name: redis-server
    - enable: true
    - watch:
      - mc_proxy: redis-post-conf-hook
    - watch_in:
      - mc_proxy: redis-post-restart-hook
