"""Runs cases inside a guest, by Salt or by corpus, and writes what they answered to /srv/out.json.

Used by machine.py alone: `inside.py salt|corpus` with the cases in /srv/cases.json.
"""
import json
import os
import subprocess
import sys

PHASES = [("test", {"test": True}), ("apply", {}), ("again", {})]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def shell(text):
    """The output of a script; what fails says so in it."""
    done = subprocess.run(["bash", "-c", text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8",
                                                         "DEBIAN_FRONTEND": "noninteractive"})
    return done.stdout.decode(errors="replace") + ("" if done.returncode == 0 else f"[exit {done.returncode}]\n")


def corpus(sls, pillar, more, _):
    call = ["/srv/corpus", "--local", "-c", "/etc/salt", "--out=json", "state.sls", sls, "pillar=" + json.dumps(pillar)]
    done = subprocess.run(call + [f"{k}={v}" for k, v in more.items()], capture_output=True, stdin=subprocess.DEVNULL)
    try:
        return next(iter(json.loads(done.stdout).values()))
    except (ValueError, StopIteration):
        return {"error": (done.stdout + done.stderr).decode(errors="replace")}


def salt():
    """A function that asks Salt as `salt-call` would: loaded once, forked for each call so that nothing is carried over."""
    import salt.client
    import salt.config

    caller = salt.client.Caller(mopts=salt.config.minion_config("/etc/salt/minion"))
    caller.cmd("grains.items")

    def ask(sls, pillar, more, anew):
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            # Salt refreshes modules and pillar in the course of a run: what it loads anew is the child's alone.
            try:
                here = salt.client.Caller(mopts=salt.config.minion_config("/etc/salt/minion")) if anew else caller
                answer = here.cmd("state.sls", sls, pillar=pillar, **more)
            except BaseException as error:  # whatever Salt dies of is its answer
                answer = {"error": f"{type(error).__name__}: {error}"}
            with os.fdopen(into, "w") as pipe:
                json.dump(answer, pipe, default=str)
            os._exit(0)
        os.close(into)
        with os.fdopen(out) as pipe:
            answer = json.load(pipe)
        os.waitpid(child, 0)
        return answer

    return ask


def main(engine):
    with open("/srv/cases.json") as source:
        cases = json.load(source)
    os.environ.update(PATH=PATH, HOME="/root", LANG="C.UTF-8")
    ask = salt() if engine == "salt" else corpus
    answers = {}
    for case in cases:
        for name, text in case["files"].items():
            os.makedirs(os.path.dirname(os.path.join("/srv/salt", name)) or "/", exist_ok=True)
            with open(os.path.join("/srv/salt", name), "w") as file:
                file.write(text)
        got = {"setup": shell(case["setup"])} if case["setup"] else {}
        if case["sls"]:
            for phase, more in PHASES:
                # Grains are loaded once by Salt, and by salt-call in each call.
                got[phase] = ask(case["slug"], case["pillar"], more, "grains." in case["sls"])
        if case["look"]:
            got["look"] = shell(case["look"])
        answers[case["title"]] = got
        print(case["title"], flush=True)
    with open("/srv/out.json", "w") as out:
        json.dump(answers, out)


main(sys.argv[1])
