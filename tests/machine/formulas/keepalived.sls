# sls: keepalived
# check: for i in $(seq 40); do ip addr show eth0 | grep -o '10.96.9.9' && exit 0; sleep 0.25; done; exit 1
keepalived:
  config:
    vrrp_instance:
      VI_1:
        state: MASTER
        interface: eth0
        virtual_router_id: 51
        priority: 100
        advert_int: 1
        virtual_ipaddress:
          - 10.96.9.9/16
