{#- MySQL or MariaDB, as the distribution has it; the macros that make databases and users. -#}
{%- import "makina-states/services/db/mysql/macros.sls" as macros with context %}
{%- set mysql_db = macros.mysql_db %}
{%- set mysql_user = macros.mysql_user %}
include:
  - makina-states.services.db.mysql.hooks

makina-mysql-package:
  pkg.installed:
    - pkgs:
      - default-mysql-server
      - default-mysql-client
    - watch:
      - mc_proxy: makina-mysql-pre-install-hook
    - watch_in:
      - mc_proxy: makina-mysql-post-install-hook

makina-mysql-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: makina-mysql-post-install-hook
    - require_in:
      - mc_proxy: makina-mysql-pre-conf-hook

makina-mysql-service:
  service.running:
    - name: mariadb
    - enable: true
    - require:
      - mc_proxy: makina-mysql-post-install-hook
    - watch:
      - mc_proxy: makina-mysql-post-conf-hook
    - watch_in:
      - mc_proxy: makina-mysql-post-restart-hook
