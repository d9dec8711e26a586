# sls: openssh,openssh.config,openssh.banner,openssh.auth,openssh.known_hosts
# prepare: ssh-keygen -A; systemctl reset-failed ssh; systemctl start ssh; id deploy || useradd -m deploy
# check: ss -ltn | grep -q ':2222 ' && sshd -T | grep -i '^permitrootlogin no' && grep -q lab@example.org ~deploy/.ssh/authorized_keys
openssh:
  banner_string: |
    lab machine
  auth:
    deploy-key:
      - user: deploy
        present: true
        enc: ssh-ed25519
        comment: lab@example.org
        name: AAAAC3NzaC1lZDI1NTE5AAAAIJ6vRk5TSYPfJq6S3qCAGRmFXn9RLW0J5mYzQhVDO2Xo
  sshd_enable: true
sshd_config:
  Port: 2222
  PermitRootLogin: 'no'
  Banner: /etc/ssh/banner
  HostKey:
    - /etc/ssh/ssh_host_ed25519_key
  UsePAM: 'yes'
