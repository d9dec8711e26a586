"""Salt's own compiler over the same fleet, in one process: pillar, top file, high data, low state.

usage: fleet_salt.py WORK MINIONS"""
import copy
import json
import logging
import os
import sys

import salt.config
import salt.state

from fleet_grains import grains

work, count = sys.argv[1], int(sys.argv[2])
logging.disable(logging.CRITICAL)
base = copy.deepcopy(salt.config.DEFAULT_MINION_OPTS)
base.update({
    "master": "salt", "file_client": "local", "local": True, "root_dir": work + "/saltroot",
    "cachedir": work + "/saltroot/cache", "conf_file": work + "/etc/minion", "pki_dir": work + "/saltroot/pki",
    "sock_dir": work + "/saltroot/sock", "extension_modules": work + "/saltroot/extmods",
    "file_roots": {"base": [work + "/salt"]}, "pillar_roots": {"base": [work + "/pillar"]}, "__role": "minion",
    "__cli": "salt-call", "saltenv": "base", "pillarenv": None, "log_level": "quiet", "fileserver_backend": ["roots"],
})
os.makedirs(base["cachedir"], exist_ok=True)
chunks = 0
for i in range(count):
    opts = dict(copy.deepcopy(base), id="m%d" % i, grains=grains(i))
    with salt.state.HighState(opts) as states:
        low = states.compile_low_chunks()
    if not all(isinstance(chunk, dict) for chunk in low):
        sys.exit("m%d: %s" % (i, low))
    chunks += len(low)
print(json.dumps({"chunks": chunks}))
