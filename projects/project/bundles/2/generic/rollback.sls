# The engine has put the previous release back before this runs, whole and in one moment. Reload dumps in the
# project's own .salt/rollback.sls.
{% set cfg = opts['ms_project'] %}
{{ cfg.name }}-rollback:
  test.show_notification:
    - text: {{ ('the previous release of ' ~ cfg.name ~ ' serves again; the failed tree is ' ~ cfg.current_archive_dir ~ '/project.failed') | json }}
