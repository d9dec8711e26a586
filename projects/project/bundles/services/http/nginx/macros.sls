{#- `virtualhost`, by its other address. -#}
{%- import "makina-states/services/http/nginx/init.sls" as nginx with context %}
{%- set virtualhost = nginx.virtualhost %}
