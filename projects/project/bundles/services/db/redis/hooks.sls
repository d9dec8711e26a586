# The points by which projects order themselves around Redis, by both their names.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
redis-{{ hook }}-hook:
  mc_proxy.hook:
    - watch:
      - mc_proxy: redis-{{ hook }}
redis-{{ hook }}:
  mc_proxy.hook: []
{% endfor %}
