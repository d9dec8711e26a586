base:
  '*':
    - base
  'G@role:web':
    - match: compound
    - web
