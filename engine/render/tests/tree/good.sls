{% from 'lib/macros.jinja' import ok %}
{% for i in [1, 2] %}
state-{{ i }}:
  test.nop:
    - name: {{ sls }} {{ tpldir }} {{ slspath }}|{{ tplfile }}
{% endfor %}
{{ ok('made') }}
