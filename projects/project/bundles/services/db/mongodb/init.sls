{#- MongoDB is in no Debian since its licence changed, and nothing here stands in for it: said before anything is done. -#}
{%- macro mongodb_db(db) %}
{%- set ignored = [varargs, kwargs] %}
{{ db }}-makina-mongodb-database:
  test.fail_without_changes:
    - comment: {{ ('the database ' ~ db ~ ' needs MongoDB, which Debian does not have') | json }}
{% endmacro %}
{%- macro mongodb_user(user) %}
{%- set ignored = [varargs, kwargs] %}
{{ user }}-makina-mongodb-user:
  test.fail_without_changes:
    - comment: {{ ('the user ' ~ user ~ ' needs MongoDB, which Debian does not have') | json }}
{% endmacro %}
include:
  - makina-states.services.db.mongodb.hooks

makina-mongodb-package:
  test.fail_without_changes:
    - comment: >-
        MongoDB is not in Debian: bring a bundle of your own, makina-states/services/db/mongodb/init.sls in the state tree, that
        installs it from where you take it
    - require:
      - mc_proxy: mongodb-pre-install-hook
    - require_in:
      - mc_proxy: mongodb-post-install-hook
