include:
  - makina-states.projects.2.static.install
