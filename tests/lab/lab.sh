#!/usr/bin/env bash
# lab.sh: throw-away hosts on this machine, for tests and the demo. Needs root, ip, unshare and sshd.
#
#   lab.sh up N        make hosts h1..hN, each with its own network, mount, PID, UTS and IPC namespaces,
#                      its own /etc (an overlay over the base), its own sshd and address
#   lab.sh down        take everything down again
#   lab.sh roster      print a roster of the hosts; known_hosts and the key lie in $LAB_DIR
#   lab.sh exec N CMD  run a command inside a host
#   lab.sh kill N      power a host off: all of its processes die at once
#   lab.sh reset N     a host's file system as it was in the beginning
#   lab.sh add N       one host more; host_key_N and authorized_N in $LAB_DIR are its keys if they are there
#   lab.sh drop N      takes one host down
#
# LAB_DIR (/run/corpus-lab), LAB_NET (10.97), LAB_BASE (/: this machine's own files, never written to).
set -euo pipefail
LAB_DIR=${LAB_DIR:-/run/corpus-lab} LAB_NET=${LAB_NET:-10.97} LAB_BASE=${LAB_BASE:-/} LAB_TAG=${LAB_TAG:-clab}
BRIDGE=${LAB_TAG}0
SELF=$(readlink -f "$0")

die() { echo "lab: $*" >&2; exit 1; }
ip_of() { echo "$LAB_NET.1.$1"; }

network() {
    ip link show "$BRIDGE" >/dev/null 2>&1 && return
    ip -4 addr show | grep -q "inet $LAB_NET\." && die "the network $LAB_NET.0.0/16 is in use; set LAB_NET"
    ip link add "$BRIDGE" type bridge
    ip addr add "$LAB_NET.0.1/16" dev "$BRIDGE"
    ip link set "$BRIDGE" up
}

# Runs inside the host's new namespaces: makes the overlay its root and becomes its init.
boot() {
    local dir=$1
    cd "$dir/root"
    mount --make-rprivate /
    mount --bind . .
    cd "$dir/root"
    mkdir -p proc sys dev run tmp .old
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t tmpfs -o mode=755,size=64k dev dev
    mount -t tmpfs -o mode=755 run run
    mount -t tmpfs -o mode=1777 tmp tmp
    mkdir -p run/sshd run/lock dev/pts dev/shm
    local name major minor
    while read -r name major minor; do mknod -m 666 "dev/$name" c "$major" "$minor"; done <<'D'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
D
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    ln -s /proc/self/fd/0 dev/stdin
    ln -s /proc/self/fd/1 dev/stdout
    ln -s /proc/self/fd/2 dev/stderr
    mount -t tmpfs shm dev/shm
    hostname "$(cat etc/hostname)"
    pivot_root . .old
    umount -l /.old
    rmdir /.old
    cd /
    exec </dev/null >/var/log/lab-boot.log 2>&1
    # PID 1 must reap orphans and never leave: bash does, and starts the one service.
    /usr/sbin/sshd -D -E /var/log/lab-sshd.log -o UsePAM=no -o PermitRootLogin=prohibit-password \
        -o HostKey=/etc/ssh/lab_host_key -o PidFile=/run/sshd.pid -o MaxStartups=200 -o PrintMotd=no \
        -o Subsystem='sftp internal-sftp' -o StrictModes=no -o AuthorizedKeysFile=/etc/ssh/lab_authorized_keys -f /dev/null -h /etc/ssh/lab_host_key &
    while :; do wait || true; sleep 3600 & wait $! || true; done
}

up_one() {
    local i=$1 ns=$LAB_TAG-h$1
    ip netns add "$ns"
    ip link add "$LAB_TAG-v$i" type veth peer name eth0 netns "$ns"
    ip link set "$LAB_TAG-v$i" master "$BRIDGE" up
    ip -n "$ns" addr add "$(ip_of "$i")/16" dev eth0
    ip -n "$ns" link set eth0 up
    ip -n "$ns" link set lo up
    ip -n "$ns" route add default via "$LAB_NET.0.1"
    files_one "$i"
    start_one "$i"
}

files_one() {
    local i=$1 dir=$LAB_DIR/h$1
    mkdir -p "$dir"
    mount -t tmpfs -o size=1G,mode=755 "$LAB_TAG-h$i" "$dir"
    mkdir "$dir/upper" "$dir/work" "$dir/root"
    mount -t overlay -o "lowerdir=$LAB_BASE,upperdir=$dir/upper,workdir=$dir/work" "$LAB_TAG-h$i" "$dir/root"
    local etc=$dir/root/etc
    echo "h$i" >"$etc/hostname"
    printf '127.0.0.1 localhost\n%s h%s\n' "$(ip_of "$i")" "$i" >"$etc/hosts"
    mkdir -p "$etc/ssh"
    cp "$LAB_DIR/host_key_$i" "$etc/ssh/lab_host_key"
    local keys=$LAB_DIR/authorized_$i
    [ -e "$keys" ] || keys=$LAB_DIR/key.pub
    cp "$keys" "$etc/ssh/lab_authorized_keys"
    chmod 600 "$etc/ssh/lab_host_key"
    # A login shell's rc files cost hundreds of milliseconds and are this machine's, not the host's.
    rm -f "$dir/root/root/.bashrc" "$dir/root/root/.profile" "$dir/root/root/.bash_profile"
}

start_one() {
    local i=$1 dir=$LAB_DIR/h$1 ns=$LAB_TAG-h$1
    nsenter --net="/run/netns/$ns" setsid unshare --mount --uts --ipc --pid --fork --kill-child \
        bash "$SELF" boot "$dir" </dev/null >"$LAB_DIR/h$i.log" 2>&1 &
    echo $! >"$dir/pid"
}

wait_one() {
    local i=$1 _
    for _ in $(seq 300); do
        if (exec 3<>"/dev/tcp/$(ip_of "$i")/22") 2>/dev/null; then return; fi
        sleep 0.05
    done
    cat "$LAB_DIR/h$i.log" "$LAB_DIR/h$i/root/var/log/lab-boot.log" "$LAB_DIR/h$i/root/var/log/lab-sshd.log" >&2 || true
    die "host h$i does not answer on $(ip_of "$i"):22"
}

up() {
    [ "$(id -u)" = 0 ] || die "needs root"
    [ -x /usr/sbin/sshd ] || die "needs sshd (apt-get install openssh-server)"
    down 2>/dev/null || true
    mkdir -p "$LAB_DIR"
    chmod 700 "$LAB_DIR"
    network
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB_DIR/key" <<<y >/dev/null
    : >"$LAB_DIR/known_hosts"
    local i
    for i in $(seq "$1"); do
        ssh-keygen -q -t ed25519 -N '' -C "h$i" -f "$LAB_DIR/host_key_$i" <<<y >/dev/null
        echo "$(ip_of "$i") $(cut -d' ' -f1,2 "$LAB_DIR/host_key_$i.pub")" >>"$LAB_DIR/known_hosts"
    done
    for i in $(seq "$1"); do up_one "$i"; done
    for i in $(seq "$1"); do wait_one "$i"; done
    roster >"$LAB_DIR/roster"
    cat >"$LAB_DIR/ssh_config" <<C
Host *
  User root
  IdentityFile $LAB_DIR/key
  IdentitiesOnly yes
  UserKnownHostsFile $LAB_DIR/known_hosts
  StrictHostKeyChecking yes
  LogLevel ERROR
C
}

add() {
    local key=$LAB_DIR/host_key_$1
    [ -e "$key" ] || ssh-keygen -q -t ed25519 -N '' -C "h$1" -f "$key" >/dev/null
    up_one "$1"
    wait_one "$1"
}

hosts() { ls "$LAB_DIR" 2>/dev/null | sed -n 's/^h\([0-9]*\)$/\1/p' | sort -n; }

roster() {
    local i
    for i in $(hosts); do
        printf 'h%s:\n  host: %s\n  user: root\n  priv: %s/key\n  ssh_options: [UserKnownHostsFile=%s/known_hosts]\n' \
            "$i" "$(ip_of "$i")" "$LAB_DIR" "$LAB_DIR"
    done
}

# The host's PID 1, seen from here: the child of the unshare that was started for it.
init_of() { pgrep -P "$(cat "$LAB_DIR/h$1/pid")"; }

kill_one() { kill -9 "$(init_of "$1")" 2>/dev/null || true; }

down_one() {
    local i=$1
    kill_one "$i"
    ip netns del "$LAB_TAG-h$i" 2>/dev/null || true
    ip link del "$LAB_TAG-v$i" 2>/dev/null || true
    no_files_one "$i"
}

no_files_one() {
    local dir=$LAB_DIR/h$1
    umount -l "$dir/root" 2>/dev/null || true
    umount -l "$dir" 2>/dev/null || true
    rmdir "$dir" 2>/dev/null || true
}

down() {
    local i
    for i in $(hosts); do down_one "$i"; done
    ip link del "$BRIDGE" 2>/dev/null || true
    rm -rf "$LAB_DIR"
}

reset_one() {
    local i=$1
    # The network stays: the kernel may take many seconds to clear one away.
    kill_one "$i"
    no_files_one "$i"
    files_one "$i"
    start_one "$i"
    wait_one "$i"
}

inside() {
    local i=$1
    shift
    nsenter -t "$(init_of "$i")" --mount --uts --ipc --net --pid -- "$@"
}

case ${1:-} in
    up) up "${2:?how many hosts}" ;;
    boot) boot "$2" ;;
    down) down ;;
    roster) roster ;;
    hosts) hosts ;;
    kill) kill_one "$2" ;;
    start) start_one "$2"; wait_one "$2" ;;
    reset) reset_one "$2" ;;
    add) add "$2" ;;
    drop) down_one "$2" ;;
    exec) shift; inside "$@" ;;
    *) sed -n '2,16p' "$SELF" | sed 's/^# \?//'; exit 2 ;;
esac
