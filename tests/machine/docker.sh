#!/usr/bin/env bash
# docker.sh: the docker_* states on a real daemon. Brings Debian's docker.io and docker-registry without letting them start
# (the tests start them in a network of their own: in the machine's, Docker would forbid forwarding to everybody else) and
# runs their tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "docker.sh: needs root" >&2; exit 1; }
if ! { command -v dockerd && command -v docker-registry; } >/dev/null; then
    policy=/usr/sbin/policy-rc.d own=no
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; own=yes; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io docker-registry iptables busybox-static >/dev/null
    [ "$own" = no ] || rm -f "$policy"
fi
exec cargo test --test it docker::
