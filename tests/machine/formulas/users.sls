# sls: users
# check: id lab | grep wheelers && sudo -l -U lab | grep find && test "$(stat -c %a ~lab/.ssh/authorized_keys)" = 600 && getent passwd lab | grep 'Lab User'
groups:
  wheelers:
    state: present
    gid: 3100
    system: false
users:
  lab:
    fullname: Lab User
    password: $6$abc$vQHZ6NNiIq9KTvR9y8ovXNrXYQFVS9Hh8BvBzF4bq6pCCnhYkW1sKT1Y3uLqOGKXhYzPqZ5r0sN5o9YhdF3ye0
    uid: 3000
    home: /home/lab
    createhome: true
    shell: /bin/bash
    sudouser: true
    sudo_rules:
      - ALL=(root) /usr/bin/find
    groups:
      - wheelers
    ssh_auth:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6vRk5TSYPfJq6S3qCAGRmFXn9RLW0J5mYzQhVDO2Xo lab@example.org
  gone:
    absent: true
    purge: true
    force: true
absent_users:
  - games
