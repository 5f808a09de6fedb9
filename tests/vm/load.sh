#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Gives every BPF object of $BUILD to the verifier of the running kernel and says what it thinks.
# The quickest answer to "does this load on 6.1?": tests/vm/run.sh -k 6.1 -- tests/vm/load.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
PINS=/sys/fs/bpf/xipsec-load-$$
status=0
trap 'rm -rf "$PINS"' EXIT

for object in "$BUILD"/bpf/*.bpf.o; do
	[ -e "$object" ] || {
		echo "not ok - load: there are no objects in $BUILD/bpf: make"
		exit 1
	}
	# What a kernel may lack: `xipsec status --features` tries its programs one by one.
	[ "$(basename "$object")" != kfuncs.bpf.o ] || continue
	mkdir -p "$PINS" || exit 1
	start=$SECONDS
	if said=$(bpftool prog loadall "$object" "$PINS" 2>&1); then
		echo "ok - load: $(basename "$object"): Linux $(uname -r) takes $(cd "$PINS" && echo ./* | sed 's,\./,,g')"
		echo "# in $((SECONDS - start)) s"
	else
		echo "not ok - load: $(basename "$object"): Linux $(uname -r) refuses it"
		tail -n 40 <<<"$said" | sed 's/^/# /'
		status=1
	fi
	rm -rf "$PINS"
done
exit $status
