{#- `virtualhost`: a site of Apache; `minimal_index`: a page to begin with. -#}
{%- macro virtualhost(domain, doc_root='', server_aliases=None, vhost_basename=None, vh_top_source='', vh_content_source='',
                      vh_in_template_source='', vh_template_source='', active=True, port=80, log_level='warn', cfg=None,
                      project=None, serveradmin_mail='webmaster@localhost') %}
{%- set id = vhost_basename or domain %}
{%- set base = '/etc/apache2/sites-available/' ~ id %}
{%- set context = {'domain': domain, 'doc_root': doc_root, 'server_aliases': server_aliases or [], 'vhost_basename': id,
                   'log_level': log_level, 'port': port, 'cfg': cfg,
                   'project': project or (cfg.name if cfg is mapping else cfg)} %}
{%- do context.update(kwargs) %}
{%- set data = salt['mc_utils.json_dump'](context) %}
{%- set parts = [] %}
{%- for part, source in [('top', vh_top_source), ('content', vh_content_source or vh_in_template_source)] if source %}
{%- do parts.append(part) %}
{{ id }}-apache-{{ part }}:
  file.managed:
    - name: {{ base }}.{{ part }}.inc
    - source: {{ source }}
    - template: jinja
    - makedirs: true
    - mode: '0644'
    - context:
        data: {{ data | json }}
    - watch:
      - mc_proxy: makina-apache-vhostconf
    - watch_in:
      - mc_proxy: makina-apache-post-conf
{% endfor %}
{{ id }}-apache-vhost:
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
        Include {{ base }}.top.inc
{%- endif %}
        <VirtualHost *:{{ port }}>
            ServerName {{ domain }}
{%- if server_aliases %}
            ServerAlias {{ server_aliases | join(' ') }}
{%- endif %}
            ServerAdmin {{ serveradmin_mail }}
            LogLevel {{ log_level }}
            CustomLog ${APACHE_LOG_DIR}/{{ id }}-access.log combined
            ErrorLog ${APACHE_LOG_DIR}/{{ id }}-error.log
{%- if doc_root %}
            DocumentRoot {{ doc_root }}
            <Directory {{ doc_root }}>
                AllowOverride All
                Require all granted
            </Directory>
{%- endif %}
{%- if 'content' in parts %}
            Include {{ base }}.content.inc
{%- endif %}
        </VirtualHost>
{%- endif %}
    - watch:
      - mc_proxy: makina-apache-vhostconf
    - watch_in:
      - mc_proxy: makina-apache-post-conf
{{ id }}-apache-enabled:
{%- if active %}
  file.symlink:
    - name: /etc/apache2/sites-enabled/{{ id }}.conf
    - target: {{ base }}.conf
    - makedirs: true
{%- else %}
  file.absent:
    - name: /etc/apache2/sites-enabled/{{ id }}.conf
{%- endif %}
    - watch:
      - file: {{ id }}-apache-vhost
    - watch_in:
      - mc_proxy: makina-apache-post-conf
{%- endmacro %}
{%- macro minimal_index(doc_root, domain='no domain', mode='unknown mode') %}
{{ doc_root }}-minimal-index:
  file.managed:
    - name: {{ doc_root }}/index.html
    - replace: false
    - makedirs: true
    - contents: {{ ('<html><body>' ~ domain ~ ' (' ~ mode ~ ')</body></html>') | json }}
{% endmacro %}
