{#- Apache with its hooks; the macro `virtualhost`. -#}
{%- import "makina-states/services/http/apache/macros.sls" as macros with context %}
{%- set virtualhost = macros.virtualhost %}
{%- set minimal_index = macros.minimal_index %}
include:
  - makina-states.services.http.apache.hooks

apache-package:
  pkg.installed:
    - pkgs:
      - apache2
    - watch:
      - mc_proxy: makina-apache-pre-inst
    - watch_in:
      - mc_proxy: makina-apache-post-inst

# The distribution's own site would answer for every name that is none of a project's.
apache-default-site:
  file.absent:
    - name: /etc/apache2/sites-enabled/000-default.conf
    - watch:
      - mc_proxy: makina-apache-post-inst
      - mc_proxy: makina-apache-pre-conf
    - watch_in:
      - mc_proxy: makina-apache-post-conf

apache-modules:
  mc_apache.include_module:
    - modules:
      - rewrite
      - headers
      - proxy
      - proxy_http
      - proxy_fcgi
    - watch:
      - mc_proxy: makina-apache-post-inst
      - mc_proxy: makina-apache-pre-conf
    - watch_in:
      - mc_proxy: makina-apache-post-conf

# What projects order their own modules before.
makina-apache-main-conf:
  mc_apache.include_module:
    - modules: []
    - watch_in:
      - mc_proxy: makina-apache-post-conf

apache-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: makina-apache-post-inst
    - require_in:
      - mc_proxy: makina-apache-pre-conf
      - mc_proxy: makina-apache-vhostconf

# A configuration that Apache does not read never reaches the running server.
apache-configtest:
  cmd.wait:
    - name: apache2ctl -t
    - watch:
      - mc_proxy: makina-apache-post-conf
    - require_in:
      - mc_proxy: makina-apache-pre-restart

apache-service:
  service.running:
    - name: apache2
    - enable: true
    - reload: true
    - require:
      - cmd: apache-configtest
    - watch:
      - mc_proxy: makina-apache-post-conf
      - mc_proxy: makina-apache-pre-restart
    - watch_in:
      - mc_proxy: makina-apache-post-restart
