{% from 'lib/macros.jinja' import user with context %}
{% set shell = '/bin/sh' %}

{{ user('bob') }}
