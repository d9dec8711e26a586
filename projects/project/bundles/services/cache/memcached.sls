# Memcached, as the distribution has it.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
memcached-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

memcached-package:
  pkg.installed:
    - pkgs:
      - memcached
    - watch:
      - mc_proxy: memcached-pre-install-hook
    - watch_in:
      - mc_proxy: memcached-post-install-hook

memcached-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: memcached-post-install-hook
    - require_in:
      - mc_proxy: memcached-pre-conf-hook

memcached-service:
  service.running:
    - name: memcached
    - enable: true
    - watch:
      - mc_proxy: memcached-post-conf-hook
    - watch_in:
      - mc_proxy: memcached-post-restart-hook
