"""Measures corpus beside its peers and the physical floor, in one run. Whole processes, their children included,
by the kernel's own accounting; rows of one workload are run in turn, so that a noisy minute hits all of them.

Prints a table per workload and writes all figures to results.json. Where there are control groups, the CPU seconds of
the hosts are counted, too: on a machine that does something else besides, that is the ratio to go by. Needs Python 3 and a C compiler; root for the
fleet. Peers are installed from PyPI into virtual environments; what cannot be installed is left out, and said so."""
import argparse
import concurrent.futures
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import workloads  # noqa: E402

# What is asked of PyPI, in order: a Python that is too old for the first gets what it can have.
PEERS = {
    "salt": ["salt==3008.3"],
    "ansible": ["ansible-core==2.21.5", "ansible-core"],
    "pyinfra": ["pyinfra==3.10.0", "pyinfra"],
}


def accounts():
    """Puts this process and all that it starts, the hosts included, into a control group; returns how to read the CPU
    seconds that the group has used, or nothing where there are no control groups to be had."""
    for folder, name, read in (
        ("/sys/fs/cgroup/cpuacct", "cpuacct.usage", lambda text: int(text) / 1e9),
        ("/sys/fs/cgroup", "cpu.stat", lambda text: int(text.split()[1]) / 1e6),
    ):
        group = folder + "/corpus-bench"
        try:
            os.makedirs(group, exist_ok=True)
            with open(group + "/cgroup.procs", "w") as out:
                out.write(str(os.getpid()))
            usage = lambda: read(open(os.path.join(group, name)).read())  # noqa: E731
            usage()
            return usage
        except (OSError, ValueError, IndexError):
            pass
    return None


def measure(argv, pre=None, cwd=None, env=None, timeout=900):
    """Runs a command; returns wall seconds, CPU seconds of its tree, CPU seconds of it and the hosts, peak MiB of its
    largest process, exit code."""
    if pre:
        pre()
    time.sleep(0.2)  # What was stopped before ends meanwhile, and is not counted.
    before = ALL() if ALL else 0
    started = time.monotonic()
    with open(os.path.join(ARGS.dir, "last.out"), "wb") as out:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env=env)
        killer = threading.Timer(timeout, child.kill)
        killer.start()
        _, status, usage = os.wait4(child.pid, 0)
        killer.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    time.sleep(0.05)  # The hosts' side of the connections ends after ours.
    return {
        "wall": wall,
        "all": ALL() - before if ALL else 0,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss / 1024,
        "code": child.returncode,
    }


class Table:
    """One workload: rows of commands, run in turn, against the first, which is the floor."""

    def __init__(self, title, note=""):
        self.title, self.note, self.rows = title, note, []

    def row(self, name, argv, pre=None, runs=None, ok=(0,), **more):
        self.rows.append({"name": name, "argv": argv, "pre": pre, "runs": runs or ARGS.runs, "ok": ok, "more": more, "got": []})

    def run(self):
        for row in self.rows:  # One that is not counted: caches fill, and mistakes show.
            first = measure(row["argv"], row["pre"], **row["more"])
            if first["code"] not in row["ok"]:
                row["failed"] = open(os.path.join(ARGS.dir, "last.out"), errors="replace").read()[-400:]
        for turn in range(max(row["runs"] for row in self.rows)):
            for row in self.rows:
                if turn < row["runs"] and "failed" not in row:
                    got = measure(row["argv"], row["pre"], **row["more"])
                    if got["code"] not in row["ok"]:
                        row["failed"] = "exit code %d" % got["code"]
                    row["got"].append(got)
        print("\n### %s\n" % self.title)
        if self.note:
            print(self.note + "\n")
        print("| | wall s (min–max) | CPU s | CPU s, hosts included | peak MiB | × first row: wall | CPU | CPU, hosts included |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|")
        base = None
        for row in self.rows:
            if "failed" in row or not row["got"]:
                print("| %s | failed: %s | | | | | | |" % (row["name"], row.get("failed", "").strip().replace("\n", " ")[-160:]))
                continue
            mid = {key: statistics.median(got[key] for got in row["got"]) for key in ("wall", "cpu", "all", "rss")}
            base = base or mid
            walls = [got["wall"] for got in row["got"]]
            print("| %s | %.3f (%.3f–%.3f) | %.3f | %.3f | %.0f | %.2f | %.2f | %.2f |" % (
                row["name"], mid["wall"], min(walls), max(walls), mid["cpu"], mid["all"], mid["rss"],
                mid["wall"] / base["wall"], mid["cpu"] / max(base["cpu"], 0.0005), mid["all"] / max(base["all"], 0.0005)))
            row["median"] = mid
        sys.stdout.flush()
        RESULTS.append({"title": self.title, "rows": [{k: r.get(k) for k in ("name", "median", "failed", "got")} for r in self.rows]})


def peer(name, program):
    """Returns a peer's program, installing it if need be; nothing if that is not asked for or not possible."""
    if name not in ARGS.peers:
        return None
    home = os.path.join(os.environ.get("BENCH_PEERS_DIR", os.path.join(ARGS.dir, "peers")), name)
    path = os.path.join(home, "bin", program)
    if not os.path.exists(path):
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        for wanted in PEERS[name]:
            print("installing %s ..." % wanted, file=sys.stderr)
            pip = [os.path.join(home, "bin", "pip"), "install", "-q", wanted]
            done = subprocess.run(pip, env=dict(os.environ, TMPDIR=home), capture_output=True, text=True)
            if done.returncode == 0:
                break
        else:
            print(done.stderr.strip()[-300:], file=sys.stderr)
    if os.path.exists(path) and name not in SHOWN:
        SHOWN.add(name)
        shown = subprocess.run([os.path.join(home, "bin", "pip"), "freeze"], capture_output=True, text=True).stdout
        print("(%s)" % next((line for line in shown.splitlines() if line.split("==")[0] in {w.split("==")[0] for w in PEERS[name]}), name))
    if not os.path.exists(path):
        print("(%s could not be installed; its rows are left out)" % name)
        return None
    return path


def corpus(*words):
    return [ARGS.corpus, "-c", WORK + "/etc"] + list(words)


def local(*words):
    return corpus("--local", *words)


def w1(size=1000):
    dest = ARGS.dir + "/w1"
    workloads.w1(WORK, dest, size)
    floor = ARGS.dir + "/floor"
    subprocess.run(["cc", "-O2", "-o", floor, HERE + "/floor.c"], check=True)
    wipe = lambda: shutil.rmtree(dest, ignore_errors=True)  # noqa: E731
    salt = peer("salt", "salt-call")
    for kind, pre in (("first run", wipe), ("no change", None)):
        table = Table("W1: %d templated files in a requisite chain, %s" % (size, kind), "Floor: a C program that %s the same files." % (
            "writes" if pre else "reads and compares"))
        table.row("floor", [floor, "create" if pre else "check", dest, str(size)], pre)
        table.row("corpus --local", local("state.apply", "w1_%d" % size, "--out=quiet"), pre)
        if salt:
            table.row("salt-call --local", [salt, "-c", WORK + "/etc", "--local", "state.apply", "w1_%d" % size], pre, runs=2)
        table.run()


def w2(total=10000):
    workloads.w2(WORK, total)
    salt = peer("salt", "salt-call")
    table = Table("W2: %d low chunks rendered and compiled" % total, "First row: Jinja2 and libyaml alone, over the same files.")
    python = os.path.join(os.path.dirname(salt), "python") if salt else sys.executable
    table.row("Jinja2 + libyaml", [python, HERE + "/floor_render.py", WORK + "/salt", "w2_%d" % total])
    table.row("corpus show_low_sls", local("--out=json", "state.show_low_sls", "w2_%d" % total))
    if salt:
        table.row("salt-call show_low_sls", [salt, "-c", WORK + "/etc", "--local", "--out=json", "state.show_low_sls", "w2_%d" % total], runs=2)
    table.run()


class Fleet:
    """Throw-away hosts on this machine."""

    def __init__(self, count):
        self.count, self.dir = count, "/run/corpus-bench"
        self.env = dict(os.environ, LAB_DIR=self.dir, LAB_NET="10.95", LAB_TAG="cbench", LAB_BASE=os.environ.get("LAB_BASE", "/"))

    def lab(self, *words):
        return subprocess.run(["bash", HERE + "/../lab/lab.sh"] + list(words), env=self.env, check=True, capture_output=True, text=True).stdout

    def __enter__(self):
        self.lab("up", str(self.count))
        shutil.copy(self.dir + "/roster", WORK + "/etc/roster")
        shutil.copy(self.dir + "/ssh_config", WORK + "/ssh_config")
        hosts = ["10.95.1.%d" % i for i in range(1, self.count + 1)]
        workloads.put(WORK + "/hosts", "\n".join(hosts) + "\n")
        workloads.put(WORK + "/ansible/hosts", "[lab]\n" + "\n".join(hosts) + "\n")
        workloads.put(WORK + "/pyinfra/inv.py", "lab = %r\n" % [(h, {"ssh_user": "root", "ssh_key": self.dir + "/key", "ssh_known_hosts_file": self.dir + "/known_hosts"}) for h in hosts])
        return self

    def __exit__(self, *_):
        self.lab("down")

    def reset(self):
        with concurrent.futures.ThreadPoolExecutor(self.count) as pool:
            list(pool.map(lambda i: self.lab("reset", str(i)), range(1, self.count + 1)))

    def ssh(self, command):
        """A command that does COMMAND on all hosts by plain OpenSSH at once; {} is the host."""
        return ["sh", "-c", "xargs -a %s/hosts -P 100 -I{} sh -c '%s'" % (WORK, command.replace("SSH", "ssh -F %s/ssh_config {}" % WORK))]


def w3(count=10):
    workloads.w3(WORK)
    with Fleet(count) as fleet:
        floor = fleet.ssh("exec SSH sh -s <%s/w3.sh" % WORK)
        salt, ansible, pyinfra = peer("salt", "salt-ssh"), peer("ansible", "ansible-playbook"), peer("pyinfra", "pyinfra")
        for kind, pre, runs in (("first run on bare hosts", fleet.reset, 3), ("no change", None, ARGS.runs)):
            table = Table("W3: %d hosts × 50 mixed states over SSH, %s" % (count, kind), "Floor: one idempotent shell script, sent to all hosts at once by plain OpenSSH. Controller's CPU only.")
            table.row("shell script over ssh", floor, pre, runs=runs)
            table.row("corpus '*' state.apply", corpus("*", "state.apply", "w3", "--out=quiet"), pre, runs=runs)
            if salt:
                table.row("salt-ssh", [salt, "-c", WORK + "/etc", "--roster-file", WORK + "/etc/roster", "-i", "*", "state.apply", "w3"], pre, runs=1)
            if pyinfra:
                table.row("pyinfra", [pyinfra, "-y", "inv.py", "w3.py"], pre, runs=1, cwd=WORK + "/pyinfra")
            if ansible:
                table.row("ansible", [ansible, "-i", "hosts", "w3.yml"], pre, runs=1, cwd=WORK + "/ansible", env=dict(os.environ, ANSIBLE_CONFIG=WORK + "/ansible/ansible.cfg"))
            table.run()


def w4(count=10):
    with Fleet(count) as fleet:
        salt = peer("salt", "salt-ssh")
        table = Table("W4: test.ping on %d hosts, cold connections" % count, "Floor: one OpenSSH client per host, at once.")
        table.row("ssh true", fleet.ssh("exec SSH true"))
        table.row("corpus '*' test.ping", corpus("*", "test.ping", "--out=quiet"))
        if salt:
            table.row("salt-ssh test.ping", [salt, "-c", WORK + "/etc", "--roster-file", WORK + "/etc/roster", "-i", "*", "test.ping"], runs=1)
        table.run()


def w5(count=5):
    workloads.w5(WORK)
    with Fleet(count) as fleet:
        for name, floor in (
            ("small", fleet.ssh("tar -C %s/salt/w5/small -cf - . | SSH \"mkdir -p /srv/small && tar -C /srv/small -xf -\"" % WORK)),
            ("big", fleet.ssh("scp -O -q -F %s/ssh_config %s/salt/w5/big.bin {}:/srv/big.bin" % (WORK, WORK))),
        ):
            wipe = lambda: [fleet.lab("exec", str(i), "rm", "-rf", "/srv/small", "/srv/big.bin", "/var/tmp/.corpus_root/cache/files") for i in range(1, count + 1)]  # noqa: E731
            table = Table("W5: %s to %d hosts" % ("1,000 small files" if name == "small" else "one file of 100 MB", count), "Floor: %s." % ("tar through ssh" if name == "small" else "scp"))
            table.row("floor", floor, wipe, runs=3)
            table.row("corpus, first", corpus("*", "state.apply", "w5_" + name, "--out=quiet"), wipe, runs=3)
            table.row("corpus, no change", corpus("*", "state.apply", "w5_" + name, "--out=quiet"), runs=3)
            table.run()


def minion():
    packed = subprocess.run(["gzip", "-9", "-c", ARGS.minion], capture_output=True, check=True).stdout
    print("\n### The minion\n\n%.2f MB, %.2f MB compressed (gzip -9)" % (os.path.getsize(ARGS.minion) / 1e6, len(packed) / 1e6))
    table = Table("Start and end of the minion", "First row: /bin/true.")
    table.row("/bin/true", ["/bin/true"], runs=20)
    table.row("corpus-minion --version", [ARGS.minion, "--version"], runs=20)
    table.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--minion", required=True)
    parser.add_argument("--dir", default=os.environ.get("BENCH_DIR", "/var/tmp/corpus-bench"))
    parser.add_argument("--only", default=os.environ.get("BENCH_ONLY", "w1 w2 w3 w4 w5 minion"))
    parser.add_argument("--peers", default=os.environ.get("BENCH_PEERS", "salt"))
    parser.add_argument("--runs", type=int, default=int(os.environ.get("BENCH_RUNS", "5")))
    ARGS = parser.parse_args()
    ARGS.corpus, ARGS.minion = os.path.abspath(ARGS.corpus), os.path.abspath(ARGS.minion)
    os.environ["CORPUS_MINION"] = ARGS.minion
    WORK, RESULTS, SHOWN, ALL = ARGS.dir + "/work", [], set(), accounts()
    os.makedirs(WORK, exist_ok=True)
    workloads.config(WORK, "10.95")
    print("%d cores, %s; load before: %.2f" % (os.cpu_count(), os.uname().release, os.getloadavg()[0]))
    for name in ARGS.only.split():
        if name in ("w3", "w4", "w5") and os.geteuid() != 0:
            print("\n(%s needs root for its hosts; left out)" % name)
            continue
        globals()[name]()
    with open(ARGS.dir + "/results.json", "w") as out:
        json.dump(RESULTS, out, indent=1)
