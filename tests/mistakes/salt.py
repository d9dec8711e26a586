#!/usr/bin/env python3
"""Records what real Salt prints for each mistake: salt.py PATH-OF-SALT-CALL [NAME OF A CASE]

Writes the answer into the case's `salt` block, with the place that it names as `file:line`, if it names one.
"""
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

MARK = "▸"
HERE = pathlib.Path(__file__).parent


def cases(path):
    """Splits a file into its head and its cases, each as lines."""
    parts, now = [[]], []
    for line in path.read_text().splitlines():
        if line.startswith("## "):
            parts.append([])
        parts[-1].append(line)
    return parts


def files(lines):
    fence, found = None, {}
    for line in lines:
        if fence is None and line.startswith("```"):
            name = line.partition("file=")[2].strip()
            fence = (name, [])
        elif fence and line == "```":
            if fence[0]:
                found[fence[0]] = "\n".join(fence[1]) + "\n"
            fence = None
        elif fence:
            fence[1].append(line)
    return found


def run_of(lines):
    for line in lines:
        if line.startswith("Run: "):
            return line[5:].replace(MARK, "").split()
    return ["state.apply", "a", "test=True"]


def ask(salt_call, lines):
    with tempfile.TemporaryDirectory(prefix="mistake-") as place:
        place = pathlib.Path(place)
        for folder in ("salt", "pillar", "etc", "var"):
            (place / folder).mkdir()
        config = f"""
id: it
file_client: local
root_dir: {place}/var
file_roots: {{base: [{place}/salt]}}
pillar_roots: {{base: [{place}/pillar]}}
enable_fqdns_grains: False
"""
        (place / "etc/minion").write_text(config)
        for name, text in files(lines).items():
            at = place / name
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_text(text.replace(MARK, "").replace("\\t", "\t"))
        words = [salt_call, "--local", "-c", str(place / "etc"), "--no-color", "-l", "quiet", *run_of(lines)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        text = (done.stdout + done.stderr).replace(str(place), "$TREE")
        return clean(text)


def clean(text):
    """Leaves what says what is wrong: no frame, no times, of a traceback its last line."""
    lines, skipping, frame, base = [], False, False, 0
    for line in text.splitlines():
        line = line.rstrip().replace("```", "'''")
        bare = line.strip()
        if "DeprecationWarning" in line or bare.startswith("import crypt"):
            continue
        if bare.startswith("Passed invalid arguments"):
            return [bare]
        if "Traceback (most recent call last)" in line:
            if not frame:
                lines.append(line)
            skipping = frame = True
            # In a state's comment the lines that follow are in the column of its text.
            base = len(indent_of(line)) if bare.startswith("Traceback") else 14
            continue
        if skipping and (not bare or bare == "…" or len(indent_of(line)) > base):
            continue
        skipping = False
        lines.append(line[:300])
    return essence(lines)


def indent_of(line):
    return line[: len(line) - len(line.lstrip())]


def essence(lines):
    kept, within = [], None
    for line in lines:
        bare = line.strip()
        if bare in ("local:", "Data failed to compile:", "") or set(bare) == {"-"}:
            continue
        if re.match(r"((ID|Function|Name|Started|Duration|Changes|Succeeded|Failed|Total[a-z ]*):|Summary for)", bare):
            within = None if not bare.startswith("Changes") else "changes"
            continue
        if within == "changes":
            continue
        kept.append(bare if len(indent_of(line)) > 13 else line.removeprefix("    "))
    if not kept:
        return ["(no message, and no state was run)"]
    if len(kept) > 16:
        kept = kept[:8] + ["…"] + kept[-7:]
    return kept


def place(lines, part):
    """The place that Salt names: the file of the SLS that it names, with each line number."""
    text = "\n".join(lines)
    numbers = re.findall(r"; line (\d+)", text) or re.findall(r", line (\d+), column \d+", text)
    if not numbers:
        return ""
    numbers = ",".join(dict.fromkeys(numbers))
    named = re.findall(r"SLS '?(?:base:)?([\w.]+)'?", text)
    known = files(part)
    for sls in named:
        base = sls.replace(".", "/")
        for name in (f"salt/{base}.sls", f"salt/{base}/init.sls", f"pillar/{base}.sls"):
            if name in known:
                return f" at={name.split('/', 1)[1]}:{numbers}"
    # A managed file: its source is the one that the state names.
    source = re.findall(r"salt://(\S+)", "\n".join(part))
    return f" at={source[0]}:{numbers}" if source else ""


def record(path, salt_call, only):
    head, *parts = cases(path)
    wanted = [part for part in parts if only in (None, part[0][3:])]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda part: ask(salt_call, part), wanted))
    for part, answer in zip(wanted, answers):
        text = "\n".join(part)
        text = re.sub(r"\n```salt.*?\n```\n?", "\n", text, flags=re.S).rstrip("\n")
        part[:] = (text + f"\n\n```salt{place(answer, part)}\n" + "\n".join(answer) + "\n```\n").split("\n")
    out = "\n".join("\n".join(part) for part in [head, *parts])
    path.write_text(out.rstrip("\n") + "\n")
    print(path.name, len(wanted))


if __name__ == "__main__":
    for path in sorted(HERE.glob("*.md")):
        record(path, sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
