# The points by which projects order themselves around MySQL.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
makina-mysql-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

# The names under which projects of the original know them.
{% for name, ours in [('mysql-pre-install-hook', 'pre-install'), ('mysql-post-install-hook', 'post-install'),
                      ('mysql-pre-conf-hook', 'pre-conf'), ('mysql-post-conf-hook', 'post-conf')] %}
{{ name }}:
  mc_proxy.hook:
    - require_in:
      - mc_proxy: makina-mysql-{{ ours }}-hook
{% endfor %}

# A server that runs, then databases, then who may use them.
mysql-db-create-hook:
  mc_proxy.hook:
    - require:
      - mc_proxy: makina-mysql-post-restart-hook

mysql-db-create-user-hook:
  mc_proxy.hook:
    - require:
      - mc_proxy: mysql-db-create-hook

mysql-db-grant-hook:
  mc_proxy.hook:
    - require:
      - mc_proxy: mysql-db-create-user-hook
