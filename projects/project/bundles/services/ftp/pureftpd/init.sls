# Pure-FTPd; its settings are files of /etc/pure-ftpd/conf.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
pureftpd-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

pureftpd-package:
  pkg.installed:
    - pkgs:
      - pure-ftpd
    - watch:
      - mc_proxy: pureftpd-pre-install-hook
    - watch_in:
      - mc_proxy: pureftpd-post-install-hook

pureftpd-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: pureftpd-post-install-hook
    - require_in:
      - mc_proxy: pureftpd-pre-conf-hook

pureftpd-service:
  service.running:
    - name: pure-ftpd
    - enable: true
    - watch:
      - mc_proxy: pureftpd-post-conf-hook
    - watch_in:
      - mc_proxy: pureftpd-post-restart-hook

# The name under which projects of the original know the hook.
ftpd-post-configuration-hook:
  mc_proxy.hook:
    - watch_in:
      - mc_proxy: pureftpd-post-conf-hook

/bin/ftponly:
  file.managed:
    - mode: '0755'
    - contents: |
        #!/bin/sh
        echo "This account takes files only."
        exit 1

pureftpd-shells:
  file.append:
    - name: /etc/shells
    - text: /bin/ftponly
