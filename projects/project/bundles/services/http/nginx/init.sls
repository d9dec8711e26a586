{#- nginx with its hooks, and the macro `virtualhost`:
    import "makina-states/services/http/nginx/init.sls" as nginx -#}
{%- macro virtualhost(domain, doc_root='', server_aliases=None, vhost_basename=None, vh_top_source='',
                      vh_content_source='', vh_template_source='', loglevel='crit', active=True,
                      force_reload=False, force_restart=False, default_server=False, port=80,
                      ssl_cert='', ssl_key='', cfg=None, project=None) %}
{%- set id = vhost_basename or domain %}
{%- set context = {'domain': domain, 'doc_root': doc_root, 'server_aliases': server_aliases or [], 'vhost_basename': id,
                   'loglevel': loglevel, 'port': port, 'default_server': default_server, 'cfg': cfg,
                   'project': project or (cfg.name if cfg is mapping else cfg)} %}
{%- do context.update(kwargs) %}
{%- set owner = cfg if cfg is mapping else (salt['mc_project.get_configuration'](context.project) if context.project else {}) %}
{%- if owner.get('group') and not owner.get('no_user') %}
# What a project's group reads, its web server reads.
{{ id }}-nginx-member:
  user.present:
    - name: {{ salt['mc_nginx.settings']().user }}
    - groups:
      - {{ owner.group }}
    - remove_groups: false
    - watch:
      - mc_proxy: nginx-pre-conf-hook
    - watch_in:
      - mc_proxy: nginx-post-conf-hook
{%- endif %}
{%- set data = salt['mc_utils.json_dump'](context) %}
{%- set base = '/etc/nginx/sites-available/' ~ id %}
{%- set parts = [] %}
{%- for part, source in [('top', vh_top_source), ('content', vh_content_source)] if source %}
{%- do parts.append(part) %}
{{ id }}-nginx-{{ part }}:
  file.managed:
    - name: {{ base }}.{{ part }}.conf
    - source: {{ source }}
    - template: jinja
    - makedirs: true
    - mode: '0644'
    - context:
        data: {{ data | json }}
    - watch:
      - mc_proxy: nginx-pre-conf-hook
    - watch_in:
      - mc_proxy: nginx-post-conf-hook
{% endfor %}
{{ id }}-nginx-vhost:
  file.managed:
    - name: {{ base }}.conf
    - makedirs: true
    - mode: '0644'
{%- if vh_template_source %}
    - source: {{ vh_template_source }}
    - template: jinja
    - context:
        data: {{ data | json }}
{%- else %}
    - contents: |
        # Written by corpus.
{%- if 'top' in parts %}
        include {{ base }}.top.conf;
{%- endif %}
        server {
            listen {{ port }}{{ ' default_server' if default_server }};
            listen [::]:{{ port }}{{ ' default_server' if default_server }};
{%- if ssl_cert %}
            listen 443 ssl;
            listen [::]:443 ssl;
            ssl_certificate {{ ssl_cert }};
            ssl_certificate_key {{ ssl_key }};
{%- endif %}
            server_name {{ ([domain] + (server_aliases or [])) | join(' ') }};
            access_log /var/log/nginx/{{ id }}-access.log;
            error_log /var/log/nginx/{{ id }}-error.log {{ loglevel }};
            client_max_body_size 0;
{%- if doc_root %}
            root {{ doc_root }};
{%- endif %}
{%- if 'content' in parts %}
            include {{ base }}.content.conf;
{%- elif doc_root %}
            location / {
                try_files $uri $uri/ =404;
            }
{%- endif %}
        }
{%- endif %}
    - watch:
      - mc_proxy: nginx-pre-conf-hook
    - watch_in:
      - mc_proxy: nginx-post-conf-hook
{{ id }}-nginx-enabled:
{%- if active %}
  file.symlink:
    - name: /etc/nginx/sites-enabled/{{ id }}.conf
    - target: {{ base }}.conf
    - makedirs: true
{%- else %}
  file.absent:
    - name: /etc/nginx/sites-enabled/{{ id }}.conf
{%- endif %}
    - watch:
      - file: {{ id }}-nginx-vhost
    - watch_in:
      - mc_proxy: nginx-post-conf-hook
{%- endmacro %}
include:
  - makina-states.services.http.nginx.hooks

nginx-package:
  pkg.installed:
    - pkgs:
      - nginx
    - watch:
      - mc_proxy: nginx-pre-install-hook
    - watch_in:
      - mc_proxy: nginx-post-install-hook

# Variables that virtual hosts of projects use.
nginx-maps:
  file.managed:
    - name: /etc/nginx/conf.d/00-corpus-maps.conf
    - makedirs: true
    - mode: '0644'
    - contents: |
        map $http_x_forwarded_proto $forwarded_ssl_scheme { default $scheme; https https; }
        map $forwarded_ssl_scheme $fastcgi_ssl_toggle { default ""; https on; }
        map $http_x_forwarded_port $forwarded_server_port { default $server_port; "~^[0-9]+$" $http_x_forwarded_port; }
        geo $dont_show_fpm_status { default 1; 127.0.0.0/8 0; ::1 0; }
        server_names_hash_bucket_size 128;
    - watch:
      - mc_proxy: nginx-post-install-hook
      - mc_proxy: nginx-pre-conf-hook
    - watch_in:
      - mc_proxy: nginx-post-conf-hook

# The distribution's own site would answer for every name that is none of a project's.
nginx-default-site:
  file.absent:
    - name: /etc/nginx/sites-enabled/default
    - watch:
      - mc_proxy: nginx-post-install-hook
      - mc_proxy: nginx-pre-conf-hook
    - watch_in:
      - mc_proxy: nginx-post-conf-hook

# What virtual hosts of PHP applications include.
{% for part in ['fastcgi_fpm_drupal.conf', 'fastcgi_fpm_symfony.conf', 'php_fpm_status_vhost.conf', 'map_cache.conf'] %}
nginx-{{ part }}:
  file.managed:
    - name: /etc/nginx/{{ part }}
    - source: salt://makina-states/services/http/nginx/files/{{ 'fastcgi_fpm.conf' if part.startswith('fastcgi') else part }}
    - mode: '0644'
    - watch:
      - mc_proxy: nginx-post-install-hook
      - mc_proxy: nginx-pre-conf-hook
    - watch_in:
      - mc_proxy: nginx-post-conf-hook
{% endfor %}

nginx-order-install:
  mc_proxy.hook:
    - require:
      - mc_proxy: nginx-post-install-hook
    - require_in:
      - mc_proxy: nginx-pre-conf-hook

# A configuration that nginx does not read never reaches the running server.
nginx-configtest:
  cmd.wait:
    - name: nginx -t -q
    - watch:
      - mc_proxy: nginx-post-conf-hook
    - require_in:
      - mc_proxy: nginx-pre-restart-hook

nginx-service:
  service.running:
    - name: nginx
    - enable: true
    - reload: true
    - require:
      - cmd: nginx-configtest
    - watch:
      - mc_proxy: nginx-post-conf-hook
      - mc_proxy: nginx-pre-restart-hook
    - watch_in:
      - mc_proxy: nginx-post-restart-hook
