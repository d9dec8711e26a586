# The points by which projects order themselves around RabbitMQ.
{% for hook in ['rabbitmq-pre-install', 'rabbitmq-post-install', 'rabbitmq-pre-conf', 'rabbitmq-post-conf',
                'rabbitmq-pre-restart', 'rabbitmq-post-restart', 'rabbitmq-pre-hardrestart', 'rabbitmq-post-hardrestart',
                'rabbitmq-db-create-hook', 'rabbitmq-db-create-user-hook', 'rabbitmq-db-grant-hook'] %}
{{ hook }}:
  mc_proxy.hook: []
{% endfor %}
