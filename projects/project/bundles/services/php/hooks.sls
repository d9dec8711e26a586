# The points by which projects order themselves around PHP; recipes name those of Apache, too.
include:
  - makina-states.services.http.apache.hooks

{% for hook in ['makina-php-pre-inst', 'makina-php-post-inst', 'makina-php-pre-conf', 'makina-php-post-conf',
                'makina-php-pre-restart', 'makina-php-post-restart'] %}
{{ hook }}:
  mc_proxy.hook: []
{% endfor %}
