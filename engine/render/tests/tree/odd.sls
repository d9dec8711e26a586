#!yaml|jinja
a: 1
