"""Compiling for many: 100 SLS that import one map, and the highstates of simulated minions with grains and pillar of their
own, in one process. Beside it, in the same run: Jinja2 and libyaml alone over the same files (the floor of an engine in
Python), and Salt's own compiler, if it can be installed.

usage: fleet.py --corpus PROGRAM --fleet PROGRAM [--dir DIR] [--salt PYTHON]
--fleet is the example of corpus-master: `cargo build --release -p corpus-master --example fleet`.
--salt is a Python that can import salt; without it Salt's row is left out."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SLS, PER_MINION = 100, 30


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(text)


def tree(work):
    """100 SLS over one map of three tables; a top file that gives each of ten roles thirty of them; pillar by grains."""
    for name in ("master", "minion"):
        put(f"{work}/etc/{name}", (
            f"root_dir: {work}/saltroot\nid: m0\nuser: root\nfile_client: local\nlog_level_logfile: quiet\n"
            f"file_roots: {{base: [{work}/salt]}}\npillar_roots: {{base: [{work}/pillar]}}\n"))
    put(f"{work}/salt/app/defaults.yaml", "app:\n" + "".join(
        f"  part{i}:\n    path: /etc/app/{i}.conf\n    port: {8000 + i}\n    users: [root, app{i}]\n" for i in range(SLS)))
    put(f"{work}/salt/app/osfamilymap.yaml", "".join(
        f"{family}:\n" + "".join(f"  part{i}: {{package: {family.lower()}-app{i}}}\n" for i in range(0, SLS, 2))
        for family in ("Debian", "RedHat", "Suse", "Arch", "FreeBSD")))
    put(f"{work}/salt/app/osmap.yaml", "".join(
        f"{name}:\n" + "".join(f"  part{i}: {{port: {9000 + i}}}\n" for i in range(0, SLS, 5))
        for name in ("Debian", "Ubuntu", "Rocky", "Fedora")))
    put(f"{work}/salt/app/map.jinja", """\
{%- import_yaml "app/defaults.yaml" as default_settings %}
{%- import_yaml "app/osfamilymap.yaml" as osfamilymap %}
{%- import_yaml "app/osmap.yaml" as osmap %}
{%- set defaults = salt['grains.filter_by'](default_settings, default='app',
    merge=salt['grains.filter_by'](osfamilymap, grain='os_family',
      merge=salt['grains.filter_by'](osmap, grain='os', merge=salt['config.get']('app:lookup', default={})))) %}
{%- set app = defaults %}
""")
    for i in range(SLS):
        put(f"{work}/salt/s{i}.sls", f"""\
{{%- from "app/map.jinja" import app with context %}}
{{%- set part = app.part{i} %}}
s{i}_pkg:
  pkg.installed:
    - name: {{{{ part.package | default('app{i}') }}}}
s{i}_conf:
  file.managed:
    - name: {{{{ part.path }}}}
    - mode: '0644'
    - contents: |
        port = {{{{ part.port }}}}
        host = {{{{ grains['fqdn'] }}}}
        owner = {{{{ salt['pillar.get']('owner', 'none') }}}}
    - require:
      - pkg: s{i}_pkg
{{%- for user in part.users %}}
s{i}_{{{{ user }}}}:
  user.present:
    - name: {{{{ user }}}}_{i}
    - require_in:
      - service: s{i}_run
{{%- endfor %}}
s{i}_run:
  service.running:
    - name: app{i}
    - watch:
      - file: s{i}_conf
""")
    put(f"{work}/salt/all.sls", "include:\n" + "".join(f"  - s{i}\n" for i in range(SLS)))
    put(f"{work}/salt/none.sls", "x:\n  test.nop\n")
    put(f"{work}/salt/top.sls", "base:\n" + "".join(
        f"  'roles:role{r}':\n    - match: grain\n" + "".join(f"    - s{(r * 7 + k) % SLS}\n" for k in range(PER_MINION))
        for r in range(10)))
    put(f"{work}/pillar/top.sls", "base:\n  '*':\n    - common\n" + "".join(
        f"  'roles:role{r}':\n    - match: grain\n    - role{r}\n" for r in range(10)))
    put(f"{work}/pillar/common.sls", "owner: {{ grains['fqdn'] }}\nusers:\n" + "".join(
        f"  u{i}: {{uid: {3000 + i}, home: /home/u{i}}}\n" for i in range(50)))
    for r in range(10):
        put(f"{work}/pillar/role{r}.sls", f"role: {r}\napp:\n  lookup:\n    part{r}: {{port: {{{{ 7000 + grains['num_cpus'] }}}}}}\n")


def run(argv):
    """Runs a command; returns its output, wall seconds, CPU seconds and peak MiB."""
    started = time.monotonic()
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit("%s: exit code %d\n%s" % (argv, child.returncode, (err + out).decode(errors="replace")[-2000:]))
    return out.decode(), time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def median(argv, runs):
    got = [run(argv)[1:] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*got)]


def one_map(args, work):
    print("### 100 SLS that import one map, one process each\n\n| | wall ms | CPU ms | peak MiB |\n|---|--:|--:|--:|")
    for name, sls in (("one state, no map", "none"), ("100 SLS", "all")):
        argv = [args.corpus, "-c", work + "/etc", "--local", "--out=quiet", "state.show_lowstate_sls", sls]
        run(argv)
        wall, cpu, peak = median(argv, args.runs)
        print("| %s | %.0f | %.0f | %.0f |" % (name, wall * 1000, cpu * 1000, peak), flush=True)


def fleet(args, work):
    print("\n### Highstates of simulated minions, one process, one thread\n")
    print("| | minions | chunks | wall s | CPU s | CPU ms a minion | peak MiB |\n|---|--:|--:|--:|--:|--:|--:|")
    rows = [("corpus", [args.fleet, work + "/etc"], n) for n in (10, 100, 500, 1000)]
    python = args.salt or sys.executable
    rows.insert(0, ("Jinja2 + libyaml alone", [python, HERE + "/fleet_floor.py", work], 20))
    if args.salt:
        rows.insert(1, ("Salt's compiler", [args.salt, HERE + "/fleet_salt.py", work], 20))
    for name, argv, n in rows:
        out, wall, cpu, peak = run(argv + [str(n)])
        found = json.loads(out.strip().splitlines()[-1])
        print("| %s | %d | %d | %.2f | %.2f | %.1f | %.0f |" % (
            name, n, found["chunks"], wall, cpu, cpu * 1000 / n, peak), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--corpus", default="target/release/corpus")
    ap.add_argument("--fleet", default="target/release/examples/fleet")
    ap.add_argument("--salt", help="a Python that can import salt")
    ap.add_argument("--dir", default="/var/tmp/corpus-bench-fleet")
    ap.add_argument("--runs", type=int, default=7)
    args = ap.parse_args()
    tree(args.dir)
    one_map(args, args.dir)
    fleet(args, args.dir)


if __name__ == "__main__":
    main()
