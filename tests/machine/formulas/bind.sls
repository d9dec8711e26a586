# sls: bind,bind.config
# check: apt-get install -y -qq bind9-dnsutils >/dev/null 2>&1; dig +short @127.0.0.1 www.lab.example A | grep 192.0.2.7
bind:
  config:
    options:
      allow-recursion: '{ any; }'
  configured_zones:
    lab.example:
      type: master
      notify: false
  available_zones:
    lab.example:
      file: db.lab.example
      soa:
        ns: ns1.lab.example
        contact: admin.lab.example
        serial: 2026010101
        ttl: 600
      records:
        NS:
          '@':
            - ns1
        A:
          ns1: 192.0.2.1
          www: 192.0.2.7
