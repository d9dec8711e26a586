# The libraries of geography.
{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
ubuntugis-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

ubuntugis-package:
  pkg.installed:
    - pkgs:
      - gdal-bin
      - libgdal-dev
      - libgeos-dev
    - watch:
      - mc_proxy: ubuntugis-pre-install-hook
    - watch_in:
      - mc_proxy: ubuntugis-post-install-hook

# The name under which projects of the original know the packages.
ubuntugis-pkgs:
  pkg.installed:
    - pkgs:
      - gdal-bin
    - require:
      - pkg: ubuntugis-package
