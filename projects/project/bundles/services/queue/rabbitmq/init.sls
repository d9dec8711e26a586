{#- RabbitMQ with its management pages, as the distribution has it; the macros `rabbitmq_vhost` and `rabbitmq_user`. -#}
{%- import "makina-states/services/queue/rabbitmq/macros.sls" as macros with context %}
{%- set rabbitmq_vhost = macros.rabbitmq_vhost %}
{%- set rabbitmq_user = macros.rabbitmq_user %}
{%- set settings = salt['mc_rabbitmq.settings']() %}
include:
  - makina-states.services.queue.rabbitmq.hooks

rabbitmq-package:
  pkg.installed:
    - pkgs:
      - rabbitmq-server
    - watch:
      - mc_proxy: rabbitmq-pre-install
    - watch_in:
      - mc_proxy: rabbitmq-post-install

rabbitmq-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: rabbitmq-post-install
    - require_in:
      - mc_proxy: rabbitmq-pre-conf

rabbitmq-management:
  rabbitmq_plugin.enabled:
    - name: rabbitmq_management
    - watch:
      - mc_proxy: rabbitmq-pre-conf
    - watch_in:
      - mc_proxy: rabbitmq-post-conf

rabbitmq-service:
  service.running:
    - name: rabbitmq-server
    - enable: true
    - watch:
      - mc_proxy: rabbitmq-post-conf
      - mc_proxy: rabbitmq-pre-restart
    - watch_in:
      - mc_proxy: rabbitmq-post-restart
{{ macros.rabbitmq_user(settings.rabbitmq.admin, settings.rabbitmq.password, tags=['administrator']) }}
