# A part of the original's nginx: here all of it is one.
include:
  - makina-states.services.http.nginx
