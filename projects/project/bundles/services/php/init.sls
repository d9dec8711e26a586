{#- The macros of PHP, for `import "makina-states/services/php/init.sls" as php`. -#}
{%- import "makina-states/services/php/macros.sls" as macros with context %}
{%- set fpm_pool = macros.fpm_pool %}
{%- set toggle_ext = macros.toggle_ext %}
{%- set minimal_index = macros.minimal_index %}
include:
  - makina-states.services.php.phpfpm
