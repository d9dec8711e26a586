{#- The points by which projects order themselves around PostgreSQL; `orchestrate` names them. -#}
{%- set base = {'prebase': 'makina-postgresql-pre-base', 'prepkg': 'makina-postgresql-pre-pkg',
                'postpkg': 'makina-postgresql-post-pkg', 'presetup': 'makina-postgresql-presetup',
                'postbase': 'makina-postgresql-post-base', 'postinst': 'makina-postgresql-post-inst'} %}
{%- set orchestrate = {'base': base} %}
{%- set version = salt['mc_pgsql.settings']().version %}
{%- set own = {} %}
{%- for key, name in [('pregroup', 'pre-create-group'), ('postgroup', 'post-create-group'), ('predb', 'pre-create-db'),
                      ('postdb', 'post-create-db'), ('preuser', 'pre-create-user'), ('postuser', 'post-create-user'),
                      ('prefixowner', 'pre-fix-owner'), ('postfixowner', 'post-fix-owner')] %}
{%- do own.update({key: version ~ '-makina-postgresql-' ~ name}) %}
{%- endfor %}
{%- do orchestrate.update({version: own}) %}
{%- for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
makina-postgresql-{{ hook }}-hook:
  mc_proxy.hook: []
{%- endfor %}
{%- for name in base.values() %}
{{ name }}:
  mc_proxy.hook: []
{%- endfor %}
{%- for name in own.values() %}
{{ name }}:
  mc_proxy.hook:
    - require:
      - mc_proxy: {{ base.postinst }}
{%- endfor %}
