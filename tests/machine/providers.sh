#!/usr/bin/env bash
# providers.sh: package and service managers of other systems, as their real tools that Debian carries, in a guest whose
# apt and systemd are hidden: dnf, zypper, pacman; OpenRC, runit. (Debian's busybox has no user tools, and Debian has no apk.)
#
#   providers.sh CORPUS [NAME…]
#
# Each is asked and made to act through states, twice: the second run must be empty. Prints one line each; exit 1 if any fails.
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
GUEST=$HERE/guest.sh
[ $# -ge 1 ] || { sed -n '2,8p' "$0" | sed 's/^# \?//'; exit 2; }
CORPUS=$1
shift
[ $# -gt 0 ] || set -- dnf zypper pacman openrc runit
trap '"$GUEST" down providers' EXIT
failed=0
for name in "$@"; do
    "$GUEST" up providers
    "$GUEST" put providers "$CORPUS" /srv/corpus
    "$GUEST" put providers "$HERE/providers-inside.sh" /srv/providers-inside.sh
    if said=$("$GUEST" exec providers unshare -m bash /srv/providers-inside.sh "$name" 2>&1); then
        echo "$name: ok"
    else
        failed=$((failed + 1))
        echo "$name: FAILED"
        sed 's/^/   /' <<<"$said"
    fi
done
echo "$(($# - failed)) passed, $failed failed"
[ $failed = 0 ]
