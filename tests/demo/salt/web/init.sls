# A small service: its files, its configuration from pillar, and a restart when that changes.
include:
  - base

{% from 'web/map.jinja' import web with context %}

{{ web.root }}:
  file.directory:
    - user: deploy
    - group: deploy
    - mode: '0755'
    - makedirs: True
    - require:
      - user: deploy

hello configuration:
  file.managed:
    - name: /etc/hello.conf
    - source: salt://web/files/hello.conf.jinja
    - template: jinja
    - context:
        web: {{ web | json }}

hello script:
  file.managed:
    - name: /etc/init.d/corpus-hello
    - source: salt://web/files/hello.init
    - mode: '0755'

corpus-hello:
  service.running:
    - require:
      - file: hello script
      - file: {{ web.root }}
    - watch:
      - file: hello configuration

greeting:
  cmd.run:
    - name: echo "hello from {{ grains['id'] }}" > {{ web.root }}/index.html
    - creates: {{ web.root }}/index.html
    - require:
      - file: {{ web.root }}
