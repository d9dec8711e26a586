# The map server of QGIS, as the distribution has it.
prereq-qgis:
  pkg.installed:
    - pkgs:
      - qgis-server
