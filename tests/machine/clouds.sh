#!/usr/bin/env bash
# clouds.sh: two empty nodes to two guests with an application behind HAProxy, by one command; then that a second run
# changes nothing, that what is killed comes back, that a guest moves to another node, that a corpus killed at any moment
# leaves nothing a next run does not put right, and that the end leaves nothing. The same map for both drivers: LXC guests
# are Debian systems reached by SSH, Docker's are busybox reached by `docker exec`. Needs root, haproxy, nft and busybox;
# lxc and mmdebstrap (the base system is built once and kept in CLOUD_BASES, /var/cache/corpus-bases), or dockerd.
#
#   tests/machine/clouds.sh [lxc|docker] [CORPUS [MINION]]
set -euo pipefail
case ${1:-} in lxc|docker) driver=$1; shift;; *) driver=lxc;; esac
export LAB_DIR=/run/corpus-clouds LAB_NET=${LAB_NET:-10.78} LAB_TAG=ccl
who=clouds
. "$(dirname "$(readlink -f "$0")")/nodes.sh"
ms() { date +%s%3N; }
finish() { lab down >/dev/null 2>&1 || true; rm -rf "$work"; }
trap finish EXIT

# What a node has: interfaces, rules, containers, files of ours, processes of guests.
state() {
    for node in 1 2; do
        lab exec $node sh -c 'ip -o link | sed "s/^[0-9]*: //; s/[@:].*//" | sort; nft -s list ruleset 2>/dev/null; ls -A /var/lib/lxc
            ls -d /etc/corpus-cloud.nft /etc/corpus-compute-node /srv/haproxy.cfg 2>/dev/null; pgrep -fc "lxc monitor|containerd-shim" || true' 2>/dev/null
        [ $driver = lxc ] || lab exec $node docker ps -aq
    done
}

lab up 2 >/dev/null
for node in 1 2; do
    lab exec $node sh -c '
        mkdir -p /var/lib/lxc /var/lib/docker && mount -t tmpfs -o size=2g,mode=755 lxc /var/lib/lxc
        mount -t tmpfs -o size=2g,mode=711 docker /var/lib/docker' || die "node $node has no place for containers"
    control_groups $node
done

case $driver in
lxc)
    say "the base system"
    "$CORPUS" --local lxc.base name=default bases="$bases" --out=quiet || die "the base system could not be built"
    provider="{driver: lxc, bases: $bases, packages: false}"
    profile='base: default'
    running() { lab exec $1 lxc-ls --running -1; }
    stop_hard() { lab exec $1 lxc-stop -k -n $2; }
    erase() { lab exec $1 sh -c "lxc-stop -k -n $2; lxc-destroy -n $2"; }
    stranger() { lab exec 1 sh -c 'mkdir -p /var/lib/lxc/ghost/rootfs &&
        printf "lxc.uts.name = ghost\nlxc.rootfs.path = dir:/var/lib/lxc/ghost/rootfs\n" >/var/lib/lxc/ghost/config'; }
    no_stranger() { lab exec 1 rm -r /var/lib/lxc/ghost; }
    ;;
docker)
    # What the minion and the application need, and no more.
    image=$work/image
    mkdir -p "$image"/{bin,lib,lib64,tmp,var/tmp,etc,srv/www,root}
    cp "$(command -v busybox)" "$image/bin/busybox"
    for applet in $("$image/bin/busybox" --list); do [ $applet = busybox ] || ln -s busybox "$image/bin/$applet"; done
    for lib in $({ ldd "$CORPUS_MINION"; ldd "$image/bin/busybox"; } 2>/dev/null | grep -o '/[^ ]*'); do mkdir -p "$image$(dirname "$lib")"; cp -L "$lib" "$image$lib"; done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$image/etc/passwd"
    tar -C "$image" -cf "$work/image.tar" . && rm -r "$image"
    for node in 1 2; do
        lab exec $node sh -c 'setsid dockerd --bip 172.29.'$node'.1/24 >/var/log/dockerd 2>&1 & echo $! >/run/dockerd.pid
            for i in $(seq 100); do docker version >/dev/null 2>&1 && exit; sleep 0.2; done; cat /var/log/dockerd; exit 1' ||
            die "node $node has no dockerd"
        lab exec $node docker import - web:1 <"$work/image.tar" >/dev/null
    done
    rm "$work/image.tar"
    provider='{driver: docker}'
    profile='image: "web:1"
  command: [httpd, -f, -p, "80", -h, /srv/www]'
    running() { lab exec $1 docker ps --format '{{.Names}}'; }
    stop_hard() { lab exec $1 docker kill $2 >/dev/null; }
    erase() { lab exec $1 docker rm -f $2 >/dev/null; }
    stranger() { lab exec 1 docker create --name ghost web:1 true >/dev/null; }
    no_stranger() { lab exec 1 docker rm ghost >/dev/null; }
    ;;
esac

mkdir -p "$work"/{etc/cloud.maps.d,salt,pillar,cache}
cp "$(command -v busybox)" "$work/salt/busybox"
lab roster >"$work/etc/roster"
cat >"$work/etc/master" <<EOF
corpus_cachedir: $work/cache
cloud_dir: $work/cloud
file_roots: {base: [$work/salt]}
pillar_roots: {base: [$work/pillar]}
EOF
cat >"$work/etc/cloud" <<'EOF'
proxy:
  minion: h1
  config: /srv/haproxy.cfg
  http_port: 8080
  packages: false
  reload: 'p=$(cat /run/haproxy.pid 2>/dev/null) && kill -USR2 $p || haproxy -W -D -p /run/haproxy.pid -f /srv/haproxy.cfg'
EOF
cat >"$work/etc/cloud.providers" <<EOF
nodes: $provider
EOF
cat >"$work/etc/cloud.profiles" <<EOF
web:
  provider: nodes
  $profile
  memory: 256M
  ports: {http: 80}
  domains: [app.example.org]
  base_sls: [app]
EOF
cat >"$work/etc/cloud.maps.d/all.map" <<'EOF'
web:
  - web1: {node: h1}
  - web2: {node: h2}
EOF
cat >"$work/salt/app.sls" <<'EOF'
/srv/www/index.html:
  file.managed:
    - contents: from-{{ grains['id'] }}
    - makedirs: True
{% if grains['init'] == 'systemd' %}
/usr/local/bin/busybox:
  file.managed:
    - source: salt://busybox
    - mode: '0755'
/etc/systemd/system/app.service:
  file.managed:
    - contents: |
        [Service]
        ExecStart=/usr/local/bin/busybox httpd -f -p 80 -h /srv/www
        Restart=always
        [Install]
        WantedBy=multi-user.target
app:
  service.running:
    - enable: True
    - require:
      - file: /srv/www/index.html
      - file: /usr/local/bin/busybox
      - file: /etc/systemd/system/app.service
{% endif %}
EOF

address=$(sed -n 's/^  host: //p' "$work/etc/roster" | head -1)
# Both guests answer behind the proxy.
answers() {
    local until=$((SECONDS + 20)) seen
    while [ $SECONDS -lt $until ]; do
        seen=$(for _ in 1 2 3 4; do curl -sf -m 5 -H 'Host: app.example.org' "http://$address:8080/" || true; done | sort -u | tr '\n' ' ')
        [ "$seen" = "from-web1 from-web2 " ] && return 0
        sleep 0.2
    done
    die "$1: behind the proxy answers only: $seen"
}
# Nothing changes, and nothing is there that nobody declared.
settled() {
    corpus reconcile --out=json >"$work/out.json" || die "$1: $(cat "$work/out.json")"
    [ "$(grep -c 'as declared"' "$work/out.json")" = 3 ] && ! grep -q ghosts "$work/out.json" || die "$1: $(cat "$work/out.json")"
}

state >"$work/before"
corpus map.apply test=True --out=quiet || die "the dry run fails"
diff <(state) "$work/before" || die "the dry run changed something"
start=$(ms)
corpus map.apply --out=json >"$work/out.json" || die "$(cat "$work/out.json")"
took=$(($(ms) - start))
answers "after map.apply"
say "two empty nodes to two guests behind the proxy: $took ms"
[ $took -lt 60000 ] || die "that is more than a minute"
settled "the second run"
corpus 'web*' test.ping --out=quiet || die "the guests are no minions"

# Inbound traffic by NAT on the node: the port that the book gave leads to the guest.
row_55_a_port_of_the_node_leads_to_the_guest() {
    local port
    port=$(corpus guest.list --out=json | grep -o '"http": *"\?[0-9]*' | grep -o '[0-9]*$' | head -1)
    [ -n "$port" ] || die "no port of the guest is listed: $(corpus guest.list --out=json)"
    [ "$(curl -sf -m 5 "http://$address:$port/")" = from-web1 ] || die "port $port of the node does not lead to web1"
}
row_55_a_port_of_the_node_leads_to_the_guest

say "killed by hand"
stop_hard 1 web1
erase 2 web2
corpus reconcile --out=json >"$work/out.json" || die "$(cat "$work/out.json")"
[ "$(grep -c '"cause": "drifted"' "$work/out.json")" -ge 2 ] || die "not told as drifted: $(cat "$work/out.json")"
answers "after reconcile"
settled "after reconcile"

say "a ghost"
stranger
corpus reconcile --out=json | grep -q 'corpus did not make it' || die "the ghost is not named"
no_stranger

# Declared on another node it moves: with all that it has (LXC), or made anew of its image (Docker).
moved() {
    printf 'web:\n  - web1: {node: h%s}\n  - web2: {node: h2}\n' $1 >"$work/etc/cloud.maps.d/all.map"
}
at() { [ "$(running 1 | tr -d ' ' | sort | tr '\n' ' ')/$(running 2 | tr -d ' ' | sort | tr '\n' ' ')" = "$1" ] || die "$2: $(running 1; echo /; running 2)"; }
say "a guest moves"
corpus guest.exec web1 'echo mine >/srv/www/mine' --out=quiet
moved 2
state >"$work/there"
corpus map.apply test=True --out=json >"$work/out.json" || die "$(cat "$work/out.json")"
grep -q 'web1 would be moved from h1 to h2' "$work/out.json" || die "the dry run does not say so: $(cat "$work/out.json")"
diff <(state) "$work/there" || die "the dry run changed something"
start=$(ms)
corpus map.apply --out=json >"$work/out.json" || die "$(cat "$work/out.json")"
say "it moved in $(($(ms) - start)) ms"
at "/web1 web2 " "after the move"
answers "after the move"
settled "after the move"
[ $driver = docker ] || [ "$(corpus web1 cmd.run 'cat /srv/www/mine' --out=newline_values_only)" = mine ] || die "what it had is lost"
moves=0
for wait in 0.3 0.6 0.9 1.2 1.6 2.0 2.5 3.0 3.6; do
    moved $((moves % 2 + 1))
    "$CORPUS" -c "$work/etc" map.apply --out=quiet >/dev/null 2>&1 &
    pid=$!
    sleep $wait
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    # Each third time it is wanted back in the middle.
    [ $((moves % 3)) != 2 ] || moved $(((moves + 1) % 2 + 1))
    corpus map.apply --out=json >"$work/out.json" || die "a move killed at $wait s: $(cat "$work/out.json")"
    answers "a move killed at $wait s"
    settled "a move killed at $wait s"
    grep -q 'node: h1' "$work/etc/cloud.maps.d/all.map" && at "web1 /web2 " "killed at $wait s" || at "/web1 web2 " "killed at $wait s"
    [ $driver = docker ] || [ "$(corpus web1 cmd.run 'cat /srv/www/mine' --out=newline_values_only)" = mine ] || die "killed at $wait s: what it had is lost"
    moves=$((moves + 1))
done
say "$moves moves with a kill"
moved 1
corpus map.apply --out=quiet || die "it does not come home"

corpus guest.destroy web1 web2 --out=json >"$work/out.json" || die "$(cat "$work/out.json")"
say "corpus killed at any moment"
kills=0
for wait in 0.2 0.5 0.8 1.1 1.4 1.7 2.0 2.4 2.8 3.2; do
    "$CORPUS" -c "$work/etc" map.apply --out=quiet >/dev/null 2>&1 &
    pid=$!
    sleep $wait
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null || true
    corpus map.apply --out=json >"$work/out.json" || die "after a kill at $wait s: $(cat "$work/out.json")"
    answers "after a kill at $wait s"
    settled "after a kill at $wait s"
    "$CORPUS" -c "$work/etc" guest.destroy web1 web2 --out=quiet >/dev/null 2>&1 &
    pid=$!
    sleep $wait
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null || true
    for guest in web1 web2; do
        grep -q "\"$guest\"" "$work/cloud/ledger.json" && corpus guest.destroy $guest --out=quiet
    done
done
say "$kills kills"

lab exec 1 sh -c 'kill $(cat /run/haproxy.pid) && rm -f /srv/haproxy.cfg /run/haproxy.pid /run/corpus-proxy-*'
diff <(state) "$work/before" || die "the end left something"
grep -q '"guests": {}' "$work/cloud/ledger.json" && grep -q '"nodes": {}' "$work/cloud/book.json" || die "the records are not empty"
say "the end left nothing"
