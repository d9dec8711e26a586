#!/usr/bin/env bash
# The main job, played: three throw-away hosts, one state tree, real SSH. Cleans up after itself.
# usage: demo.sh PATH/TO/corpus
set -euo pipefail
CORPUS=$(readlink -f "${1:?path of the corpus program}")
HERE=$(dirname "$(readlink -f "$0")")
LAB=$HERE/../lab/lab.sh
export LAB_DIR=${LAB_DIR:-/run/corpus-demo} LAB_NET=${LAB_NET:-10.96} LAB_TAG=cdemo
WORK=$(mktemp -d)

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '\033[1m$ corpus %s\033[0m\n' "$*"; "$CORPUS" "${COMMON[@]}" "$@"; }
clean() { [ -z "${FLEET:-}" ] || "$LAB" down >/dev/null 2>&1 || true; rm -rf "$WORK"; }
trap clean EXIT

can_fleet() {
    [ "$(id -u)" = 0 ] || { echo "not root"; return 1; }
    command -v ip >/dev/null && command -v unshare >/dev/null || { echo "no ip or unshare program"; return 1; }
    if [ ! -x /usr/sbin/sshd ] && command -v apt-get >/dev/null; then
        echo "installing openssh-server for the demo's hosts" >&2
        apt-get install -y -qq --no-install-recommends openssh-server >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends openssh-server; } >/dev/null 2>&1 || true
    fi
    [ -x /usr/sbin/sshd ] || { echo "no sshd"; return 1; }
    unshare --mount --pid --fork true 2>/dev/null || { echo "no namespaces"; return 1; }
}

fleet_story() {
    FLEET=1
    say "Three hosts on this machine: own network, processes, /etc and sshd each"
    "$LAB" up 3
    {
        "$LAB" roster
    } | awk '{print} /^h[12]:/{w=1} /^h3:/{w=0} /user: root/ && w{print "  grains: {role: web}"}' >"$WORK/roster"
    COMMON=(-c "$WORK" --roster-file "$WORK/roster" --file-root "$HERE/salt" --pillar-root "$HERE/pillar")
    say "Who is there?"
    run '*' test.ping
    say "First run: users, files from templates, a service that watches its configuration"
    run '*' state.apply
    say "Second run: nothing to do"
    run '*' state.apply --state-verbose=false
    say "Somebody edits a file on h2 ..."
    "$LAB" exec 2 sh -c 'echo "port = 1" > /etc/hello.conf; head -2 /etc/hello.conf'
    say "... and the dry run tells exactly what would be done, the restart included (nothing is touched)"
    run h2 state.apply test=True --state-verbose=false
    say "Repaired, and the service restarted because it watches that file"
    run h2 state.apply --state-verbose=false
    say "And nothing is left to do"
    run '*' state.apply --state-verbose=false
}

local_story() {
    say "($1: the same story on this machine, under $WORK)"
    mkdir -p "$WORK/salt" "$WORK/pillar"
    printf 'base:\n  "*":\n    - site\n' >"$WORK/salt/top.sls"
    printf 'base:\n  "*":\n    - site\n' >"$WORK/pillar/top.sls"
    printf 'port: 8088\nroot: %s/site\n' "$WORK" >"$WORK/pillar/site.sls"
    cat >"$WORK/salt/site.sls" <<'S'
{{ pillar.root }}:
  file.directory

configuration:
  file.managed:
    - name: {{ pillar.root }}/hello.conf
    - contents: |
        port = {{ pillar.port }}
        host = {{ grains.id }}
    - require:
      - file: {{ pillar.root }}

reload:
  cmd.run:
    - name: echo reloaded >> {{ pillar.root }}/log
    - onchanges:
      - file: configuration
S
    COMMON=(-c "$WORK" --local --file-root "$WORK/salt" --pillar-root "$WORK/pillar")
    say "First run"; run state.apply
    say "Second run: nothing to do"; run state.apply
    say "Somebody edits the file ..."; echo "port = 1" >"$WORK/site/hello.conf"
    say "... and the dry run tells what would be done, the reload included"; run state.apply test=True
    say "Repaired"; run state.apply
}

COMMON=()
if why=$(can_fleet); then fleet_story; else local_story "$why"; fi

cat <<'T'

Now try yourself:
  corpus --local state.apply web test=True     on a state tree of yours (--file-root, or file_roots in /etc/corpus/minion)
  corpus '*' state.apply                       on the hosts of /etc/corpus/roster (Salt's roster format)
  corpus sys.doc file.managed                  what a function does, and its arguments
T
