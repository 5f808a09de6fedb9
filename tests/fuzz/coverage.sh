#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Lines of worker/ and lib/ that the inputs of all targets reach, seeds and finds of earlier runs:
# each is run once in a build that counts. Prints llvm-cov's table, the files that no target links left out.
set -eu
cd "$(dirname "$0")/../.."
base=$(realpath -m "${BUILD:-build}")
programs=$base/fuzz-coverage/tests/fuzz
profiles=$base/fuzz-coverage/profiles
objects=()
rm -rf "$profiles" && mkdir -p "$profiles"
for program in "$programs"/fuzz_*; do
	name=$(basename "$program")
	name=${name#fuzz_}
	case $name in *.*) continue ;; esac
	[[ $name == *${ONLY:-}* ]] || continue
	corpus=("tests/fuzz/corpus/$name")
	[ ! -d "$base/fuzz/corpus/$name" ] || corpus+=("$base/fuzz/corpus/$name")
	LLVM_PROFILE_FILE=$profiles/$name.raw "$program" -runs=0 -close_fd_mask=3 "${corpus[@]}" >/dev/null 2>&1
	objects+=(-object "$program")
done
llvm-profdata merge -o "$profiles/all" "$profiles"/*.raw
llvm-cov report "${objects[@]}" -instr-profile "$profiles/all" \
	-ignore-filename-regex='^/usr|/gen/|tests/|/include/' |
	awk '$1 == "TOTAL" || ($10 ~ /%$/ && $10 != "0.00%") { printf "%-36s %5d lines %7s reached\n", $1, $8, $10 }'
