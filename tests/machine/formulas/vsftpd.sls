# sls: vsftpd
# check: for i in $(seq 20); do (exec 3<>/dev/tcp/127.0.0.1/21; head -1 <&3) 2>/dev/null | grep '^220' && exit 0; sleep 0.25; done; exit 1
vsftpd_config:
  listen: 'YES'
  anonymous_enable: 'NO'
  local_enable: 'YES'
  secure_chroot_dir: '/var/run/vsftpd/empty'
  pam_service_name: 'vsftpd'
