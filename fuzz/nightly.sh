#!/usr/bin/env bash
# Fuzzes every target for a minute (or for the seconds given): needs `cargo install cargo-fuzz` and a
# C++ compiler. What breaks lies in fuzz/artifacts/TARGET; mend it, and keep the file, made small by
# `cargo fuzz tmin`, in fuzz/regressions/TARGET, where the tests replay it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
# The sanitizer's flags are those of a nightly compiler; the stable one takes them if told to.
export RUSTC_BOOTSTRAP=1
broken=0
for target in log scenario config feed; do
    printf '\n== %s\n' "$target"
    mkdir -p "fuzz/found/$target"
    # New inputs go to the first directory; standard error is full of what the programs say.
    cargo fuzz run "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 || broken=1
done
exit "$broken"
