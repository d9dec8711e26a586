# sls: rsyslog
# check: logger -t lab hello-lab; for i in $(seq 40); do grep -rq hello-lab /var/log && echo logged && exit 0; sleep 0.25; done; exit 1
rsyslog:
  imjournal: false
  imkllog: false
  listenudp: true
