#!/usr/bin/env bash
# guest.sh: throw-away Debian guests with a running systemd (LXC), for what namespaces alone cannot show:
# packages really installed, services really started. Needs root on Debian; installs lxc and mmdebstrap.
#
#   guest.sh base              build the file system that all guests start from (minutes, once)
#   guest.sh layer NAME CMD    a second one over it: CMD runs in a chroot with this machine's network
#   guest.sh up NAME [LAYER]   start a guest
#   guest.sh exec NAME CMD     run a command inside
#   guest.sh put NAME SRC DST  copy a file or folder into it
#   guest.sh root NAME         where its file system lies on this machine
#   guest.sh reset NAME        the guest as it was after `up` (about a second)
#   guest.sh down [NAME]       take it, or all and their network, down
#   guest.sh clean             `down`, and the file systems too: nothing is left
#
# GUEST_DIR (/var/lib/corpus-guests), GUEST_NET (10.96), GUEST_BRIDGE (cguest0), GUEST_CONFIG (a line more for LXC).
# Guests see each other and an apt proxy, not the world.
# This machine's own configuration is not touched: one bridge and one process, gone with `down`.
set -euo pipefail
GUEST_DIR=${GUEST_DIR:-/var/lib/corpus-guests} GUEST_NET=${GUEST_NET:-10.96} BRIDGE=${GUEST_BRIDGE:-cguest0} PROXY_PORT=3142
HERE=$(dirname "$(readlink -f "$0")")
PACKAGES=systemd,systemd-sysv,dbus,openssh-server,python3,python3-venv,iproute2,procps,git,ca-certificates,cron
PACKAGES+=,locales,sudo,gpg,gpg-agent,unzip,xz-utils,bzip2,curl,tzdata,kmod,rsync,iputils-ping,acl,apt-utils
PACKAGES+=,debconf-utils,logrotate,iptables,nftables,passwd,netbase

die() { echo "guest: $*" >&2; exit 1; }

tools() {
    [ "$(id -u)" = 0 ] || die "needs root"
    local need=()
    command -v lxc-start >/dev/null || need+=(lxc)
    command -v mmdebstrap >/dev/null || need+=(mmdebstrap)
    command -v ip >/dev/null || need+=(iproute2)
    command -v python3 >/dev/null || need+=(python3)
    [ ${#need[@]} = 0 ] && return
    command -v apt-get >/dev/null || die "please install: ${need[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
}

mirrors() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        grep -oE 'https?://[^ ]+' | grep -v snapshot | sort -u
}
mirror() { mirrors | grep -E '/debian/?$' | head -1; }

base() {
    tools
    [ -e "$GUEST_DIR/base/etc/debian_version" ] && return
    mkdir -p "$GUEST_DIR"
    rm -rf "$GUEST_DIR/base.part" "$GUEST_DIR/base.tar"
    mmdebstrap --quiet --variant=minbase --include="$PACKAGES" --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        bookworm "$GUEST_DIR/base.tar" "$(mirror)"
    unpack "$GUEST_DIR/base.tar"
}

unpack() {
    local root=$GUEST_DIR/base.part
    mkdir -p "$root"
    tar -C "$root" --exclude='./dev/*' -xf "$1"
    rm -f "$1" "$root"/etc/ssh/ssh_host_*
    : >"$root/etc/machine-id"
    echo guest >"$root/etc/hostname"
    printf '127.0.0.1 localhost guest\n::1 localhost ip6-localhost\n' >"$root/etc/hosts"
    printf 'nameserver 127.0.0.1\n' >"$root/etc/resolv.conf"
    echo 'C.UTF-8 UTF-8' >"$root/etc/locale.gen"
    echo "Acquire::http::Proxy \"http://$GUEST_NET.0.1:$PROXY_PORT\";" >"$root/etc/apt/apt.conf.d/90proxy"
    echo 'force-unsafe-io' >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    # What has no business in a container, and timers that would change the guest behind a test's back.
    local unit
    for unit in apt-daily.timer apt-daily-upgrade.timer sys-kernel-debug.mount systemd-networkd-wait-online.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    mv "$root" "$GUEST_DIR/base"
}

layer() {
    base
    network
    local name=$1 dir=$GUEST_DIR/layer-$1
    shift
    [ -e "$dir/done" ] && return
    umount -R "$dir/root" 2>/dev/null || true
    rm -rf "$dir"
    mkdir -p "$dir/upper" "$dir/work" "$dir/root"
    mount -t overlay -o "lowerdir=$GUEST_DIR/base,upperdir=$dir/upper,workdir=$dir/work" "layer-$name" "$dir/root"
    mount -t proc proc "$dir/root/proc"
    mount --rbind /dev "$dir/root/dev"
    mount --make-rslave "$dir/root/dev"
    cp "$dir/root/etc/resolv.conf" "$dir/resolv.conf"
    cp /etc/resolv.conf "$dir/root/etc/resolv.conf"
    # The machine's own certificates: its way to the package registries may need them.
    mount --rbind /etc/ssl/certs "$dir/root/etc/ssl/certs"
    local rc=0
    chroot "$dir/root" sh -c "$*" || rc=$?
    cp "$dir/resolv.conf" "$dir/root/etc/resolv.conf"
    umount -R "$dir/root"
    [ $rc = 0 ] || die "layer $name: the command failed"
    touch "$dir/done"
}

network() {
    if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
        ip -4 addr show | grep -q "inet $GUEST_NET\." && die "the network $GUEST_NET.0.0/16 is in use; set GUEST_NET"
        ip link add "$BRIDGE" type bridge
        # An address of its own: else it takes that of a guest, and changes it when that one goes.
        ip link set "$BRIDGE" address 02:c0:09:05:00:01
        ip addr add "$GUEST_NET.0.1/16" dev "$BRIDGE"
        ip link set "$BRIDGE" up
    fi
    kill -0 "$(cat "$GUEST_DIR/proxy.pid" 2>/dev/null)" 2>/dev/null && return
    # shellcheck disable=SC2046
    setsid python3 "$HERE/aptproxy.py" "$GUEST_NET.0.1" "$PROXY_PORT" "$GUEST_DIR/debs" \
        $(mirrors | sed -E 's|https?://([^/:]+).*|\1|' | sort -u) </dev/null >"$GUEST_DIR/proxy.log" 2>&1 &
    echo $! >"$GUEST_DIR/proxy.pid"
}

guests() { ls -d "$GUEST_DIR"/guest-* 2>/dev/null | sed 's|.*/guest-||'; }

up() {
    local name=$1 layer=${2:-} dir=$GUEST_DIR/guest-$1 lower=$GUEST_DIR/base n
    base
    network
    down_one "$name"
    [ -n "$layer" ] && lower=$GUEST_DIR/layer-$layer/upper:$lower
    [ -z "$layer" ] || [ -e "$GUEST_DIR/layer-$layer/done" ] || die "there is no layer $layer"
    exec 9>"$GUEST_DIR/lock"
    flock 9
    n=$(cat "$GUEST_DIR"/guest-*/number 2>/dev/null | sort -n | tail -1 || true)
    mkdir -p "$dir/rootfs"
    echo "$((${n:-0} + 1))" >"$dir/number"
    exec 9>&-
    echo "$lower" >"$dir/lower"
    cat >"$dir/config" <<C
lxc.include = /usr/share/lxc/config/common.conf
lxc.arch = linux64
lxc.uts.name = guest
lxc.rootfs.path = dir:$dir/rootfs
lxc.net.0.type = veth
lxc.net.0.link = $BRIDGE
lxc.net.0.flags = up
lxc.net.0.ipv4.address = $GUEST_NET.1.$(cat "$dir/number")/16
lxc.net.0.ipv4.gateway = $GUEST_NET.0.1
lxc.apparmor.profile = unconfined
lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed
${GUEST_CONFIG:-}
C
    start "$name"
}

start() {
    local dir=$GUEST_DIR/guest-$1
    mkdir -p "$dir/upper" "$dir/work"
    mount -t overlay -o "lowerdir=$(cat "$dir/lower"),upperdir=$dir/upper,workdir=$dir/work" "guest-$1" "$dir/rootfs"
    # A base that was built for another network.
    local proxy="Acquire::http::Proxy \"http://$GUEST_NET.0.1:$PROXY_PORT\";" file=$dir/rootfs/etc/apt/apt.conf.d/90proxy
    [ "$(cat "$file")" = "$proxy" ] || echo "$proxy" >"$file"
    lxc-start -P "$GUEST_DIR" -n "guest-$1" -d -o "$dir/log" -l WARN || { cat "$dir/log" >&2; die "guest $1 does not start"; }
    local state _
    for _ in $(seq 600); do
        state=$(inside "$1" systemctl is-system-running 2>/dev/null || true)
        case $state in running) return ;; degraded) inside "$1" systemctl --failed >&2; return ;; esac
        sleep 0.1
    done
    die "guest $1 is still '$state' after a minute"
}

inside() {
    local name=$1
    shift
    lxc-attach -P "$GUEST_DIR" -n "guest-$name" --clear-env -v PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        -v HOME=/root -v LANG=C.UTF-8 -- "$@"
}

stop() {
    lxc-stop -P "$GUEST_DIR" -n "guest-$1" -k 2>/dev/null || true
    umount -l "$GUEST_DIR/guest-$1/rootfs" 2>/dev/null || true
    rm -rf "$GUEST_DIR/guest-$1/upper" "$GUEST_DIR/guest-$1/work"
}

reset() {
    [ -e "$GUEST_DIR/guest-$1/config" ] || die "there is no guest $1"
    stop "$1"
    start "$1"
}

down_one() {
    [ -e "$GUEST_DIR/guest-$1" ] || return 0
    stop "$1"
    rm -rf "$GUEST_DIR/guest-$1"
}

down() {
    local name
    for name in $(guests); do down_one "$name"; done
    [ -e "$GUEST_DIR/proxy.pid" ] && kill "$(cat "$GUEST_DIR/proxy.pid")" 2>/dev/null
    rm -f "$GUEST_DIR/proxy.pid"
    ip link del "$BRIDGE" 2>/dev/null || true
}

case ${1:-} in
    base) base ;;
    layer) shift; layer "$@" ;;
    up) up "${2:?which name}" "${3:-}" ;;
    exec) shift; inside "$@" ;;
    put) cp -aT "$3" "$GUEST_DIR/guest-$2/rootfs$4" ;;
    root) echo "$GUEST_DIR/guest-$2/rootfs" ;;
    reset) reset "$2" ;;
    down) if [ -n "${2:-}" ]; then down_one "$2"; else down; fi ;;
    clean) down; rm -rf "$GUEST_DIR" ;;
    *) sed -n '2,19p' "$0" | sed 's/^# \?//'; exit 2 ;;
esac
