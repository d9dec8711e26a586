include:
  - makina-states.projects.2.php.install
