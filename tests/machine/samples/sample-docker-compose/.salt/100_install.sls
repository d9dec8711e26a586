include:
  - makina-states.projects.2.docker-compose.install
