# A Python application: a virtualenv in project/, gunicorn as a unit, nginx before it.
{% import "makina-states/services/http/nginx/init.sls" as nginx with context %}
{% import "makina-states/services/monitoring/circus/macros.jinja" as circus with context %}
{% set cfg = opts['ms_project'] %}
{% set data = cfg.data %}
include:
  - makina-states.services.http.nginx
  - makina-states.services.monitoring.circus

{{ cfg.name }}-packages:
  pkg.installed:
    - pkgs: {{ (['python3', 'python3-venv', 'python3-pip'] + data.packages) | json }}

{{ cfg.name }}-venv:
  cmd.run:
    - name: python3 -m venv {{ data.venv }}
    - creates: {{ data.venv }}/bin/python
    - cwd: {{ cfg.project_root }}
{%- if not cfg.no_user %}
    - runas: {{ cfg.user }}
{%- endif %}
    - require:
      - pkg: {{ cfg.name }}-packages

# What is installed follows the requirements: their digest is kept beside the virtualenv.
{{ cfg.name }}-requirements:
  cmd.run:
    - name: >-
        {{ data.venv }}/bin/python -m pip install --disable-pip-version-check -q -r {{ data.requirements }}
        {{ data.server_requirement }} && sha256sum {{ data.requirements }} > {{ data.venv }}/.requirements
    - unless: test ! -e {{ data.requirements }} || sha256sum --status -c {{ data.venv }}/.requirements
    - cwd: {{ cfg.project_root }}
{%- if not cfg.no_user %}
    - runas: {{ cfg.user }}
{%- endif %}
    - require:
      - cmd: {{ cfg.name }}-venv
    - watch_in:
      - mc_proxy: circus-post-conf

# The running processes have the old code: they are replaced when the release is another one.
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
