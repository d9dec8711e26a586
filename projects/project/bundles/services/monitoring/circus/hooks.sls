# The points by which projects order themselves around supervised processes.
{% for hook in ['circus-pre-install', 'circus-post-install', 'circus-pre-conf', 'circus-post-conf', 'circus-pre-restart',
                'circus-post-restart', 'circus-pre-hard-restart', 'circus-post-hard-restart'] %}
{{ hook }}:
  mc_proxy.hook: []
{% endfor %}
