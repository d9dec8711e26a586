# check: ss -ltn | grep :64738
# always: mumble-restricted-perms
makina-projects.PROJECT:
  data:
    ui: false
