#!/usr/bin/env bash
# Builds the driver of EC2 with its SDK, lints it, and tests it against moto's endpoint. The SDK takes 7 to 8 GiB and
# minutes to compile, so a small machine skips this step, and says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
CARGO=${CARGO:-cargo}
NEED_GIB=10
MOTO=5.2.5
VENV=${CORPUS_MOTO:-/var/tmp/corpus-moto-$MOTO}

have=$(awk '/^MemAvailable:/ { printf "%d", $2 / 1048576 }' /proc/meminfo)
if [ "$have" -lt "$NEED_GIB" ] && [ -z "${EC2_ANYWAY:-}" ]; then
    printf '\n%s\n' "######## SKIPPED: THE EC2 DRIVER WAS NOT BUILT AND NOT TESTED ########" \
        "Compiling aws-sdk-ec2 takes 8 GiB of memory; $have GiB are free, and $NEED_GIB are asked for." \
        "EC2_ANYWAY=1 make ec2 does it anyway." \
        "######################################################################" >&2
    exit 0
fi

# Its programs know where they were made, so it is made in its place, and is whole when the last file is there.
if [ ! -e "$VENV/ready" ]; then
    python3 -c 'import ensurepip' 2>/dev/null || apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    echo "ec2: installing moto $MOTO to $VENV"
    rm -rf "$VENV"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "moto[ec2,server]==$MOTO"
    touch "$VENV/ready"
fi

# Linted as it is compiled: clippy by itself would have the SDK compiled once more.
RUSTC_WORKSPACE_WRAPPER=$(command -v clippy-driver)
CLIPPY_ARGS="-Dwarnings__CLIPPY_HACKERY__"
export RUSTC_WORKSPACE_WRAPPER CLIPPY_ARGS
# One call for both: in two the SDK's own dependencies would differ in features, and it would be compiled twice.
CORPUS_MOTO=$VENV "$CARGO" test --locked --features ec2 --package corpus --package corpus-ec2-sdk --test ec2 --test answers -- --nocapture
