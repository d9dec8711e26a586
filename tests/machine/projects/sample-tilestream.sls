# init: installer=tilestream
# check: for i in 1 2 3 4 5 6 7 8 9; do curl -fsS http://127.0.0.1/v2/world/0/0/0.png && break; sleep 0.3; done | grep 'the whole world'
# tilestream itself is not in npm's registry any more; what stands in for it takes its options and reads its files.
makina-projects.PROJECT:
  data:
    install: "npm install --no-audit --no-fund --install-links {project_root}/stand-in"
