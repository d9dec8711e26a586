# check: curl -fsS http://127.0.0.1/README.md | head -c 100
# always: frontendapp-restricted-perms
# The sample builds with grunt from the internet, and leaves app_root to the pillar.
makina-projects.PROJECT:
  data:
    app_root: "{project_root}"
    dist_root: "{project_root}"
    do_grunt: false
    domain: "{fqdn}"
    rsync_dist_opts: "-aA --delete --exclude=.git --exclude=.salt"
