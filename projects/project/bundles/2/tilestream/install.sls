# tilestream: map tiles from MBTiles files in data/, as a node.js application behind nginx.
{% import "makina-states/services/http/nginx/init.sls" as nginx with context %}
{% import "makina-states/services/monitoring/circus/macros.jinja" as circus with context %}
{% set cfg = opts['ms_project'] %}
{% set data = cfg.data %}
include:
  - makina-states.services.http.nginx
  - makina-states.services.monitoring.circus
  - makina-states.localsettings.nodejs
  - makina-states.localsettings.npm

{{ cfg.name }}-tiles:
  file.directory:
    - names:
      - {{ data.tiles }}
      - {{ data.app }}
    - makedirs: true
{%- if not cfg.no_user %}
    - user: {{ cfg.user }}
    - group: {{ cfg.group }}
{%- endif %}

{{ cfg.name }}-tilestream:
  cmd.run:
    - name: {{ data.install }}
    - creates: {{ data.app }}/node_modules/{{ data.module }}/package.json
    - cwd: {{ data.app }}
{%- if not cfg.no_user %}
    - runas: {{ cfg.user }}
{%- endif %}
    - require:
      - pkg: npm-package
      - file: {{ cfg.name }}-tiles
    - watch_in:
      - mc_proxy: circus-post-conf

{{ circus.circusAddWatcher(cfg.name ~ '-tilestream', cmd=data.command, uid=('root' if cfg.no_user else cfg.user),
                           gid=('' if cfg.no_user else cfg.group), working_dir=data.app,
                           environment=data.environment) }}

{{ nginx.virtualhost(domain=data.domain, server_aliases=data.server_aliases, vhost_basename='corpus-' ~ cfg.name,
                     port=data.http_port, vh_content_source='salt://makina-states/projects/2/generic/proxy.conf',
                     upstream=data.listen, static_root='', cfg=cfg) }}
