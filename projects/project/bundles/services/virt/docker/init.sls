# Docker with docker-compose, as the distribution has them.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
docker-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

docker-package:
  pkg.installed:
    - pkgs:
      - docker.io
      - docker-compose
    - watch:
      - mc_proxy: docker-pre-install-hook
    - watch_in:
      - mc_proxy: docker-post-install-hook

docker-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: docker-post-install-hook
    - require_in:
      - mc_proxy: docker-pre-conf-hook

docker-service:
  service.running:
    - name: docker
    - enable: true
    - watch:
      - mc_proxy: docker-post-conf-hook
    - watch_in:
      - mc_proxy: docker-post-restart-hook
