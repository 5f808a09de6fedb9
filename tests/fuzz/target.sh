#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One fuzz target for FUZZ_TIME seconds: target.sh NAME. Starts from tests/fuzz/corpus/NAME and what
# earlier runs found ($BUILD/fuzz/corpus/NAME, where new finds go too). Prints one line `ok` or
# `not ok`; an input that fails is kept in $BUILD/fuzz/found/.
set -u
cd "$(dirname "$0")/../.." || exit 1
name=$1
seconds=${FUZZ_TIME:-60}
base=$(realpath -m "${BUILD:-build}/fuzz")
program=$base/tests/fuzz/fuzz_$name
grown=$base/corpus/$name
found=$base/found
log=$(mktemp)
trap 'rm -f "$log"' EXIT

if [ ! -x "$program" ]; then
	echo "not ok - $name: is not built: make fuzz-build"
	exit 1
fi
mkdir -p "$grown" "$found"
# Leaks count: -detect_leaks is on by default. The end of ASan's text tells of what it saw.
"$program" -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=2048 -close_fd_mask=1 \
	-print_final_stats=1 -artifact_prefix="$found/$name-" "$grown" "tests/fuzz/corpus/$name" \
	>"$log" 2>&1
status=$?
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
covered=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1)
if [ $status -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
	echo "ok - $name: $seconds s, $runs inputs, $covered"
	exit 0
fi
grep -aE -A 14 'does not hold|ERROR: |runtime error|SUMMARY' "$log" | head -n 60
input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
echo "not ok - $name: ${input:-no input was kept, status $status}${input:+: again with $program $input}"
exit 1
