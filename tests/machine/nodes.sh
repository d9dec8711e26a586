# Sourced by clouds.sh and backings.sh: nodes of the lab on which containers run, and a folder for their master. Expects LAB_DIR,
# LAB_NET, LAB_TAG and `who`, and takes [CORPUS [MINION]].
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
CORPUS=${1:-$root/target/debug/corpus}
export CORPUS_MINION=${2:-$(dirname "$CORPUS")/corpus-minion} NO_COLOR=1
bases=${CLOUD_BASES:-/var/cache/corpus-bases}
work=$(mktemp -d "/var/tmp/corpus-$who-XXXXXX")

lab() { bash "$root/tests/lab/lab.sh" "$@"; }
corpus() { timeout 300 "$CORPUS" -c "$work/etc" "$@"; }
say() { printf '%s\n' "$who: $*"; }
die() { say "$*" >&2; exit 1; }
# Gives a node control groups of its own, as containers need them.
control_groups() {
    lab exec "$1" sh -c '
        mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
        for c in cpu cpuacct memory pids freezer devices blkio cpuset; do
            mkdir -p /sys/fs/cgroup/$c && mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c
        done
        mkdir -p /sys/fs/cgroup/systemd && mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd' ||
        die "node $1 cannot have containers"
}
