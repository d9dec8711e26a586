# The points by which projects order themselves around Ruby.
rvm-setup-pre:
  mc_proxy.hook: []
rvm-setup-post:
  mc_proxy.hook:
    - require:
      - mc_proxy: rvm-setup-pre
