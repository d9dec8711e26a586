# sls: unbound
# check: ss -lun | grep ':53 ' && unbound-checkconf && systemctl is-active unbound
unbound:
  lookup: {}
