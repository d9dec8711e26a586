# What talks to PostgreSQL.
include:
  - makina-states.services.db.postgresql.hooks

{% for hook in ['pre-install', 'post-install', 'pre-conf', 'post-conf', 'pre-restart', 'post-restart', 'pre-hardrestart',
                'post-hardrestart'] %}
makina-postgresql-client-{{ hook }}-hook:
  mc_proxy.hook: []
{% endfor %}

makina-postgresql-client-package:
  pkg.installed:
    - pkgs:
      - postgresql-client
      - libpq-dev
    - watch:
      - mc_proxy: makina-postgresql-client-pre-install-hook
    - watch_in:
      - mc_proxy: makina-postgresql-client-post-install-hook
    - require_in:
      - mc_proxy: makina-postgresql-post-pkg

# The name under which projects of the original know the packages.
postgresql-pkgs-client:
  pkg.installed:
    - pkgs:
      - postgresql-client
    - require:
      - pkg: makina-postgresql-client-package
