include:
  - makina-states.projects.2.tilestream.install
