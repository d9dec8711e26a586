# sls: postgres
# prepare: printf '%s\n' '#!/bin/sh' shift 'exec /srv/corpus --local "$@"' >/usr/local/bin/salt-call; chmod 755 /usr/local/bin/salt-call
# always: postgres-reload-modules
# check: su postgres -c 'psql -At -c "select datname from pg_database where datname=\$\$labdb\$\$" -c "select rolname from pg_roles where rolname=\$\$lab\$\$" -c "show max_connections"' | tr '\n' ' ' | grep 'labdb lab 42'
postgres:
  use_upstream_repo: false
  version: '15'
  postgresconf: |
    max_connections = 42
  acls:
    - ['local', 'all', 'postgres', 'peer']
    - ['local', 'labdb', 'lab', 'md5']
  users:
    lab:
      ensure: present
      password: secret
      createdb: false
  databases:
    labdb:
      owner: lab
      template: template0
      lc_ctype: C.UTF-8
      lc_collate: C.UTF-8
