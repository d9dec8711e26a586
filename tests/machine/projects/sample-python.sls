# init: installer=python
# check: for i in 1 2 3 4 5 6 7 8 9; do curl -fsS http://127.0.0.1/ && break; sleep 0.3; done | grep 'python of /srv/projects/samplepython/project/venv'
# always: samplepython-release corpus-unit-samplepython-app-service
# Another commit is another release: its processes are replaced. Nothing is fetched from the internet.
makina-projects.PROJECT:
  data:
    server_requirement: ""
    command: "{venv}/bin/python {project_root}/app.py"
