"""Measures what a deployment does with a large tree: the archive beside `rsync -Aa --delete`, with a cold and a warm
cache, and the way back while a site is served from the tree and asked all the time. On a file system that shares blocks
(btrfs or xfs) and on ext4, each in a file of its own. Needs root, rsync and the programs that make these file systems.

    python3 tests/bench/trees.py [--corpus target/release/corpus] [--files 50000] [--size 20] [ext4 btrfs xfs]"""
import argparse
import functools
import http.client
import http.server
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "btrfs": ["mkfs.btrfs", "-q", "-f"], "xfs": ["mkfs.xfs", "-q", "-f"]}


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{argv}: {done.returncode}\n{done.stdout}")
    return done.stdout


def timed(work):
    started = time.monotonic()
    work()
    return time.monotonic() - started


def cold():
    run("sync")
    with open("/proc/sys/vm/drop_caches", "w") as out:
        out.write("3")


class Place:
    """A private installation with one project, whose tree is large."""

    def __init__(self, corpus, root, files, size):
        self.corpus, self.root = corpus, root
        for folder in ("etc", "salt", "pillar", "cache"):
            os.makedirs(os.path.join(root, folder))
        with open(os.path.join(root, "etc/minion"), "w") as out:
            out.write(f"id: box\nprojects_dir: {root}/projects\nprojects_homes: {root}/homes\ncorpus_cachedir: {root}/cache\n"
                      f"file_roots: {{base: [{root}/salt]}}\npillar_roots: {{base: [{root}/pillar]}}\n")
        self.call("init_project", "no_user=True", "default_env=prod")
        self.tree = os.path.join(root, "projects/big/project")
        block = os.urandom(size * 1024)
        for number in range(files):
            folder = os.path.join(self.tree, "site", str(number // 500))
            if number % 500 == 0:
                os.makedirs(folder)
            with open(os.path.join(folder, str(number % 500)), "wb") as out:
                out.write(block[number % 997:] + block[:number % 997])
        run("sync")

    def call(self, fun, *words):
        return json.loads(run(self.corpus, "--local", "-c", self.root + "/etc", "--out=json", "mc_project." + fun, "big", *words))

    def archive(self, chill):
        """The whole call, with what is around the copy, until all of it is on the disk."""
        chill()
        spent = timed(lambda: (self.call("archive"), run("sync")))
        self.call("rotate_archives")
        return spent

    def rsync(self, chill):
        copy = os.path.join(self.root, "rsync")
        chill()
        spent = timed(lambda: (run("rsync", "-Aa", "--delete", self.tree + "/", copy + "/"), run("sync")))
        shutil.rmtree(copy)
        run("sync")
        return spent


class Load:
    """Asks a site that is served from the tree, from several sides at once, and counts what is not answered well."""

    def __init__(self, tree, sides=4):
        handler = functools.partial(Quiet, directory=os.path.join(tree, "site"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.stop, self.good, self.bad, self.slowest = False, 0, [], 0.0
        self.threads = [threading.Thread(target=self.server.serve_forever, daemon=True)]
        self.threads += [threading.Thread(target=self.ask, args=(side,)) for side in range(sides)]
        for thread in self.threads:
            thread.start()

    def ask(self, side):
        link, number = http.client.HTTPConnection(*self.server.server_address), side
        while not self.stop:
            number = (number + 7919) % 500
            try:
                started = time.monotonic()
                link.request("GET", f"/{side}/{number}")
                answer = link.getresponse()
                body = answer.read()
                self.slowest = max(self.slowest, time.monotonic() - started)
                if answer.status == 200 and len(body) == int(answer.headers["Content-Length"]):
                    self.good += 1
                else:
                    self.bad.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(repr(error))
                link = http.client.HTTPConnection(*self.server.server_address)

    def end(self):
        self.stop = True
        for thread in self.threads[1:]:
            thread.join()
        self.server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass


def measure(kind, args):
    folder = tempfile.mkdtemp(prefix="corpus-trees-")
    image = folder + ".img"
    try:
        run("truncate", "-s", f"{max(4, args.files * args.size // 150000)}G", image)
        run(*MAKE[kind], image)
        run("mount", "-o", "loop", image, folder)
        place = Place(os.path.abspath(args.corpus), os.path.join(folder, "place"), args.files, args.size)
        for name, chill in (("cold", cold), ("warm", lambda: None)):
            both = [(place.rsync(chill), place.archive(chill)) for _ in range(args.runs)]
            theirs, ours = (statistics.median(column) for column in zip(*both))
            print(f"{kind:6} archive, {name} cache: rsync {theirs:6.2f} s   corpus {ours:6.2f} s   {theirs / ours:4.1f} times as fast")
        load = Load(place.tree)
        time.sleep(1)
        spent = [timed(lambda: place.call("rollback")) for _ in range(20)]
        load.end()
        print(f"{kind:6} rollback: median {statistics.median(spent):.3f} s, worst {max(spent):.3f} s; meanwhile {load.good} requests "
              f"answered, {len(load.bad)} failed {load.bad[:3] or ''}, the slowest {load.slowest * 1000:.0f} ms", flush=True)
        return not load.bad
    finally:
        subprocess.run(["umount", "-l", folder])
        os.unlink(image)
        os.rmdir(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="target/release/corpus")
    parser.add_argument("--files", type=int, default=50000)
    parser.add_argument("--size", type=int, default=20, help="kilobytes a file")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("kinds", nargs="*", default=["ext4", "btrfs"])
    args = parser.parse_args()
    good = [measure(kind, args) for kind in args.kinds]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
