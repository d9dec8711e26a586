# Who may read and write what. Only what is wrong is listed, so a run without changes says so.
{% set cfg = opts['ms_project'] %}
{% set wrong = salt['mc_project.wrong_permissions'](cfg.name) %}
{{ cfg.name }}-fixperms:
{%- if wrong %}
  module.run:
    - name: mc_project.set_permissions
    - wanted: {{ wrong | json }}
{%- else %}
  test.nop:
    - name: owners and modes are right
{%- endif %}
{%- if cfg.data.get('fixperms_cron_periodicity') %}
{{ cfg.name }}-fixperms-cron:
  file.managed:
    - name: /etc/cron.d/{{ cfg.name.replace('.', '_') }}-fixperms
    - mode: '0644'
    - contents: |
        MAILTO=""
        {{ cfg.data.fixperms_cron_periodicity }} root corpus --local --out=quiet mc_project.fixperms {{ cfg.name }}
{%- elif not cfg.no_user %}
{{ cfg.name }}-fixperms-cron:
  file.absent:
    - name: /etc/cron.d/{{ cfg.name.replace('.', '_') }}-fixperms
{%- endif %}
