# sls: haproxy
# check: curl -fs http://localhost:8404/stats | grep -o 'Statistics Report' | head -1
haproxy:
  enabled: true
  overwrite: true
  global:
    user: haproxy
    group: haproxy
    daemon: true
    stats:
      /run/haproxy/admin.sock:
        mode: 660
        level: admin
    chroot:
      enable: true
      path: /var/lib/haproxy
  defaults:
    mode: http
    timeouts:
      - connect 5s
      - client 50s
      - server 50s
  listens:
    stats:
      bind:
        - "0.0.0.0:8404"
      mode: http
      stats:
        enable: true
        uri: "/stats"
        refresh: "20s"
