{% from 'lib/macro.jinja' import user %}
