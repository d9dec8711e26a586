# A part of the original's Apache: here all of it is one.
include:
  - makina-states.services.http.apache
