{#- `rabbitmq_vhost`: a virtual host, with its user; `rabbitmq_user`: a user with his rights. -#}
{%- macro rabbitmq_user(user, password, perms=None, state_uid=None, tags=None) %}
{%- set id = state_uid or (user | replace('.', '_') | replace(' ', '_')) %}
makina-rabbitmq-user-{{ id }}-{{ user }}:
  rabbitmq_user.present:
    - name: {{ user | json }}
    - password: {{ (password or salt['mc_utils.generate_local_password']('rabbitmq_user_' ~ user)) | json }}
    - perms: {{ (perms or [{'/': ['.*', '.*', '.*']}]) | json }}
{%- if tags %}
    - tags: {{ tags | json }}
{%- endif %}
    - watch:
      - mc_proxy: rabbitmq-post-restart
      - mc_proxy: rabbitmq-db-create-hook
    - require_in:
      - mc_proxy: rabbitmq-db-create-user-hook
{% endmacro %}
{%- macro rabbitmq_vhost(db, user=None, password=None, user_creation=True, state_uid=None) %}
{%- set id = state_uid or (db | replace('.', '_') | replace(' ', '_')) %}
makina-rabbitmq-db-{{ id }}:
  rabbitmq_vhost.present:
    - name: {{ db | json }}
    - watch:
      - mc_proxy: rabbitmq-post-restart
    - require_in:
      - mc_proxy: rabbitmq-db-create-hook
{%- if user_creation %}
{{ rabbitmq_user(user or db, password, state_uid=id, perms=[{db: ['.*', '.*', '.*']}]) }}
{%- endif %}
{% endmacro %}
