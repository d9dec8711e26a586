"""1,000 minions and five pillar sources: corpus beside Salt's own `Pillar`, both in one process of their own.

Usage: python3 tests/bench/pillar.py [--minions N] [--salt PYTHON-WITH-SALT] [--profile dev|release]
Prints wall seconds and milliseconds a minion. corpus works on 25 minions at once, as `ssh_max_procs` has it; a Salt
master compiles with its workers (five by default), so its figure is one worker's, divided by five."""
import argparse
import os
import subprocess
import sys
import tempfile

SALT = r"""
import copy, os, sys, time
import salt.config, salt.pillar, salt.cache
root, minions = sys.argv[1], int(sys.argv[2])
opts = copy.deepcopy(salt.config.DEFAULT_MASTER_OPTS)
opts.update(dict(file_client="local", cachedir=root + "/.cache", pki_dir=root + "/.pki", id="master", root_dir=root,
    sock_dir=root, pillar_roots={"base": [root + "/pillar"]}, file_roots={"base": [root + "/salt"]}, __role="minion",
    extension_modules=root + "/ext", renderer="jinja|yaml", conf_file=root + "/master", log_level="quiet",
    nodegroups={"all": "*", "deb": "G@os:Debian", "none": "x*"}))
opts["ext_pillar"] = [{"stack": root + "/stack/stack.cfg"}, {"file_tree": {"root_dir": root + "/tree"}},
    {"nodegroups": {}}, {"cmd_json": "echo '{\"from_json\": \"%s\"}'"}, {"cmd_yaml": "echo 'from_yaml: %s'"}]
for state in ("minions", "minions_pre", "minions_rejected", "minions_denied"):
    os.makedirs(root + "/.pki/" + state, exist_ok=True)
cache = salt.cache.factory(opts)
for n in range(minions):
    open("%s/.pki/minions/m%d" % (root, n), "w").write("x")
    for bank, key in (("minions/m%d" % n, "data"), ("grains", "m%d" % n)):
        cache.store(bank, key, {"grains": {"os": "Debian"}, "pillar": {}} if key == "data" else {"os": "Debian"})
some = min(minions, 20)
began = time.monotonic()
for n in range(some):
    grains = {"os": "Debian", "id": "m%d" % n}
    pillar = salt.pillar.Pillar(copy.deepcopy(opts), grains, "m%d" % n, "base").compile_pillar()
    assert pillar["from_json"] == "m%d" % n and pillar["stack"]["s9"] == 10, pillar
took = (time.monotonic() - began) / some
print("salt\tone worker (%d compiled)\t%.2f\t%.2f" % (some, took * minions, took * 1000))
print("salt\tfive workers\t%.2f\t%.2f" % (took * minions / 5, took * 1000 / 5))
"""


def tree(root, minions):
    """The same files as pillar/core/tests/fleet.rs writes."""
    def put(name, text):
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(text)
    put("pillar/top.sls", "base:\n  '*': [common]\n")
    put("pillar/common.sls", "role: {{ 'web' if grains.os == 'Debian' else 'db' }}\nusers:\n" + "".join(
        "  u%d: {uid: %d, groups: [a, b]}\n" % (n, n) for n in range(50)))
    put("stack/stack.cfg", "common/*.yml\nroles/{{ pillar.role }}.yml\nminions/{{ minion_id }}.yml\n")
    for n in range(10):
        put("stack/common/%d.yml" % n, "stack: {s%d: {{ %d + 1 }}, l: [%d]}\n" % (n, n, n))
    put("stack/roles/web.yml", "stack: {web: true}\n")
    for n in range(minions):
        put("tree/hosts/m%d/motd" % n, "this is %d\n" % n)
        put("tree/hosts/m%d/app/port" % n, "80\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minions", type=int, default=1000)
    parser.add_argument("--salt", help="a Python that has Salt")
    parser.add_argument("--profile", default="release")
    args = parser.parse_args()
    test = ["cargo", "test", "-q", "-p", "corpus-pillar", "--profile", args.profile, "--test", "fleet"]
    env = dict(os.environ, BENCH_PILLAR=str(args.minions))
    out = subprocess.run(test + ["--", "--nocapture"], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [line for line in out.splitlines() if line.startswith("corpus\t")]
    if args.salt:
        with tempfile.TemporaryDirectory() as root:
            tree(root, args.minions)
            out = subprocess.run([args.salt, "-c", SALT, root, str(args.minions)], stdout=subprocess.PIPE, text=True).stdout
            rows += [line for line in out.splitlines() if line.startswith("salt\t")]
    print("| %d minions, 5 sources | | wall s | ms a minion |\n|---|---|--:|--:|" % args.minions)
    for row in rows:
        print("| %s |" % " | ".join(row.split("\t")))


if __name__ == "__main__":
    sys.exit(main())
