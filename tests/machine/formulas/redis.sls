# sls: redis.server
# check: redis-cli -p 6380 ping | grep PONG
redis:
  overcommit_memory: false
  install_from: package
  port: 6380
  bind: 127.0.0.1
  maxmemory: 64mb
