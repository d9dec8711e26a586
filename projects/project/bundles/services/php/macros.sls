{#- `fpm_pool`: a pool of php-fpm for one site; `toggle_ext`: an extension on or off. -#}
{%- macro fpm_pool(domain, doc_root='', pool_name='', user='', group='', socket='', listen='', cfg=None, project_root='',
                   max_children=10, memory_limit='256M', open_basedir='', session_save_path='') %}
{%- set id = pool_name or domain %}
{%- set user = user or (cfg.user if cfg is mapping else 'www-data') %}
{%- set group = group or (cfg.group if cfg is mapping else 'www-data') %}
{%- set version = (salt['file.readdir']('/etc/php') | reject('in', ['.', '..']) | sort | last) if salt['file.directory_exists']('/etc/php') else '' %}
{%- set settings = salt['mc_php.settings']() %}
{{ id }}-fpm-pool:
  file.managed:
    - name: {{ settings.confdir }}/{{ version or salt['mc_utils.get']('makina-states.services.php.version', '8.4') }}/fpm/pool.d/{{ id }}.conf
    - makedirs: true
    - mode: '0644'
    - contents: |
        [{{ id }}]
        user = {{ user }}
        group = {{ group }}
        listen = {{ listen or socket or settings.fpm_sockets_dir ~ '/' ~ id ~ '.sock' }}
        listen.owner = {{ settings.fpm_user }}
        listen.group = {{ settings.fpm_group }}
        pm = ondemand
        pm.max_children = {{ max_children }}
        pm.process_idle_timeout = 30s
        chdir = {{ doc_root or '/' }}
        php_admin_value[memory_limit] = {{ memory_limit }}
{%- if open_basedir %}
        php_admin_value[open_basedir] = {{ open_basedir }}
{%- endif %}
{%- if session_save_path %}
        php_admin_value[session.save_path] = {{ session_save_path }}
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
