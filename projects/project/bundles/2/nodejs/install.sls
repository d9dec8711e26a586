# A node.js application: npm in project/, a unit, nginx before it.
{% import "makina-states/services/http/nginx/init.sls" as nginx with context %}
{% import "makina-states/services/monitoring/circus/macros.jinja" as circus with context %}
{% set cfg = opts['ms_project'] %}
{% set data = cfg.data %}
include:
  - makina-states.services.http.nginx
  - makina-states.services.monitoring.circus
  - makina-states.localsettings.nodejs
  - makina-states.localsettings.npm

# What is installed follows the lock file: its digest is kept beside the modules.
{{ cfg.name }}-modules:
  cmd.run:
    - name: >-
        {{ data.install }} && mkdir -p node_modules && cat package.json package-lock.json 2>/dev/null | sha256sum
        > node_modules/.corpus-lock
    - unless: >-
        test ! -e package.json || test "$(cat package.json package-lock.json 2>/dev/null | sha256sum)"
        = "$(cat node_modules/.corpus-lock 2>/dev/null)"
    - cwd: {{ cfg.project_root }}
{%- if not cfg.no_user %}
    - runas: {{ cfg.user }}
{%- endif %}
    - require:
      - pkg: npm-package
    - watch_in:
      - mc_proxy: circus-post-conf

{{ cfg.name }}-release:
  file.managed:
    - name: {{ cfg.data_root }}/.release
    - contents: {{ salt['mc_project.serving'](cfg.name) }}
    - watch_in:
      - mc_proxy: circus-post-conf

{{ circus.circusAddWatcher(cfg.name ~ '-app', cmd=data.command, uid=('root' if cfg.no_user else cfg.user),
                           gid=('' if cfg.no_user else cfg.group), working_dir=cfg.project_root,
                           environment=data.environment) }}

{{ nginx.virtualhost(domain=data.domain, server_aliases=data.server_aliases, vhost_basename='corpus-' ~ cfg.name,
                     port=data.http_port, vh_content_source='salt://makina-states/projects/2/generic/proxy.conf',
                     upstream=data.listen, static_root=data.static_root, cfg=cfg) }}
