# sls: php.fpm,php.cli,php.curl
# check: php -r 'echo extension_loaded("curl") ? "curl " : exit(1); echo ini_get("memory_limit"), "\n";' && systemctl is-active php8.2-fpm && test -S /run/php/lab.sock
php:
  use_ppa: false
  use_external_repo: false
  version: '8.2'
  fpm:
    service:
      enabled: true
    config:
      ini:
        settings:
          PHP:
            memory_limit: 77M
    pools:
      lab.conf:
        enabled: true
        settings:
          lab:
            user: www-data
            group: www-data
            listen: /run/php/lab.sock
            pm: static
            pm.max_children: 2
  cli:
    ini:
      settings:
        PHP:
          memory_limit: 66M
