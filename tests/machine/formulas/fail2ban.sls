# sls: fail2ban
# prepare: ssh-keygen -A; mkdir -p /var/log; touch /var/log/auth.log
# check: for i in $(seq 40); do fail2ban-client status sshd && exit 0; sleep 0.25; done; exit 1
fail2ban:
  jails:
    sshd:
      enabled: 'true'
      port: ssh
      filter: sshd
      backend: auto
      logpath: /var/log/auth.log
      maxretry: 4
