#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What `make test` and `make test-vm` run in the guest: kernel XFRM as the peer of our ESP, what the
# verifier thinks, all program tests, what differs between kernels of the rest (the dispatcher, VLAN
# tags, jumbo MTUs where they are refused), and a tunnel from end to end. The scenarios of engine xfrm are
# most of it: `make test` has the kernels share them (XIPSEC_SHARE). With ONLY: the program, namespace and
# interop tests whose names hold it.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/kernel.sh
[ -n "${XIPSEC_VM:-}" ] || {
	echo "short.sh: runs in the guest: make test-vm" >&2
	exit 1
}
export LOGS=$RESULTS/log
[ -z "${ONLY:-}" ] || exec tests/run.sh prog netns interop

status=0
# part NAME COMMAND...: one line for what prints none.
part()
{
	local name=$1
	shift
	if "$@" >"$LOGS/$name.log" 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		tail -n 30 "$LOGS/$name.log" | sed 's/^/# /'
		status=1
	fi
}

mkdir -p "$LOGS"
ONLY=kernel tests/run.sh interop || status=1 # its XFRM as our peer: loads no program
bash tests/vm/load.sh || exit 1 # none of the others could do anything
tests/run.sh prog || status=1
ONLY=features tests/run.sh netns || status=1
SHARE=${XIPSEC_SHARE:-} ONLY=engine-xfrm tests/run.sh netns || status=1
ONLY=dispatcher tests/run.sh netns || status=1
ONLY=vlan tests/run.sh netns || status=1
multi_buffer || bash tests/netns/jumbo.sh || status=1 # the refusal: where it is none, it takes minutes
SECONDS_EACH=2 part demo tests/demo.sh
exit $status
