#!/bin/sh
# Fuzzes one target: fuzz/run.sh parse|round_trip|complete [seconds]
#
# The seeds are the queries of the language's tests. What is found lies in fuzz/artifacts; when it is mended, its
# text becomes a case of crates/dql/src/tests.
set -eu
cd "$(dirname "$0")"
target=$1
seconds=${2:-600}
mkdir -p "corpus/$target"
awk -v folder="corpus/$target" -v lead="$([ "$target" = complete ] && echo '@A' || true)" '
    BEGIN { RS = ""; number = 0 }
    /^## / { next }
    {
        sub(/\n=>.*/, "")
        file = folder "/seed-" number++
        printf "%s%s", lead, $0 > file
        close(file)
    }' ../crates/dql/src/tests/queries.dql ../crates/dql/src/tests/diagnostics.txt
# There is no unsafe code to watch, so no sanitizer slows the run down.
exec cargo +nightly fuzz run --fuzz-dir . --sanitizer none "$target" -- \
    -dict=dql.dict -max_len=4096 -timeout=10 -rss_limit_mb=2048 -max_total_time="$seconds" -print_final_stats=1
