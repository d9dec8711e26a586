#!/usr/bin/env bash
# backings.sh: what guests of real LXC stand on, all the way from a map: btrfs with a disk that is enlarged and trimmed while
# they run, ids of their own, frozen ones, clones of those that run, snapshots, an image that is built in one place and
# brought to another, root's password, a move from overlayfs to btrfs, and the node `local`. Needs what clouds.sh needs,
# and btrfs-progs and a loop device.
#
#   tests/machine/backings.sh [CORPUS [MINION]]
set -euo pipefail
export LAB_DIR=/run/corpus-backings LAB_NET=${LAB_NET:-10.81} LAB_TAG=cbk
who=backings
. "$(dirname "$(readlink -f "$0")")/nodes.sh"
loop=
finish() {
    # What is frozen cannot be ended.
    for node in 1 2; do
        lab exec $node sh -c 'for guest in $(lxc-ls --frozen -1); do lxc-unfreeze -n $guest; done' >/dev/null 2>&1 || true
    done
    lab down >/dev/null 2>&1 || true
    ip netns del cbk 2>/dev/null || true
    [ -z "$loop" ] || losetup -d "$loop" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

say "the base system"
"$CORPUS" --local lxc.base name=default bases="$bases" --out=quiet || die "the base system could not be built"
lab up 2 >/dev/null
truncate -s 4G "$work/disk"
mkfs.btrfs -q "$work/disk" >/dev/null 2>&1
loop=$(losetup -f --show "$work/disk")
for node in 1 2; do
    lab exec $node sh -c '
        mkdir -p /var/lib/lxc && if [ '$node' = 1 ]; then
            mknod /dev/loop b $(('$(stat -c '0x%t' "$loop")')) $(('$(stat -c '0x%T' "$loop")')) && mount -t btrfs /dev/loop /var/lib/lxc
        else
            mount -t tmpfs -o size=2g,mode=755 lxc /var/lib/lxc
        fi' || die "node $node has no place for containers"
    control_groups $node
done
mkdir -p "$work"/{etc/cloud.maps.d,salt,pillar}
lab roster >"$work/etc/roster"
cat >"$work/etc/master" <<EOF
corpus_cachedir: $work/cache
cloud_dir: $work/cloud
EOF
# Built where there is mmdebstrap, for nodes that have no way to a mirror.
cat >"$work/etc/cloud" <<EOF
images:
  default: {node: local, bases: $bases}
EOF
cat >"$work/etc/cloud.profiles" <<'EOF'
any: {driver: lxc, packages: false, base: default, node: h1}
EOF
map() { cat >"$work/etc/cloud.maps.d/all.map"; }
apply() { corpus map.apply --out=json "$@" >"$work/out.json" || die "$(cat "$work/out.json")"; }
settled() { apply; ! grep -q '"changes": {$' "$work/out.json" && ! grep -q 'was \(created\|changed\|moved\)' "$work/out.json" || die "$1: $(cat "$work/out.json")"; }
inside() { corpus guest.exec "$1" "$2" --out=json >"$work/in.json" || die "$1: $2: $(cat "$work/in.json")"; grep -q '"retcode": 0' "$work/in.json"; }
node() { lab exec "$@"; }

say "an image is brought, and guests stand on btrfs"
map <<'EOF'
any:
  - one: {disk: 1G, memory: 128M, root_password: true}
  - two: {status: frozen}
EOF
apply test=True
[ -z "$(node 1 ls /var/lib/lxc)" ] || die "the dry run left $(node 1 ls -A /var/lib/lxc)"
apply
settled "the second run"
node 1 test -d /var/lib/lxc/.bases/default/rootfs || die "the image was not brought"
[ "$(node 1 lxc-info -n two -sH)" = FROZEN ] || die "two is not frozen"
say "its disk is limited, grows and shrinks while it runs"
! inside one 'dd if=/dev/zero of=/root/big bs=1M count=1100 2>/dev/null' || die "one may hold more than its disk"
corpus guest.resize one disk=2G --out=quiet || die "no resize"
inside one 'dd if=/dev/zero of=/root/big bs=1M count=1100 2>/dev/null' || die "it did not grow"
! corpus guest.resize one disk=512M --out=json >"$work/out.json" || die "trimmed below what it holds"
grep -q 'holds' "$work/out.json" || die "$(cat "$work/out.json")"
inside one 'rm /root/big && sync'
corpus guest.resize one disk=1G memory=192M cpu=0.5 --out=quiet || die "it cannot be trimmed"
corpus guest.enlarge one 1G --out=quiet || die "it cannot be enlarged"
corpus guest.trim one size=1G --out=quiet || die "it cannot be trimmed by so much"
sed -i 's/128M/192M, cpu: 0.5/' "$work/etc/cloud.maps.d/all.map"
settled "after the resize"
[ "$(node 1 lxc-cgroup -n one memory.limit_in_bytes)" = $((192 << 20)) ] || die "the memory is not limited"

say "root's password"
secret=$(corpus guest.password one --out=newline_values_only)
[ ${#secret} = 32 ] && [ "$(stat -c %a "$work/cloud/passwords/one")" = 600 ] || die "no password: $secret"
node 1 lxc-attach -n one --clear-env -- /bin/sh -c 'grep ^root: /etc/shadow | cut -d: -f2' >"$work/hash"
printf %s "$secret" | perl -e 'my $hash = shift; my $secret = <STDIN>; exit(crypt($secret, $hash) ne $hash)' "$(cat "$work/hash")" ||
    die "it is not root's: $(cat "$work/hash") $secret"
! grep -rq "$secret" "$work/out.json" "$work/cloud/ledger.json" || die "it is written where all may read it"

say "snapshots, restored"
inside one 'echo before >/root/state'
corpus guest.snapshot one first --out=quiet || die "no snapshot"
inside one 'echo after >/root/state'
corpus guest.restore one first --out=quiet || die "no restore"
inside one 'grep -q before /root/state' || die "it was not restored"
settled "after the restore"

say "a clone of one that runs"
corpus guest.clone one three --out=json >"$work/out.json" || die "$(cat "$work/out.json")"
inside three 'grep -q before /root/state' || die "the clone is none"
[ "$(node 1 lxc-info -n one -sH)" = RUNNING ] || die "the origin does not run"
[ "$(corpus guest.show three --out=json | grep -o '"mac": "[^"]*"' | head -1)" != "$(corpus guest.show one --out=json | grep -o '"mac": "[^"]*"' | head -1)" ] || die "one MAC for two"
corpus guest.destroy three --out=quiet || die "the clone stays"

say "from btrfs to overlayfs' node and back; what cannot limit a disk says so"
node 1 lxc-snapshot -n one -d snap0
sed -i 's/two: {status: frozen}/two: {node: h2}/' "$work/etc/cloud.maps.d/all.map"
apply
[ "$(node 2 lxc-info -n two -sH)" = RUNNING ] || die "two did not move"
settled "after the move"
corpus guest.clone two four node=h1 --out=json >"$work/out.json" || die "$(cat "$work/out.json")"
[ "$(node 1 lxc-info -n four -sH)$(node 2 lxc-info -n two -sH)" = RUNNINGRUNNING ] && ! node 2 test -e /var/lib/lxc/four || die "the copy is not there"
[ "$(node 1 cat /var/lib/lxc/four/rootfs/etc/hostname)" = four ] || die "the copy has the name of another"
corpus guest.destroy four --out=quiet || die "the copy stays"
! corpus guest.resize two disk=1G --out=json >"$work/out.json" || die "a plain directory is limited"
grep -q 'stands on dir, which cannot limit its disk' "$work/out.json" || die "$(cat "$work/out.json")"

corpus guest.destroy one two --out=quiet || die "they stay"
for node in 1 2; do
    left=$(node $node sh -c 'ls /var/lib/lxc; ls -d /etc/corpus-cloud.nft /etc/corpus-compute-node 2>/dev/null; ip -o link | grep -o "lxcbr1\|veth[^@]*"; nft list tables')
    [ -z "$left" ] || die "h$node has left: $left"
done
[ "$(node 1 btrfs subvolume list /var/lib/lxc | grep -vc .bases)" = 0 ] || die "subvolumes are left"

# Corpus runs on the node itself, no SSH is on the way to it; here a guest can have ids of its own, which the kernel
# refuses where /proc and /sys are not whole.
say "the node \`local\`, and a guest with ids of its own"
cat >"$work/etc/cloud.profiles" <<EOF
any: {driver: lxc, packages: false, base: default, bases: $bases, node: local, backing: dir, idmap: true, bridge: cbkbr}
EOF
rm "$work/etc/cloud" "$work/etc/roster"
map <<'EOF'
any:
  - here: {memory: 128M, ports: {http: 80}}
EOF
ip netns add cbk && ip -n cbk link set lo up
cat >"$work/local.sh" <<'EOF'
set -eu
work=$1; shift
mount --make-rprivate /
mkdir -p /var/lib/lxc "$work/over" "$work/groups"
# LXC looks for its bridge in the network's own /sys.
mount --rbind /sys/fs/cgroup "$work/groups" && mount -t sysfs sysfs /sys && mount --rbind "$work/groups" /sys/fs/cgroup
mount -t tmpfs -o size=2g,mode=755 lxc /var/lib/lxc
mount -t tmpfs over "$work/over" && mkdir "$work/over/up" "$work/over/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$work/over/up,workdir=$work/over/work" etc /etc
trap 'lxc-stop -k -n here 2>/dev/null || true' EXIT
fail() { cat "$work/out.json"; exit 1; }
corpus() { timeout 300 "$@" --out=json >"$work/out.json" || fail; }
corpus "$@" map.apply
for i in $(seq 50); do timeout 20 "$@" here test.ping --out=quiet && break; sleep 0.3; done
corpus "$@" here test.ping
pid=$(lxc-info -n here -pH)
[ "$(stat -c %u /proc/$pid)" -ge 65536 ] || { echo "root of the guest is root of the node"; exit 1; }
corpus "$@" map.apply
grep -q 'here is as declared' "$work/out.json" || fail
# Row 6: projects go onto guests.
! timeout 60 "$@" mc_project.deploy shop --out=json >"$work/out.json" 2>&1 || { echo "a project is deployed onto a node"; fail; }
grep -q 'not deployed onto a compute node itself' "$work/out.json" || fail
corpus "$@" guest.destroy here
[ -z "$(ls /var/lib/lxc; ip -o link | grep cbkbr; nft list tables; ls /etc/corpus-cloud.nft /etc/corpus-compute-node 2>/dev/null)" ] || { echo "it left something"; exit 1; }
EOF
nsenter --net=/run/netns/cbk unshare -m sh "$work/local.sh" "$work" "$CORPUS" -c "$work/etc" || die "on local"
say "the end left nothing"
