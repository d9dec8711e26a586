{#- `fpm_pool`: a pool of php-fpm for one site; `toggle_ext`: an extension on or off. What is given beyond the arguments
    named here is PHP's own setting where it is one that projects write. -#}
{%- macro fpm_pool(domain, doc_root='', pool_name='', user='', group='', socket='', listen='', cfg=None, project_root='',
                   max_children=10, memory_limit='256M', open_basedir='', session_save_path='', fpm_user='', fpm_group='',
                   socket_name='', include_path='', listen_mode='0660', modules=None, active=True) %}
{%- set id = pool_name or domain | replace('.', '_') %}
{%- set settings = salt['mc_php.settings']() %}
{%- set user = fpm_user or user or (cfg.user if cfg is mapping else settings.fpm_user) %}
{%- set group = fpm_group or group or (cfg.group if cfg is mapping else settings.fpm_group) %}
{%- set path = listen or socket or socket_name or id ~ '.sock' %}
{%- set path = path if path.startswith('/') or ':' in path else settings.fpm_sockets_dir ~ '/' ~ path %}
{%- set own = ['session_auto_start', 'allow_url_fopen', 'allow_url_include', 'upload_max_filesize', 'post_max_size',
               'max_input_vars', 'max_input_time', 'max_execution_time', 'display_errors', 'error_reporting',
               'short_open_tag', 'default_charset', 'file_uploads'] %}
{{ id }}-fpm-pool:
{%- if not active %}
  file.absent:
    - name: {{ settings.confdir }}/{{ settings.version }}/fpm/pool.d/{{ id }}.conf
{%- else %}
  file.managed:
    - name: {{ settings.confdir }}/{{ settings.version }}/fpm/pool.d/{{ id }}.conf
    - makedirs: true
    - mode: '0644'
    - contents: |
        ; Written by corpus.
        [{{ id }}]
        user = {{ user }}
        group = {{ group }}
        listen = {{ path }}
        listen.owner = {{ settings.fpm_user }}
        listen.group = {{ settings.fpm_group }}
        listen.mode = {{ listen_mode }}
        pm = ondemand
        pm.max_children = {{ max_children }}
        pm.process_idle_timeout = 30s
        pm.status_path = /fpmstatus
        ping.path = /ping
        chdir = /
        php_admin_value[memory_limit] = {{ memory_limit }}
{%- set basedirs = [open_basedir] if open_basedir is string else open_basedir %}
{%- if basedirs and basedirs != [''] %}
        php_admin_value[open_basedir] = {{ ([doc_root, '/tmp'] + basedirs) | unique | join(':') }}
{%- endif %}
{%- set includes = [include_path] if include_path is string else include_path %}
{%- if includes and includes != [''] %}
        php_value[include_path] = {{ (['.', '..'] + includes + ['/usr/share/php']) | unique | join(':') }}
{%- endif %}
{%- if session_save_path %}
        php_admin_value[session.save_path] = {{ session_save_path }}
{%- endif %}
{%- for key, value in kwargs.items() if key in own %}
        php_admin_value[{{ 'session.auto_start' if key == 'session_auto_start' else key }}] = {{ value }}
{%- endfor %}
{%- endif %}
    - watch:
      - mc_proxy: makina-php-pre-conf
    - watch_in:
      - mc_proxy: makina-php-post-conf
{%- endmacro %}
{%- macro toggle_ext(ext, active=True) %}
{{ ext }}-php-extension:
  cmd.run:
    - name: {{ 'phpenmod' if active else 'phpdismod' }} {{ ext }}
    - unless: test {{ '-n' if active else '-z' }} "$(phpquery -v "$(phpquery -V | tail -n 1)" -s fpm -m {{ ext }} 2>/dev/null | grep -i enabled)"
    - watch:
      - mc_proxy: makina-php-post-inst
    - watch_in:
      - mc_proxy: makina-php-post-conf
{%- endmacro %}
{%- macro minimal_index(doc_root, domain='no domain', mode='unknown mode') %}
{{ doc_root }}-minimal-index:
  file.managed:
    - name: {{ doc_root }}/index.php
    - replace: false
    - makedirs: true
    - contents: {{ ('<?php echo "' ~ domain ~ ' (' ~ mode ~ ')";') | json }}
{% endmacro %}
