include:
  - makina-states.projects.2.python.install
