# check: curl -fsS http://127.0.0.1/ | grep -i 'it works'
# always: staticwww-restricted-perms
# The recipe gives its script another mode than the script gives itself.
