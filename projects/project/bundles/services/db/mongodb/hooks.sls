# The points by which projects order themselves around MongoDB.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
mongodb-{{ hook }}:
  mc_proxy.hook: []
mongodb-{{ hook }}-hook:
  mc_proxy.hook: []
makina-mongodb-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}
