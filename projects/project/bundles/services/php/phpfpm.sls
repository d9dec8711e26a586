# php-fpm, reloaded when a pool changes.
include:
  - makina-states.services.php.hooks

{% set version = salt['mc_php.settings']().version %}
php-fpm-package:
  pkg.installed:
    - pkgs:
      - php-fpm
      - php-cli
    - watch:
      - mc_proxy: makina-php-pre-inst
    - watch_in:
      - mc_proxy: makina-php-post-inst

php-order-install:
  mc_proxy.hook:
    - require:
      - mc_proxy: makina-php-post-inst
    - require_in:
      - mc_proxy: makina-php-pre-conf

php-fpm-configtest:
  cmd.wait:
    - name: php-fpm{{ version }} -t
    - watch:
      - mc_proxy: makina-php-post-conf
    - require_in:
      - mc_proxy: makina-php-pre-restart

php-fpm-service:
  service.running:
    - name: php{{ version }}-fpm
    - enable: true
    - reload: true
    - require:
      - cmd: php-fpm-configtest
    - watch:
      - mc_proxy: makina-php-post-conf
      - mc_proxy: makina-php-pre-restart
    - watch_in:
      - mc_proxy: makina-php-post-restart
