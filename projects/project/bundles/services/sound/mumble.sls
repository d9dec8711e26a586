# The server of Mumble, as the distribution has it.
mumble-package:
  pkg.installed:
    - pkgs:
      - mumble-server

mumble-service:
  service.running:
    - name: mumble-server
    - enable: true
    - require:
      - pkg: mumble-package
