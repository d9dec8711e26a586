# sls: cron
# check: crontab -l | grep 'lab-task' && systemctl is-active cron
cron:
  enabled: true
  tasks:
    lab1:
      type: present
      name: echo lab-task
      user: root
      minute: 17
      hour: 4
      comment: lab
    lab2:
      type: absent
      name: echo gone
      user: root
  env:
    lab3:
      type: present
      name: MAILTO
      value: lab@example.org
      user: root
