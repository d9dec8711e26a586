# init: installer=nodejs
# check: for i in 1 2 3 4 5 6 7 8 9; do curl -fsS http://127.0.0.1/ && break; sleep 0.3; done | grep 'node in /srv/projects/samplenodejs/project'
# always: samplenodejs-release corpus-unit-samplenodejs-app-service
# Another commit is another release: its processes are replaced.
