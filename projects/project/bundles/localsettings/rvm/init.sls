{#- Ruby under the names of rvm, which would fetch and compile one: here it is the distribution's, whatever version a
    recipe names. `rvm` runs a command with it, `install_ruby` brings it. -#}
{%- macro rvm_env() %}
    - env:
      - GEM_HOME: /var/lib/gems/corpus
{%- endmacro %}
{%- macro install_ruby(version, suf='') %}
rvm-{{ version }}{{ suf }}:
  test.show_notification:
    - text: {{ ('Ruby ' ~ version ~ ' is wanted; what serves is the ruby of the distribution') | json }}
    - require:
      - pkg: ruby-package
    - require_in:
      - mc_proxy: rvm-setup-post
{% endmacro %}
{%- macro rvm(cmd, state='rvm', version='', gemset='global', user='root', vt=True) %}
{{ state }}:
  cmd.run:
    - name: {{ cmd | json }}
{%- endmacro %}
include:
  - makina-states.localsettings.rvm.hooks

rvm:
  group.present:
    - system: true
    - require:
      - mc_proxy: rvm-setup-pre
    - require_in:
      - mc_proxy: rvm-setup-post

ruby-package:
  pkg.installed:
    - pkgs:
      - ruby-full
      - ruby-bundler
      - rake
    - require:
      - mc_proxy: rvm-setup-pre
    - require_in:
      - mc_proxy: rvm-setup-post
