# Backups of databases were a service of the machine's own: what a project dumps, it dumps in `.salt/post_archive.sls`.
{% for hook in ['db-smartbackup-pre-hooks', 'db-smartbackup-post-hooks', 'dbsmartbackup-pre-hook', 'dbsmartbackup-post-hook'] %}
{{ hook }}:
  mc_proxy.hook: []
{% endfor %}
