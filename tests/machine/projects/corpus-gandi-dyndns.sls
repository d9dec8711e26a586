# check: test -x /srv/projects/gandidyndns/data/dyndns && grep dyndns /etc/cron.d/gandidyndnsgandidyndns && python3 --version
