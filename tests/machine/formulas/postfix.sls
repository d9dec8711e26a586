# sls: postfix,postfix.config
# check: postconf -h myhostname | grep lab.example && (exec 3<>/dev/tcp/127.0.0.1/25; head -1 <&3) | grep '220 lab.example'
postfix:
  manage_main_config: true
  manage_master_config: true
  aliases:
    use_file: true
    content: |
      root: lab
  config:
    myhostname: lab.example
    mydestination: localhost
    inet_interfaces: loopback-only
    smtpd_banner: $myhostname ESMTP
