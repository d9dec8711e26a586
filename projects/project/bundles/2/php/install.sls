# A PHP application: a pool of php-fpm as the project's user, nginx before it, the document root in project/.
{% import "makina-states/services/http/nginx/init.sls" as nginx with context %}
{% import "makina-states/services/php/macros.sls" as php with context %}
{% set cfg = opts['ms_project'] %}
{% set data = cfg.data %}
include:
  - makina-states.services.php.phpfpm_with_nginx

{% if data.packages %}
{{ cfg.name }}-packages:
  pkg.installed:
    - pkgs: {{ data.packages | json }}
    - watch:
      - mc_proxy: makina-php-pre-inst
    - watch_in:
      - mc_proxy: makina-php-post-inst
{% endif %}

{{ php.fpm_pool(data.domain, doc_root=data.doc_root, pool_name='corpus-' ~ cfg.name, socket=data.socket,
                user=('www-data' if cfg.no_user else cfg.user), group=('www-data' if cfg.no_user else cfg.group),
                memory_limit=data.memory_limit, max_children=data.max_children) }}

{{ nginx.virtualhost(domain=data.domain, doc_root=data.doc_root, server_aliases=data.server_aliases,
                     vhost_basename='corpus-' ~ cfg.name, port=data.http_port,
                     vh_content_source='salt://makina-states/projects/2/php/nginx.conf',
                     socket=data.socket, index=data.index, cfg=cfg) }}
