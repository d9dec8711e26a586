#!/bin/sh
# Runs in the chroot of `guest.sh layer salt`: the real Salt, for recording what it answers. Not needed to check.
set -e
apt-get update -qq
apt-get install -y -qq --no-install-recommends gcc libc6-dev python3-dev >/dev/null
python3 -m venv /opt/salt
/opt/salt/bin/pip install -q --no-cache-dir salt==3008.3 pygit2
apt-get purge -y -qq --autoremove gcc libc6-dev python3-dev >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
ln -s /opt/salt/bin/salt-call /usr/local/bin/salt-call
/opt/salt/bin/salt-call --version
