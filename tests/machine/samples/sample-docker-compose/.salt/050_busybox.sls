# The image is made of what the distribution has: nothing is pulled.
include:
  - makina-states.services.http.nginx
{% import "makina-states/services/http/nginx/init.sls" as nginx with context %}

busybox-static:
  pkg.installed

# Overlays do not lie on overlays, which is what a guest of the tests is on.
/etc/docker/daemon.json:
  file.managed:
    - makedirs: true
    - contents: '{"storage-driver": "vfs"}'

{{ cfg.project_root }}/busybox:
  file.copy:
    - source: /bin/busybox
    - require:
      - pkg: busybox-static

{{ nginx.virtualhost(domain=cfg.fqdn, server_aliases=[], vhost_basename='corpus-' ~ cfg.name, port=80,
                     vh_content_source='salt://makina-states/projects/2/generic/proxy.conf',
                     upstream='127.0.0.1:8080', static_root='', cfg=cfg) }}
