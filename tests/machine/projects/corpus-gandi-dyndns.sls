# check: test -x /srv/projects/gandidyndns/data/dyndns && grep dyndns /etc/cron.d/gandidyndnsgandidyndns
# always: cron
# Its script has one mode in the recipe and another in fixperms.
