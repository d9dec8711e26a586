#!/usr/bin/env bash
# `make bench`: corpus beside its peers and beside the physical floor, in one run, as ratios.
#   BENCH_DIR      workloads, virtual environments, results  (default: a folder under /var/tmp)
#   BENCH_ONLY     some of: w1 w2 w3 w4 w5 minion              (default: all)
#   BENCH_PEERS    some of: salt ansible pyinfra               (default: salt; the others take many minutes)
#   BENCH_RUNS     counted runs per row                        (default 5)
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 tests/bench/bench.py --corpus target/release/corpus --minion "$(ls target/minion/*/minion/corpus-minion)" "$@"
