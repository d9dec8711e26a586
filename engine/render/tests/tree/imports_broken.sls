
{% import "lib/broken.jinja" as b %}
