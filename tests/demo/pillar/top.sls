base:
  '*':
    - people
