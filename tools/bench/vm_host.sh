#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# make bench-vm: starts the guest that vm.sh runs in, prints its rows and puts them into the report of
# `make bench`, in place of those of the last time.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
REPORT=$BUILD/bench/report.json
RESULTS=$BUILD/bench/vm

mkdir -p "$RESULTS"
rm -rf "$RESULTS/out"
tests/vm/run.sh -i -k "${KERNEL:-6.12}" -t "${LIMIT:-1800}" -r "$RESULTS" -- tools/bench/vm.sh >"$RESULTS/log" 2>&1 || {
	tail -n 30 "$RESULTS/log" >&2
	exit 1
}
{
	echo "# Instructions a packet, frames of 64 and 1400 bytes, AES-128-GCM, one processor of software emulation; Linux"
	sed 's/^/# /' "$RESULTS/out/about"
	jq -r '.[] | [.name, .ours, .other, .ratio, .other_name] | @tsv' "$RESULTS/out/rows.json" |
		awk -F'\t' '{ printf "%-24s %8.0f %8.0f %6.2f  %s\n", $1, $2, $3, $4, $5 }'
} >&2
[ -s "$REPORT" ] || echo '[]' >"$REPORT"
jq -s '(.[0] | map(select(.name | startswith("vm-") | not))) + .[1]' "$REPORT" "$RESULTS/out/rows.json" >"$REPORT.new" &&
	mv "$REPORT.new" "$REPORT" && echo "# written: $REPORT" >&2
