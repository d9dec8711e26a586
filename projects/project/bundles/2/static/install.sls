# A site of files: nginx serves `data.doc_root`.
{% import "makina-states/services/http/nginx/init.sls" as nginx with context %}
{% set cfg = opts['ms_project'] %}
{% set data = cfg.data %}
include:
  - makina-states.services.http.nginx

{{ nginx.virtualhost(domain=data.domain, doc_root=data.doc_root, server_aliases=data.server_aliases,
                     vhost_basename='corpus-' ~ cfg.name, port=data.http_port, cfg=cfg) }}
