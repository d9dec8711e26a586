"""The floor of W2 for an engine in Python: Jinja2 and libyaml over the same files, nothing else.

usage: floor_render.py SALT_ROOT SLS"""
import sys

import jinja2
import yaml

root, sls = sys.argv[1:3]
pillar = {"app": {"name": "corpus", "port": 8080, "users": [{"name": "u%d" % i, "uid": 3000 + i} for i in range(20)]}}


class Salt(dict):
    def __missing__(self, name):
        return lambda key, default=None: "corpus"


env = jinja2.Environment(loader=jinja2.FileSystemLoader(root), extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
env.globals.update(pillar=pillar, salt=Salt(), grains={})
count = 0
for part in range(20):
    data = yaml.load(env.get_template("%s/p%d.sls" % (sls, part)).render(), Loader=yaml.CSafeLoader)
    count += sum(1 for key in data if key != "include")
print(count)
