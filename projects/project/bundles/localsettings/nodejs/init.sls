# node.js, as the distribution has it.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
nodejs-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

nodejs-package:
  pkg.installed:
    - pkgs:
      - nodejs
    - watch:
      - mc_proxy: nodejs-pre-install-hook
    - watch_in:
      - mc_proxy: nodejs-post-install-hook

# The name under which projects of the original know the hook.
nodejs-post-prefix-install:
  mc_proxy.hook:
    - require:
      - pkg: nodejs-package
