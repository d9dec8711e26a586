{#- PostgreSQL, as the distribution has it; the macros that make databases and users. -#}
{%- import "makina-states/services/db/postgresql/macros.sls" as macros with context %}
{%- set postgresql_db = macros.postgresql_db %}
{%- set postgresql_user = macros.postgresql_user %}
{%- set postgresql_group = macros.postgresql_group %}
{%- set install_pg_ext = macros.install_pg_ext %}
{%- set install_pg_exts = macros.install_pg_exts %}
include:
  - makina-states.services.db.postgresql.hooks

makina-postgresql-package:
  pkg.installed:
    - pkgs:
      - postgresql
      - postgresql-client
    - watch:
      - mc_proxy: makina-postgresql-pre-install-hook
      - mc_proxy: makina-postgresql-pre-pkg
    - watch_in:
      - mc_proxy: makina-postgresql-post-install-hook

# The name under which projects of the original know the packages.
postgresql-pkgs:
  pkg.installed:
    - pkgs:
      - postgresql
    - require:
      - pkg: makina-postgresql-package

makina-postgresql-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: makina-postgresql-post-install-hook
    - require_in:
      - mc_proxy: makina-postgresql-post-pkg
      - mc_proxy: makina-postgresql-pre-conf-hook

makina-postgresql-service:
  service.running:
    - name: postgresql
    - enable: true
    - require:
      - mc_proxy: makina-postgresql-post-pkg
      - mc_proxy: makina-postgresql-presetup
    - watch:
      - mc_proxy: makina-postgresql-post-conf-hook
    - watch_in:
      - mc_proxy: makina-postgresql-post-restart-hook
    - require_in:
      - mc_proxy: makina-postgresql-post-base
      - mc_proxy: makina-postgresql-post-inst
