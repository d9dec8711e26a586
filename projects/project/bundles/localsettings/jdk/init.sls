# A Java development kit.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
jdk-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

jdk-package:
  pkg.installed:
    - pkgs:
      - default-jdk-headless
    - watch:
      - mc_proxy: jdk-pre-install-hook
    - watch_in:
      - mc_proxy: jdk-post-install-hook

# The names under which projects of the original know the hook.
{% for hook in ['makina-states-jdk_begin', 'makina-states-jdk_last'] %}
{{ hook }}:
  mc_proxy.hook:
    - require:
      - mc_proxy: jdk-{{ 'pre' if hook.endswith('begin') else 'post' }}-install-hook
{% endfor %}
