# The points by which projects order themselves around Apache.
{% for hook in ['makina-apache-pre-inst', 'makina-apache-post-inst', 'makina-apache-pre-conf', 'makina-apache-vhostconf',
                'makina-apache-post-conf', 'makina-apache-pre-restart', 'makina-apache-post-restart',
                'makina-apache-pre-reload', 'makina-apache-post-reload', 'makina-apache-php-pre-conf',
                'makina-apache-php-post-inst', 'makina-apache-php-pre-restart'] %}
{{ hook }}:
  mc_proxy.hook: []
{% endfor %}
