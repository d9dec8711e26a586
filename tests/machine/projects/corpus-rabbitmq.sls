# check: curl -fsS -u probe:probe -H 'X-SSL: 1' http://127.0.0.1/ | grep -i '<title>'
# always: rabbitmq-restricted-perms rabbitmq-probe-htaccess rabbitmq-db1-htaccess rabbitmq-admin-htaccess nginx-service
# Its passwords are written each time (`force`), and nginx is told to reload each time.
makina-projects.PROJECT:
  data:
    users:
      - probe: {password: probe, tags: [management]}
