# init: installer=php
# check: curl -fsS http://127.0.0.1/ | grep 'php as samplephp-user in /srv/projects/samplephp/project/www'
