{#- `mysql_db`, `mysql_user`, `mysql_grant`. Who connects is who the machine's settings say: root, by the socket. -#}
{%- set server = salt['mc_mysql.settings']() %}
{%- macro connection(host=none) %}
    - connection_host: {{ (host or server.conn_host) | json }}
    - connection_user: {{ server.conn_user | json }}
    - connection_pass: {{ server.conn_pass | json }}
    - connection_charset: utf8mb4
{%- endmacro %}
{%- macro mysql_db(db, user=None, host=None, password=None, character_set=None, collate=None, user_creation=True,
                   mysql_host=None, state_uid=None) %}
makina-mysql-db-{{ state_uid or db }}:
  mysql_database.present:
    - name: {{ db | json }}
    - character_set: {{ (character_set or server.character_set) | json }}
    - collate: {{ (collate or server.collate) | json }}
{{- connection(mysql_host) }}
    - require:
      - mc_proxy: makina-mysql-post-restart-hook
    - require_in:
      - mc_proxy: mysql-db-create-hook
{%- if user_creation %}
{{ mysql_user(user or db, password or '', host=host, mysql_host=mysql_host, databases=[db], state_uid=state_uid or db) }}
{%- endif %}
{% endmacro %}
{%- macro mysql_user(user, password, host=None, grant='ALL', allow_passwordless=False, mysql_host=None, databases=None,
                     state_uid=None) %}
{%- for from in ([host] if host is string else (host or ['%'])) %}
{%- set id = (state_uid or user) ~ '-' ~ from %}
makina-mysql-user-{{ id }}:
  mysql_user.present:
    - name: {{ user | json }}
    - host: {{ from | json }}
    - password: {{ password | json }}
    - allow_passwordless: {{ allow_passwordless | json }}
{{- connection(mysql_host) }}
    - require:
      - mc_proxy: mysql-db-create-hook
    - require_in:
      - mc_proxy: mysql-db-create-user-hook
{#- Without databases it is one for all of them. #}
{%- for db in databases or ['*'] %}
makina-mysql-grants-{{ id }}-{{ db }}:
  mysql_grants.present:
    - name: {{ (user ~ ' on ' ~ db) | json }}
    - grant: {{ (grant if grant.upper() != 'ALL' else 'ALL PRIVILEGES') | json }}
    - database: {{ (db ~ '.*') | json }}
    - user: {{ user | json }}
    - host: {{ from | json }}
{{- connection(mysql_host) }}
    - require:
      - mc_proxy: mysql-db-create-user-hook
    - require_in:
      - mc_proxy: mysql-db-grant-hook
{% endfor %}
{%- endfor %}
{% endmacro %}
