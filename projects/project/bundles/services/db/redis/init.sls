# Redis, as the distribution has it.
include:
  - makina-states.services.db.redis.hooks

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
