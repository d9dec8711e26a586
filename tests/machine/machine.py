#!/usr/bin/env python3
"""State functions on a real Debian guest with a running systemd, beside what real Salt answered there.

    machine.py record [CASES…]           ask Salt in a guest; writes recorded/CASES.json (needs PyPI)
    machine.py check CORPUS [CASES…]     ask this build in an equal guest, and compare (needs no Salt)
    machine.py show CASES                what Salt answered, to read

A file of cases, cases/NAME.md, is a family of functions: `## title`, then fenced blocks `setup` (shell), `sls`,
`pillar` (JSON), `file PATH` (of the state tree) and `look` (shell, its output is compared). Each case is run with
test=True, then for real, then again. Compared are result, changes, comment and name of each record, what `look` prints,
and every file of the guest that differs from a fresh one.

A difference on purpose is written below its case: `- differs: PHASE/ID[.FIELD]: reason`, and `- differs: look: reason`;
below the first heading it holds for files: `- differs: /path: reason`. One that no longer occurs is an error, too.
"""
import hashlib
import json
import os
import re
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
GUEST = os.path.join(HERE, "guest.sh")
FIELDS = ("result", "name", "comment", "changes")
# Files that tell of the moment or of the engine, not of the states.
VOLATILE = re.compile(
    r"^/(var/log|var/cache|var/tmp|tmp|run|dev|proc|sys|root/\.cache|root/\.config/pip|etc/salt|opt/salt|opt/corpus"
    r"|var/lib/(systemd|dbus|private|apt/(lists|periodic|extended_states)|dpkg/(lock|status|triggers|diversions|statoverride)|ucf|logrotate"
    r"|corpus|salt)|etc/(ld\.so\.cache|machine-id|mtab|\.pwd\.lock|resolv\.conf|ssh/ssh_host)|srv/(cases|out|inside|corpus)"
    r"|usr/local/bin/(corpus|salt-call)|srv/salt|var/run)(/|$|-old|\.|_)"
    r"|/__pycache__|/\.git/|/refs(/|$)|/(FETCH_HEAD|packed-refs)$"
    r"|-old$|^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|~$|\.dpkg-old$")


def guest(*words, **more):
    return subprocess.run([GUEST, *words], check=True, text=True, **more)


def inside(name, *words, **more):
    return subprocess.run([GUEST, "exec", name, *words], text=True, **more)


def read_cases(name):
    """The cases of a family, and the differences that it explains."""
    with open(os.path.join(HERE, "cases", name + ".md")) as file:
        lines = file.read().split("\n")
    head = {"title": "", "setup": "", "sls": "", "look": "", "pillar": {}, "files": {}, "differs": {}}
    cases, block, text = [dict(head, files={}, differs={})], None, []
    for number, line in enumerate(lines, 1):
        case = cases[-1]
        if block is None and line.startswith("## "):
            slug = name + "-" + re.sub(r"\W+", "-", line[3:]).strip("-")
            cases.append(dict(head, title=line[3:], slug=slug, files={}, differs={}))
        elif block is None and line.startswith("```") and len(line) > 3:
            block, text = line[3:].split(), []
        elif block is None and line.startswith("- differs: "):
            what, _, why = line[len("- differs: "):].rpartition(": ")
            if not what:
                sys.exit(f"{name}.md:{number}: write `- differs: WHAT: reason`")
            case["differs"][what] = why
        elif block is not None and line == "```":
            body = "\n".join(text) + "\n"
            if block[0] == "file":
                case["files"][block[1]] = body
            elif block[0] == "pillar":
                case["pillar"] = json.loads(body)
            elif block[0] in ("setup", "sls", "look"):
                case[block[0]] += body
            else:
                sys.exit(f"{name}.md:{number}: a block is setup, sls, pillar, look or file PATH, not {block[0]}")
            block = None
        elif block is not None:
            text.append(line)
    for case in cases[1:]:
        if case["sls"]:
            case["files"][case["slug"] + ".sls"] = case["sls"]
    cases[0].update(title="(setup)", slug=name)
    return cases


def snapshot(upper):
    """What a guest has that a fresh one has not: its overlay's upper directory."""
    found = {}
    for folder, folders, files in os.walk(upper):
        at = folder[len(upper):] or "/"
        folders[:] = [name for name in folders if not VOLATILE.search(os.path.join(at, name) + "/")]
        for name in files + folders:
            path, real = os.path.join(at, name), os.path.join(folder, name)
            if VOLATILE.search(path) or VOLATILE.search(path + "/"):
                continue
            info = os.lstat(real)
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                found[path] = "gone"
            elif stat.S_ISLNK(info.st_mode):
                found[path] = f"link {info.st_uid}:{info.st_gid} -> {os.readlink(real)}"
            elif stat.S_ISDIR(info.st_mode):
                found[path] = f"dir {info.st_uid}:{info.st_gid} {stat.S_IMODE(info.st_mode):o}"
            elif stat.S_ISREG(info.st_mode):
                with open(real, "rb") as file:
                    data = normal_file(path, file.read())
                text = data.decode() if len(data) < 3000 and data.isascii() and b"\0" not in data else None
                said = hashlib.sha256(data).hexdigest() if text is None else repr(text)
                found[path] = f"file {info.st_uid}:{info.st_gid} {stat.S_IMODE(info.st_mode):o} {said}"
    return found


def normal_file(path, data):
    if path.startswith("/var/spool/cron/"):
        data = re.sub(rb"(?m)^# \(.* installed on .*\)$", b"# (installed)", data)
    if path == "/etc/shadow":
        # The day of the last change, and the salt of what was hashed anew.
        data = re.sub(rb"(?m)^([^:]*:[^:]*):\d+:", rb"\1:DAY:", data)
        data = re.sub(rb"(?m)^(lab-pw:\$.\$)[^:]*", rb"\1HASH", data)
    return data


def run(engine, program, name, layer):
    """Runs a family in a fresh guest; answers what each case said, and the files."""
    cases = read_cases(name)
    here = "m-" + engine
    guest("up", here, *([layer] if layer else []))
    root = guest("root", here, capture_output=True).stdout.strip()
    for folder in ("srv/salt", "srv/pillar", "etc/salt"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    with open(os.path.join(root, "etc/salt/minion"), "w") as file:
        file.write("id: guest\nfile_client: local\n")
    with open(os.path.join(root, "srv/cases.json"), "w") as file:
        json.dump(cases, file)
    guest("put", here, os.path.join(HERE, "inside.py"), "/srv/inside.py")
    if program:
        guest("put", here, program, "/srv/corpus")
    python = "/opt/salt/bin/python" if engine == "salt" else "/usr/bin/python3"
    done = inside(here, python, "/srv/inside.py", engine, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{name}: the runner failed in the guest:\n{done.stdout}{done.stderr}")
    with open(os.path.join(root, "srv/out.json")) as file:
        answers = json.load(file)
    files = snapshot(os.path.join(os.path.dirname(root), "upper"))
    if not os.environ.get("KEEP"):
        guest("down", here)
    return {"cases": {title: normal_case(got) for title, got in answers.items()}, "files": files}


def normal_case(got):
    """What is compared of one case: the records' fields, without what tells of the moment."""
    done = {}
    for phase, answer in got.items():
        if isinstance(answer, dict) and "error" not in answer:
            ordered = sorted(answer.items(), key=lambda item: item[1].get("__run_num__", 0))
            done[phase] = {key: {field: normal(record.get(field)) for field in FIELDS} for key, record in ordered}
        else:
            done[phase] = normal(answer)
    return done


def normal(value):
    if isinstance(value, dict):
        return {key: "PID" if key == "pid" else normal(part) for key, part in value.items()}
    if isinstance(value, list):
        return [normal(part) for part in value]
    if isinstance(value, str):
        value = re.sub(r"(?s)Traceback \(most recent call last\):\n.*\n(?=\w)", "", value)
        value = re.sub(r"Running scope as unit: \S+\.scope\n? *", "", value)
        value = re.sub(r"/tmp/(__salt\.tmp\.|tmp|\.corpus-|corpus-)\w+", "/tmp/TEMP", value)
        value = re.sub(r"\b\d{1,2}:\d\d:\d\d(\.\d+)?\b", "TIME", value)
    return value


def rule(field, phase, key, salt, mine, salt_run, my_run):
    """Names the rule by which a field of a record differs on purpose everywhere, if one does."""
    a, b = salt[field], mine[field]
    if field == "changes" and phase == "test" and mine["result"] is None:
        # Salt leaves them away, mostly.
        return "a dry run's changes are those of the run"
    if field != "name" and phase == "test" and mine["result"] is False and my_run["result"] is False is salt_run["result"]:
        if mine["comment"] == my_run["comment"]:
            return "a dry run foresees a failure"
    if "An exception occurred in this state" in salt["comment"] and field != "name":
        return "Salt dies of an error of its own, or tells one by a traceback"
    if key.endswith(("_|-directory", "_|-recurse")) and isinstance(a, dict) and field == "changes":
        if {name: part for name, part in a.items() if name not in ("user", "group", "mode")} == b:
            return "what changes is told once, under its path"
    if field == "changes" and isinstance(a, dict) and isinstance(b, dict):
        flat = {name: part.get("changes", part) if isinstance(part, dict) else part for name, part in a.items()}
        if set(flat) == {"installed", "removed"}:
            flat = flat["installed"] | flat["removed"]
        if flat == b or a == {"Final": "All changes applied successfully"}:
            return "changes name what changed, and no more"
    if field in ("comment", "changes") and key.endswith("_|-recurse") and sections(a) <= sections(b):
        return "directories above are told, too; what is told is sorted"
    if field == "name" and isinstance(a, list):
        return "a name is a text"
    if field == "comment" and key.startswith("module_") and phase == "test" and a.startswith("FunctionTrue"):
        return "Salt misspells it"
    if field == "comment" and sorted(a.splitlines()) == sorted(b.splitlines()):
        return "lists are sorted"
    return None


def sections(said):
    """What `file.recurse` tells, by path: a comment's sections, or the changes."""
    if isinstance(said, dict):
        return {f"{path}: {json.dumps(part, sort_keys=True)}" for path, part in said.items()}
    parts = [part.strip().replace("/. ", " ").replace("/.:", ":") for part in said.split("#### ") if part.strip()]
    # Of a link Salt tells that its directory will be made.
    return {"\n".join(line for line in part.split("\n") if not line.endswith(" will be created")) for part in parts}


def differences(salt, mine):
    """Yields (where, Salt's, ours, by which rule it is expected or None)."""
    for title, want in salt["cases"].items():
        have = mine["cases"].get(title, {})
        for phase in want:
            a, b = want[phase], have.get(phase)
            if not isinstance(a, dict) or not isinstance(b, dict) or "error" in a or "error" in b:
                if a != b:
                    yield title, phase, a, b, None
                continue
            for key in list(a) + [key for key in b if key not in a]:
                if key not in a or key not in b:
                    yield title, f"{phase}/{key}", a.get(key), b.get(key), None
                    continue
                for field in FIELDS:
                    if a[key][field] != b[key][field]:
                        runs = want["apply"].get(key, a[key]), have["apply"].get(key, b[key])
                        by = rule(field, phase, key, a[key], b[key], *runs)
                        yield title, f"{phase}/{key}.{field}", a[key][field], b[key][field], by
    for path in sorted(salt["files"] | mine["files"]):
        if salt["files"].get(path) != mine["files"].get(path):
            yield "(setup)", path, salt["files"].get(path), mine["files"].get(path), None


def explained(why, where):
    """Whether a case explains a difference: by its place, or by a beginning of it. `*` stands for any phase."""
    for what in why:
        for phase in ("test", "apply", "again") if what.startswith("*/") else [None]:
            full = what.replace("*", phase, 1) if phase else what
            parts = where.split("_|-")
            # A record is named by its ID; the whole key works, too.
            short = where if len(parts) < 4 else f"{where.split('/')[0]}/{parts[1]}.{where.rsplit('.', 1)[-1]}"
            if where == full or where.startswith(full + "/") or short == full or short.rsplit(".", 1)[0] == full:
                return what
    return None


def compare(name, salt, mine):
    """Prints what differs without a reason; answers how many records there are, and how many differ."""
    why = {case["title"]: case["differs"] for case in read_cases(name)}
    used, bad, by_rule, noted = set(), 0, 0, 0
    for title, where, a, b, by in differences(salt, mine):
        if by:
            by_rule += 1
            continue
        reason = explained(why.get(title, {}), where)
        if reason:
            used.add((title, reason))
            noted += 1
            continue
        bad += 1
        print(f"\n{name} · {title} · {where}\n  salt:   {show(a)}\n  corpus: {show(b)}")
    for title, reasons in why.items():
        for reason in reasons:
            if (title, reason) not in used:
                bad += 1
                print(f"\n{name} · {title}: `differs: {reason}` does not occur any more")
    count = sum(len(phase) for case in salt["cases"].values() for phase in case.values() if isinstance(phase, dict))
    print(f"{name}: {count} records, {len(salt['files'])} files; {bad} differ, {noted} on purpose, {by_rule} by rule")
    return count, bad


def show(value):
    if isinstance(value, str):
        return value.replace("\n", "\n          ")
    return json.dumps(value, ensure_ascii=False)


def names(words):
    found = sorted(f[:-3] for f in os.listdir(os.path.join(HERE, "cases")) if f.endswith(".md"))
    return [name for name in found if not words or name in words]


def recorded(name):
    return os.path.join(HERE, "recorded", name + ".json")


def main(words):
    if words[:1] == ["record"]:
        with open(os.path.join(HERE, "salt-layer.sh")) as file:
            guest("layer", "salt", file.read())
        os.makedirs(os.path.join(HERE, "recorded"), exist_ok=True)
        for name in names(words[1:]):
            answers = run("salt", None, name, "salt")
            with open(recorded(name), "w") as file:
                json.dump(answers, file, indent=1, ensure_ascii=False, sort_keys=False)
                file.write("\n")
            print(f"recorded {name}", flush=True)
    elif words[:1] == ["check"] and len(words) > 1:
        failed = total = 0
        for name in names(words[2:]):
            with open(recorded(name)) as file:
                salt = json.load(file)
            salt["cases"] = {title: normal(case) for title, case in salt["cases"].items()}
            mine = run("corpus", words[1], name, None)
            count, bad = compare(name, salt, mine)
            total, failed = total + count, failed + bad
        print(f"{total - failed} passed, {failed} failed")
        sys.exit(failed > 0)
    elif words[:1] == ["show"]:
        for name in words[1:]:
            with open(recorded(name)) as file:
                for title, case in json.load(file)["cases"].items():
                    print(f"\n## {title}")
                    for phase, answer in case.items():
                        print(f"# {phase}")
                        if isinstance(answer, str):
                            print(answer)
                            continue
                        for key, record in answer.items():
                            print(f"{key}: {json.dumps(record, ensure_ascii=False)}")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
