# The points by which projects order themselves around nginx.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart',
                'pre-hardrestart', 'post-hardrestart', 'pre-disable', 'post-disable'] %}
nginx-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}
