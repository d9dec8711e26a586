# An application of containers: what the compose file in project/ says is what runs.
{% set cfg = opts['ms_project'] %}
{% set data = cfg.data %}
include:
  - makina-states.services.virt.docker

{{ cfg.name }}-environment:
  file.managed:
    - name: {{ data.env_file }}
    - mode: '0600'
    - show_changes: false
    - contents: |
{%- for key, value in data.environment.items() %}
        {{ key }}={{ value }}
{%- else %}
        # none
{%- endfor %}

# `up` recreates what differs and leaves the rest; nothing is done where everything runs as declared.
{% set compose = data.compose ~ ' --project-name ' ~ data.compose_project ~ ' --file ' ~ data.compose_file
                 ~ ' --env-file ' ~ data.env_file %}
{{ cfg.name }}-up:
  cmd.run:
    - name: >-
        {{ compose }} up --detach --remove-orphans {{ '--build' if data.build }}
        && ({{ data.digest }}) > {{ cfg.data_root }}/.compose
    - unless: >-
        test "$({{ data.digest }})" = "$(cat {{ cfg.data_root }}/.compose 2>/dev/null)" &&
        test "$({{ compose }} config --services | sort)" =
        "$({{ compose }} ps --services --filter status=running | sort)"
    - cwd: {{ cfg.project_root }}
    - require:
      - service: docker-service
      - file: {{ cfg.name }}-environment
