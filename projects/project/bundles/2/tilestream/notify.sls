# What the generic installer does.
include:
  - makina-states.projects.2.generic.notify
