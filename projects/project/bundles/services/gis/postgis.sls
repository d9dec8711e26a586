# PostgreSQL with PostGIS, as the distribution has it.
include:
  - makina-states.services.db.postgresql

postgis-package:
  pkg.installed:
    - pkgs:
      - postgis
      - postgresql-postgis
      - postgresql-postgis-scripts
    - watch:
      - mc_proxy: makina-postgresql-post-install-hook
    - watch_in:
      - mc_proxy: makina-postgresql-pre-conf-hook
