# init: installer=docker-compose
# guest: lxc.cgroup.devices.allow = a
# check: for i in 1 2 3 4 5 6 7 8 9; do curl -fsS http://127.0.0.1/ && break; sleep 0.5; done | grep 'out of a container' && docker ps | grep sampledockercomp
makina-projects.PROJECT:
  data:
    environment: {GREETING: hello}
