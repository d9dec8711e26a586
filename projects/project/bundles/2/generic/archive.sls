# The engine has copied project/ before this runs: content, modes, owners, ACLs. Put dumps beside the copy by
# writing states into the project's own .salt/archive.sls, or into .salt/pre_archive.sls to run before the copy.
{% set cfg = opts['ms_project'] %}
{{ cfg.name }}-archive:
  file.exists:
    - name: {{ cfg.current_archive_dir }}
