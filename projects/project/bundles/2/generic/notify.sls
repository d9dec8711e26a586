# Tells how the deployment ended. Mail and webhook are sent by the engine where `notify_mail` and `notify_webhook` say.
{% set cfg = opts['ms_project'] %}
{{ cfg.name }}-notify:
  test.show_notification:
    - text: {{ (cfg.deploy_summary or 'deployment ' ~ cfg.chrono ~ ' of ' ~ cfg.name) | json }}
