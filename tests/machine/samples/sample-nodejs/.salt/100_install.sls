include:
  - makina-states.projects.2.nodejs.install
