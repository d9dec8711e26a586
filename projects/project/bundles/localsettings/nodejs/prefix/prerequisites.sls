{#- node.js in a directory of its own, by version: here it is the distribution's. -#}
{%- macro install(version='system', suf='') %}
{%- set _ = kwargs %}
nodejs-prefix-{{ version }}{{ suf }}:
  mc_proxy.hook:
    - require:
      - mc_proxy: nodejs-post-prefix-install
{% endmacro %}
include:
  - makina-states.localsettings.nodejs
