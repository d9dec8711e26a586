# check: curl -fsSL http://127.0.0.1/ | grep -i '<title>'
# always: odysseyjs-restricted-perms odysseyjs-docroot
# Its document root has one mode in the recipe and another in fixperms.
# What its Makefile builds comes from the internet, and lies in the repository, too.
makina-projects.PROJECT:
  data:
    build: false
