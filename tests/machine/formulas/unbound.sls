# sls: unbound
# check: ss -lun | grep ':53 ' && unbound-checkconf && systemctl is-active unbound
unbound:
  config:
    server:
      interface: 127.0.0.1
