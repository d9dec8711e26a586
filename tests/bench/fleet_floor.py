"""The floor of a fleet's compilation for an engine in Python: Jinja2 and libyaml over each minion's files, nothing else.

usage: fleet_floor.py WORK MINIONS"""
import json
import sys

import jinja2
import yaml

from fleet_grains import grains

work, count = sys.argv[1], int(sys.argv[2])
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def filter_by(table, grain="os_family", merge=None, default="default"):
    found = dict(table.get(GRAINS[grain], table.get(default)) or {})
    for key, value in (merge or {}).items():
        found[key] = dict(found.get(key) or {}, **value)
    return found


class Salt(dict):
    def __missing__(self, name):
        return filter_by if name == "grains.filter_by" else lambda key, default=None: default


def table(name):
    return yaml.load(env.get_template(name).render(), Loader=LOADER)


env = jinja2.Environment(loader=jinja2.FileSystemLoader(work + "/salt"), extensions=["jinja2.ext.do"])
source = open(work + "/salt/app/map.jinja").read()
# Without Salt's extension: `import_yaml "X" as y` is `set y = table("X")`.
for part in ("defaults", "osfamilymap", "osmap"):
    target = "default_settings" if part == "defaults" else part
    source = source.replace('import_yaml "app/%s.yaml" as %s' % (part, target), 'set %s = table("app/%s.yaml")' % (target, part))
env.loader = jinja2.ChoiceLoader([jinja2.DictLoader({"app/map.jinja": source}), env.loader])
chunks = 0
for i in range(count):
    GRAINS = grains(i)
    env.globals.update(salt=Salt(), grains=GRAINS, table=table, pillar={})
    for k in range(30):
        data = yaml.load(env.get_template("s%d.sls" % (((i % 10) * 7 + k) % 100)).render(), Loader=LOADER)
        chunks += len(data)
print(json.dumps({"chunks": chunks}))
