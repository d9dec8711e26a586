# sls: memcached,memcached.config
# check: (exec 3<>/dev/tcp/127.0.0.1/11299; echo version >&3; head -1 <&3) | grep VERSION
memcached:
  port: 11299
  memory: 32
  listen_address: 127.0.0.1
  user: memcache
