"""Measures what a push costs on top of git (what a large tree costs: trees.py): the same commit pushed over the same sshd to a repository with an empty
hook, through corpus to a deployer that does nothing, and through corpus as it deploys a project of five SLS in which
nothing changes. Needs root, sshd and git; makes one throw-away host.

    python3 tests/bench/push.py [--corpus target/release/corpus] [--runs 20]"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.path.join(HERE, "..", "lab", "lab.sh")
ENV = dict(os.environ, LAB_DIR="/run/corpus-bench-push", LAB_NET="10.219", LAB_TAG="cbp")
ADDRESS = "10.219.1.1"

SETUP = r"""
set -e; umask 022
rm -rf /srv/projects /srv/salt /srv/pillar; mkdir -p /srv/salt /srv/pillar /srv/projects; chmod 751 /srv/projects
useradd -m -s /bin/sh bare-user; usermod -p '*' bare-user
mkdir -p /home/bare-user/.ssh; cp /etc/ssh/lab_authorized_keys /home/bare-user/.ssh/authorized_keys
git init -q --bare -b master /srv/bare.git; printf '#!/bin/sh\nexit 0\n' >/srv/bare.git/hooks/pre-receive
chmod 755 /srv/bare.git/hooks/pre-receive; chown -R bare-user: /srv/bare.git
useradd -m -s /bin/sh noop-user
git init -q --bare -b master /srv/projects/noop/git/project.git; chown -R noop-user: /srv/projects/noop/git
/usr/local/bin/corpus projects.install
for p in noop $PROJECTS; do
    [ $p = noop ] || /usr/local/bin/corpus --local mc_project.init_project $p >/dev/null
    /usr/local/bin/corpus projects.authorize $p bench $(cat /etc/ssh/lab_authorized_keys)
done
/usr/sbin/sshd -f /dev/null -p 2222 -h /etc/ssh/lab_host_key -o UsePAM=no -o PidFile=none -o PasswordAuthentication=no
"""


def run(argv, **more):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise SystemExit(f"{argv}: {done.returncode}\n{done.stdout}")
    return done.stdout


def inside(line):
    return run(["bash", LAB, "exec", "1", "bash", "-c", line], env=ENV)


def serve(deployer):
    """Starts the service with this deployer, after ending the one that was there."""
    root = os.path.join(ENV["LAB_DIR"], "h1/root")
    with open(os.path.join(root, "etc/corpus-push.json"), "w") as out:
        json.dump({"deployer": deployer} if deployer else {}, out)
    inside("[ ! -e /run/serve.pid ] || { kill $(cat /run/serve.pid); while [ -e /run/corpus/push.sock ]; do sleep 0.05; done; }; "
           "setsid /usr/local/bin/corpus projects.serve >/var/log/push.log 2>&1 </dev/null & echo $! >/run/serve.pid; "
           "for i in $(seq 200); do [ -S /run/corpus/push.sock ] && exit 0; sleep 0.05; done; cat /var/log/push.log; exit 1")


class Repository:
    """A checkout that pushes empty commits to one of the host's repositories."""

    def __init__(self, name, user, path, folder):
        self.name, self.work, self.times = name, os.path.join(folder, name.replace(" ", "-")), []
        known, key = os.path.join(ENV["LAB_DIR"], "known_hosts"), os.path.join(ENV["LAB_DIR"], "key")
        ssh = (f"ssh -F /dev/null -i {key} -p 2222 -oIdentitiesOnly=yes -oUserKnownHostsFile={known} "
               f"-oHostKeyAlias={ADDRESS} -oLogLevel=ERROR")
        self.env = dict(os.environ, GIT_SSH_COMMAND=ssh, HOME=folder, GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b",
                        GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
        self.url = f"ssh://{user}@{ADDRESS}:2222{path}"
        self.git("init", "-q", "-b", "master", self.work, cwd=folder)

    def git(self, *words, cwd=None):
        return run(["git", *words], cwd=cwd or self.work, env=self.env)

    def push(self):
        self.git("commit", "-q", "--allow-empty", "-m", "nothing")
        started = time.monotonic()
        said = self.git("push", self.url, "master")
        self.times.append(time.monotonic() - started)
        return said


def five_sls(work):
    for n in range(5):
        with open(os.path.join(work, ".salt", f"{n}00_part.sls"), "w") as out:
            for m in range(4):
                out.write(f"/srv/part-{n}-{m}:\n  file.managed:\n    - contents: 'part {n} {m}'\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="target/release/corpus")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--transport", action="store_true", help="leave out the project of five SLS")
    args = parser.parse_args()
    run(["bash", LAB, "up", "1"], env=ENV)
    folder = tempfile.mkdtemp(prefix="corpus-bench-")
    try:
        root = os.path.join(ENV["LAB_DIR"], "h1/root")
        run(["strip", "-g", "-o", os.path.join(root, "usr/local/bin/corpus"), args.corpus])
        inside(f"PROJECTS={'' if args.transport else 'five'}\n" + SETUP)
        bare = Repository("git alone", "bare-user", "/srv/bare.git", folder)
        noop = Repository("corpus, no deployment", "noop-user", "/srv/projects/noop/git/project.git", folder)
        rounds = [(bare, None), (noop, ["/bin/true"])]
        if not args.transport:
            five = Repository("corpus, five SLS", "five-user", "/srv/projects/five/git/project.git", folder)
            five.git("pull", "-q", five.url, "master")
            five_sls(five.work)
            five.git("add", "-A")
            rounds.append((five, None))
        for repository, deployer in rounds:
            if repository is not bare:
                serve(deployer)
            for _ in range(2):
                repository.push()
            repository.times.clear()
        # A slow minute must hit all of them: they take turns, a service for each.
        for turn in range(4):
            for repository, deployer in rounds:
                if repository is not bare:
                    serve(deployer)
                for _ in range(max(1, args.runs // 4)):
                    said = repository.push()
        floor = statistics.median(bare.times)
        print(f"{'median of ' + str(len(bare.times)) + ' pushes':34} {'ms':>8} {'over git':>9} {'best':>8}")
        for repository, _ in rounds:
            middle = statistics.median(repository.times)
            print(f"{repository.name:34} {middle * 1000:8.0f} {(middle - floor) * 1000:9.0f} {min(repository.times) * 1000:8.0f}")
        print(f"load {os.getloadavg()[0]:.1f}; the last push said: {said.strip().splitlines()[-3]}")
    finally:
        subprocess.run(["bash", LAB, "down"], env=ENV)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
