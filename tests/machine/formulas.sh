#!/usr/bin/env bash
# formulas.sh: public formulas applied end to end in a Debian guest, twice; the service must answer, the second run
# must be empty.
#
#   formulas.sh CORPUS DIR [NAME…]
#
# DIR holds the formulas as their repositories name them (nginx-formula, apache-formula, …): bring them yourself, they
# are not part of this project. formulas/NAME.sls is the pillar, with the SLS to apply (`# sls:`) and how to see that
# it works (`# check:`, shell inside the guest) in its head; also what the guest must have before (`# prepare:`), and
# states that by the formula's own design change in each run (`# always:`). Prints one line each, and the failures; exit 1 if any.
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
GUEST=$HERE/guest.sh
[ $# -ge 2 ] || { sed -n '2,13p' "$0" | sed 's/^# \?//'; exit 2; }
CORPUS=$1 DIR=$2
shift 2
OUT=${OUT:-$(mktemp -d)}
mkdir -p "$OUT"
failed=0 passed=0

head_of() { sed -n "s/^# $2: //p" "$HERE/formulas/$1.sls"; }

# Says how many states there were, failed, changed, and which were not as they should be.
judge() {
    python3 - "$1" "$2" "$3" <<'P'
import json, sys
path, run, always = sys.argv[1:]
text = open(path).read()
try:
    states = list(json.loads(text).values())[0]
    assert isinstance(states, dict)
except (ValueError, AssertionError, IndexError):
    print(f"{run}: no result\n" + text[:3000])
    sys.exit(1)
bad = [s for s in states.values() if s["result"] is False]
changed = [s for s in states.values() if s["changes"] and s["__id__"] not in always.split()]
print(f"{run}: {len(states)} states, {len(changed)} changed, {len(bad)} failed")
for s in bad if run == "first" else bad + changed:
    print(f"  - {s['__id__']} ({s['name']}): {s['comment'][:800]} {json.dumps(s['changes'])[:400]}")
sys.exit(bool(bad) or run != "first" and bool(changed))
P
}

one() {
    local name=$1 guest=f-$1 root
    "$GUEST" up "$guest"
    root=$("$GUEST" root "$guest")
    mkdir -p "$root/srv/salt" "$root/srv/pillar" "$root/etc/salt"
    local part
    for part in $(head_of "$name" needs) "$name"; do
        [ -d "$DIR/$part-formula" ] || { echo "there is no $DIR/$part-formula"; return 1; }
        find "$DIR/$part-formula" -mindepth 1 -maxdepth 1 -type d ! -name 'test' ! -name '.*' -exec cp -a {} "$root/srv/salt/" \;
    done
    cp "$HERE/formulas/$name.sls" "$root/srv/pillar/it.sls"
    printf 'base:\n  "*": [it]\n' >"$root/srv/pillar/top.sls"
    printf 'id: guest\nfile_client: local\n' >"$root/etc/salt/minion"
    "$GUEST" put "$guest" "$CORPUS" /srv/corpus
    local prepare good=0 run sls
    sls=$(head_of "$name" sls)
    prepare=$(head_of "$name" prepare)
    [ -z "$prepare" ] || "$GUEST" exec "$guest" bash -c "$prepare" >"$OUT/$name.prepare" 2>&1 || true
    for run in first second; do
        "$GUEST" exec "$guest" /srv/corpus --local -c /etc/salt --out=json state.sls "$sls" \
            >"$OUT/$name.$run" 2>"$OUT/$name.$run.err" </dev/null || true
        [ -s "$OUT/$name.$run" ] || cp "$OUT/$name.$run.err" "$OUT/$name.$run"
        judge "$OUT/$name.$run" "$run" "$(head_of "$name" always)" || good=1
    done
    if "$GUEST" exec "$guest" bash -o pipefail -c "$(head_of "$name" check)" >"$OUT/$name.check" 2>&1 </dev/null; then
        echo "check: $(head -1 "$OUT/$name.check" | cut -c1-100)"
    else
        echo "check failed: $(head -5 "$OUT/$name.check")"
        good=1
    fi
    [ -n "${KEEP:-}" ] || "$GUEST" down "$guest"
    return $good
}

[ $# -gt 0 ] || set -- $(cd "$HERE/formulas" && ls ./*.sls | sed 's|./||; s|\.sls$||')
for name in "$@"; do
    if said=$(one "$name" 2>&1); then passed=$((passed + 1)) verdict=ok; else failed=$((failed + 1)) verdict=FAILED; fi
    echo "== $name: $verdict"
    # shellcheck disable=SC2001
    sed 's/^/   /' <<<"$said"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
