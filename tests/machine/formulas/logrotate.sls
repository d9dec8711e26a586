# sls: logrotate
# check: logrotate -d /etc/logrotate.d/lab 2>&1 | grep -i 'rotating pattern: /var/log/lab.log'
logrotate:
  jobs:
    lab:
      path:
        - /var/log/lab.log
      config:
        - missingok
        - weekly
        - rotate 4
