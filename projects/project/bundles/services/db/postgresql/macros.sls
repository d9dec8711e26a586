{#- `postgresql_db`, `postgresql_user`, `postgresql_group`, `install_pg_ext`, `install_pg_exts`. -#}
{%- set version = salt['mc_pgsql.settings']().version %}
{%- set databases = version ~ '-makina-postgresql-post-create-db' %}
{%- macro postgresql_group(group, db=None, privs=None, superuser=False, login=False, createdb=False, suf='') %}
{{ version }}-{{ group }}-makina-postgresql-group{{ suf }}:
  postgres_group.present:
    - name: {{ group | json }}
    - superuser: {{ superuser | json }}
    - login: {{ login | json }}
    - createdb: {{ createdb | json }}
    - require:
      - mc_proxy: {{ version }}-makina-postgresql-pre-create-group
    - require_in:
      - mc_proxy: {{ version }}-makina-postgresql-post-create-group
{% endmacro %}
{%- macro install_pg_ext(ext, db, version=None, owner=None, user=None, ext_ver=None, suf='', full=False) %}
{{ db }}-{{ ext }}-makina-postgresql-extension{{ suf }}:
  postgres_extension.present:
    - name: {{ ext | json }}
    - maintenance_db: {{ db | json }}
    - require:
      - mc_proxy: makina-postgresql-post-inst
      - mc_proxy: {{ databases }}
{% endmacro %}
{%- macro install_pg_exts(exts, db, version=None, owner=None, user=None, suf='', full=False) %}
{%- for ext in exts %}
{{ install_pg_ext(ext, db, suf=suf) }}
{%- endfor %}
{% endmacro %}
{%- macro postgresql_db(db, user='postgres', tablespace='pg_default', encoding='utf8', owner=None, template='template1',
                        wait_for_template=True, suf='') %}
{%- set geo = template == 'postgis' %}
{%- set owner = owner or db ~ '_owners' %}
{{ postgresql_group(owner, suf='-' ~ db) }}
{{ db }}-makina-postgresql-database{{ suf }}:
  postgres_database.present:
    - name: {{ db | json }}
    - encoding: {{ encoding | upper | json }}
    - owner: {{ owner | json }}
    - template: {{ ('template0' if geo or template == 'template1' else template) | json }}
    - require:
      - mc_proxy: {{ version }}-makina-postgresql-pre-create-db
      - mc_proxy: {{ version }}-makina-postgresql-post-create-group
    - require_in:
      - mc_proxy: {{ version }}-makina-postgresql-post-create-db
{%- if geo %}
{{ install_pg_ext('postgis', db) }}
{%- endif %}
{% endmacro %}
{%- macro postgresql_user(name, password=None, groups=None, db=None, createdb=False, createroles=False, superuser=False,
                          replication=False, inherit=True, login=True, encrypted=True, suf='') %}
{{ name }}-makina-postgresql-user{{ suf }}:
  postgres_user.present:
    - name: {{ name | json }}
    - password: {{ (password or salt['mc_utils.generate_local_password']('postgresql_user_' ~ name)) | json }}
    - createdb: {{ createdb | json }}
    - createroles: {{ createroles | json }}
    - superuser: {{ superuser | json }}
    - replication: {{ replication | json }}
    - inherit: {{ inherit | json }}
    - login: {{ login | json }}
    # What the server of today asks for when somebody connects; md5 would keep everybody out.
    - encrypted: {{ ('scram-sha-256' if encrypted is sameas true else encrypted) | json }}
{%- set groups = (groups or []) + ([db ~ '_owners'] if db else []) %}
{%- if groups %}
    - groups: {{ groups | join(',') }}
{%- endif %}
    - require:
      - mc_proxy: {{ version }}-makina-postgresql-pre-create-user
      - mc_proxy: {{ version }}-makina-postgresql-post-create-db
    - require_in:
      - mc_proxy: {{ version }}-makina-postgresql-post-create-user
{% endmacro %}
