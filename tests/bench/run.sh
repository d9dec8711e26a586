#!/usr/bin/env bash
# `make bench`: corpus beside its peers and beside the physical floor, in one run, as ratios.
#   BENCH_DIR      workloads, virtual environments, results  (default: a folder under /var/tmp)
#   BENCH_ONLY     some of: w1 w2 w3 w4 w5 minion compile pillar push trees   (default: all)
#   BENCH_PEERS    some of: salt ansible pyinfra               (default: salt; the others take many minutes)
#   BENCH_RUNS     counted runs per row                        (default 5)
set -euo pipefail
cd "$(dirname "$0")/../.."
export BENCH_DIR=${BENCH_DIR:-/var/tmp/corpus-bench}
only=${BENCH_ONLY:-w1 w2 w3 w4 w5 minion compile pillar push trees}
wanted() { [[ " $only " == *" $1 "* ]]; }

runs=$(for name in w1 w2 w3 w4 w5 minion; do if wanted "$name"; then printf '%s ' "$name"; fi; done)
if [ -n "$runs" ]; then
    BENCH_ONLY=$runs python3 tests/bench/bench.py --corpus target/release/corpus \
        --minion "$(ls target/minion/*/minion/corpus-minion)" "$@"
fi
# The peer that the runs above have installed.
salt=${BENCH_PEERS_DIR:-$BENCH_DIR/peers}/salt/bin/python
[ -x "$salt" ] && beside=(--salt "$salt") || beside=()
if wanted compile; then
    cargo build --release --locked --quiet --package corpus-master --example fleet
    python3 tests/bench/fleet.py --dir "$BENCH_DIR/fleet" "${beside[@]}"
fi
if wanted pillar; then python3 tests/bench/pillar.py "${beside[@]}"; fi
if wanted push; then python3 tests/bench/push.py; fi
if wanted trees; then python3 tests/bench/trees.py; fi
