# sls: nginx
# check: curl -fs http://localhost/lab.txt && curl -fsI http://localhost/ | grep -i '^server: nginx'
nginx:
  install_from_repo: false
  service:
    enable: true
  server:
    config:
      worker_processes: 2
      http:
        sendfile: 'on'
        include:
          - /etc/nginx/mime.types
          - /etc/nginx/conf.d/*.conf
          - /etc/nginx/sites-enabled/*
  servers:
    managed:
      default:
        deleted: true
        enabled: false
      lab.conf:
        enabled: true
        config:
          - server:
              - server_name: localhost
              - listen:
                  - '80 default_server'
              - location /:
                  - return: "200 'lab'"
