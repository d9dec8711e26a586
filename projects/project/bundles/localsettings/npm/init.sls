# npm, as the distribution has it.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
npm-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

npm-package:
  pkg.installed:
    - pkgs:
      - npm
    - watch:
      - mc_proxy: npm-pre-install-hook
    - watch_in:
      - mc_proxy: npm-post-install-hook
