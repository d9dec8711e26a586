# What every machine gets: its people, and a message of the day made from pillar and grains.
{% for name, user in pillar.get('people', {}).items() %}
{{ name }}:
  group.present:
    - gid: {{ user.uid }}
  user.present:
    - uid: {{ user.uid }}
    - gid: {{ user.uid }}
    - fullname: {{ user.fullname }}
    - shell: /bin/sh
    - home: /home/{{ name }}
    - require:
      - group: {{ name }}
{% endfor %}

/etc/motd:
  file.managed:
    - source: salt://base/motd.jinja
    - template: jinja
    - mode: '0644'
