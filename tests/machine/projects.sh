#!/usr/bin/env bash
# projects.sh: public projects with a `.salt` of the original's, pushed unchanged over SSH to a Debian guest, twice; the
# site must answer over HTTP, and the second push must change nothing but what its recipes change in each run.
#
#   projects.sh CORPUS DIR [NAME…]
#   projects.sh CORPUS samples        row 49: an application of each technology deploys and serves from project/; nothing else is needed
#
# DIR holds clones of the projects, named like their repositories (corpus-staticwww, …): bring them yourself, they are
# not part of this project. projects/NAME.sls, where there is one, is the project's pillar, with how to see that it works
# in its head (`# check:`, shell inside the guest; else the site of the guest's own name must answer); `# guest:`, a line
# for LXC; the states that change in each run by the project's own design (`# always:`, beside commands that run at each
# deployment); why it cannot work in a guest without the internet (`# lacks:`, then it is not tried). Repositories that a
# project clones are answered from DIR, too. Prints one line each, and the failures; exit 1 if any. KEEP=1 leaves the guests.
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
GUEST=$HERE/guest.sh
[ $# -ge 2 ] || { sed -n '2,13p' "$0" | sed 's/^# \?//'; exit 2; }
CORPUS=$1 DIR=$2
shift 2
[ "$DIR" != samples ] || DIR=$HERE/samples
OUT=${OUT:-$(mktemp -d)}
mkdir -p "$OUT"
failed=0 passed=0 skipped=0

head_of() { [ ! -e "$HERE/projects/$1.sls" ] || sed -n "s/^# $2: //p" "$HERE/projects/$1.sls"; }

# Says what a deployment did, and judges the second one.
judge() {
    python3 - "$1" "$2" "$3" <<'P'
import json, sys
path, run, always = sys.argv[1:]
try:
    report = list(json.loads(open(path).read()).values())[0]
    recipes = [sls for step in report["steps"] for sls in step["sls"]]
except (ValueError, KeyError, IndexError, TypeError):
    print(f"{run}: no report\n" + open(path).read()[:2000])
    sys.exit(1)
changed = [line for sls in recipes for line in sls["changed"]]
own = [line for line in changed if not line.rsplit("(", 1)[1].startswith(("cmd.", "mc_proxy."))]
own = [line for line in own if line.rsplit(" (", 1)[0] not in always.split()]
states = sum(sls["states"] for sls in recipes)
print(f"{run}: {states} states, {len(changed)} changed, {len(own)} of them not by design of the recipe; {report['seconds']:.1f} s")
if not report["result"]:
    print("  - " + json.dumps(report["failed"], indent=1)[:1500])
for line in own if run == "second" else []:
    print("  - " + line)
sys.exit(not report["result"] or run == "second" and bool(own))
P
}

# Makes a bare repository of a clone, or of a folder that is none.
bare() {
    if [ -e "$1/.git" ]; then
        git clone -q --bare "$1" "$2"
    else
        git init -q --bare -b master "$2"
        git --git-dir="$2" --work-tree="$1" add -A -f
        git --git-dir="$2" --work-tree="$1" -c user.name=sample -c user.email=sample@localhost commit -q -m sample
    fi
}

one() {
    local repo=$1 guest=p-$1 name root good=0 run
    name=$(tr -cd 'a-z0-9' <<<"${repo#corpus-}" | cut -c1-16)
    GUEST_CONFIG=$(head_of "$repo" guest) "$GUEST" up "$guest"
    root=$("$GUEST" root "$guest")
    "$GUEST" put "$guest" "$CORPUS" /usr/local/bin/corpus
    mkdir -p "$root/srv/mirror" "$root/etc/salt" "$root/srv/salt" "$root/srv/pillar"
    printf 'id: guest\n' >"$root/etc/salt/minion"
    local other
    for other in "$DIR"/*/; do
        other=$(basename "$other")
        { [ "$other" = "$repo" ] || grep -rqs "/$other\.git" "$DIR/$repo/.salt"; } || continue
        bare "$DIR/$other" "$root/srv/mirror/$other.git"
        git config -f "$root/etc/gitconfig" --add "url./srv/mirror/$other.git.insteadOf" \
            "https://github.com/makinacorpus/$other.git"
    done
    git config -f "$root/etc/gitconfig" --add safe.directory '*'
    ! grep -qs '^[^#]' "$HERE/projects/$repo.sls" || cp "$HERE/projects/$repo.sls" "$root/srv/pillar.sls"
    cat >"$root/srv/push.sh" <<S
set -ex
case \$1 in
first)
    apt-get update -qq
    ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
    corpus projects.install
    systemctl enable --now corpus-push
    ssh-keygen -A
    systemctl restart ssh
    corpus mc_project.init_project $name default_env=prod $(head_of "$repo" init)
    corpus projects.authorize $name guest "\$(cat /root/.ssh/id_ed25519.pub)"
    ssh-keyscan localhost >/root/.ssh/known_hosts 2>/dev/null
    git config --global user.name guest
    git config --global user.email guest@localhost
    at=ssh://$name-user@localhost/srv/projects/$name/git
    git clone -q /srv/mirror/$repo.git /srv/work
    cd /srv/work && git remote add deploy \$at/project.git
    if [ -e /srv/pillar.sls ]; then
        git clone -q \$at/pillar.git /srv/pillar-work
        cd /srv/pillar-work && sed s/PROJECT/$name/ /srv/pillar.sls >init.sls
        git add -A && git commit -q -m settings && git push origin HEAD
    fi
    ;;
second) cd /srv/work && git commit -q --allow-empty -m again ;;
broken)
    cd /srv/work
    cat >.salt/950_broken.sls <<'B'
/etc/nginx/conf.d/broken.conf:
  file.managed:
    - contents: add_header X-Broken yes always;
broken-nginx:
  service.running:
    - name: nginx
    - reload: true
    - watch:
      - file: /etc/nginx/conf.d/broken.conf
broken-proof:
  cmd.run:
    - name: sleep 1; curl -sI http://127.0.0.1/ | grep -q X-Broken && exit 7
    - require:
      - service: broken-nginx
B
    git add -A && git commit -q -m broken
    ;;
esac
cd /srv/work && git push -f deploy HEAD:refs/heads/\$(git --git-dir /srv/projects/$name/git/project.git symbolic-ref --short HEAD)
S
    for run in first second; do
        "$GUEST" exec "$guest" bash /srv/push.sh $run >"$OUT/$repo.$run.log" 2>&1 </dev/null || good=1
        "$GUEST" exec "$guest" corpus --out=json mc_project.deployments "$name" count=1 >"$OUT/$repo.list" 2>&1 </dev/null || true
        local id
        id=$(python3 -c 'import json,sys; print(list(json.load(open(sys.argv[1])).values())[0][0]["id"])' "$OUT/$repo.list" 2>/dev/null || true)
        "$GUEST" exec "$guest" corpus --out=json mc_project.deployments "$name" "${id:-none}" >"$OUT/$repo.$run" 2>&1 </dev/null || true
        judge "$OUT/$repo.$run" "$run" "$(head_of "$repo" always)" || good=1
        [ $good = 0 ] || { tail -5 "$OUT/$repo.$run.log"; break; }
        local check
        check=$(head_of "$repo" check)
        [ -n "$check" ] || check="curl -fsS -H 'Host: guest' http://127.0.0.1/"
        if "$GUEST" exec "$guest" bash -o pipefail -c "$check" >"$OUT/$repo.$run.check" 2>&1 </dev/null; then
            echo "check: $(tr -d '\n' <"$OUT/$repo.$run.check" | cut -c1-100)"
        else
            echo "check failed: $(tail -5 "$OUT/$repo.$run.check")"
            good=1
        fi
    done
    if [ $good = 0 ] && [ "$DIR" = "$HERE/samples" ]; then undone || good=1; fi
    [ -n "${KEEP:-}" ] || "$GUEST" down "$guest"
    return $good
}

# A third push reconfigures nginx, and fails: the running nginx must be as it was.
undone() {
    local pushed=0
    "$GUEST" exec "$guest" bash /srv/push.sh broken >"$OUT/$repo.broken.log" 2>&1 </dev/null || pushed=$?
    # nginx reads its files in its own time.
    sleep 1
    "$GUEST" exec "$guest" curl -sI http://127.0.0.1/ >"$OUT/$repo.undone" 2>&1 </dev/null || true
    if [ $pushed != 0 ] && grep -q 'retcode: 7' "$OUT/$repo.broken.log" && grep -q '^HTTP/1.1 [2345]' "$OUT/$repo.undone" &&
        ! grep -q X-Broken "$OUT/$repo.undone"; then
        echo "broken: nginx said what the failing release told it, and is as before again"
        return
    fi
    echo "broken: $(tail -5 "$OUT/$repo.broken.log") $(head -20 "$OUT/$repo.undone")"
    return 1
}

[ $# -gt 0 ] || set -- $(cd "$DIR" && ls -d ./*/ | sed 's|./||; s|/$||')
for repo in "$@"; do
    if [ ! -d "$DIR/$repo/.salt" ]; then
        echo "== $repo: skipped, it has no .salt"
        continue
    fi
    lacks=$(head_of "$repo" lacks)
    if [ -n "$lacks" ]; then
        skipped=$((skipped + 1))
        echo "== $repo: not tried: $lacks"
        continue
    fi
    if said=$(one "$repo" 2>&1); then passed=$((passed + 1)) verdict=ok; else failed=$((failed + 1)) verdict=FAILED; fi
    echo "== $repo: $verdict"
    # shellcheck disable=SC2001
    sed 's/^/   /' <<<"$said"
done
echo "$passed passed, $failed failed, $skipped not tried"
[ $failed = 0 ]
