# What circus did, units of the init system do: the macro `circusAddWatcher` writes one for each process.
include:
  - makina-states.services.monitoring.circus.hooks

circus-order:
  mc_proxy.hook:
    - require:
      - mc_proxy: circus-pre-conf
    - require_in:
      - mc_proxy: circus-post-conf
