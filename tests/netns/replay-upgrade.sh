#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
# xipsecd dies by kill -9 before it wrote down what was received last, and the data path is made anew
# before the next one starts: nothing of that is accepted again, and fresh traffic flows.
#
#	red-a --- gw-a ===[capture; replay from here]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/replay.sh"
NEXT=$BUILD/next # the same source, built with another XIPSEC_ABI
PINS=/sys/fs/bpf/$TOPO-b

states_id() { bpftool -j map show pinned "$PINS/sa_state" | jq .id; }

# after WHAT COMMAND...: dies, the command makes the data path anew, the next one starts.
after()
{
	local what=$1
	shift
	converse "$what"
	gw_kill b all
	check "$what: done" "$@"
	start_and_replay "$what"
}

cleared_pins()
{
	rm -rf "${PINS:?}"
	attach_b
}

detached() { gw b detach --all >/dev/null 2>&1 && attach_b; }

max_sas()
{
	sed -i "/max_sas/d; s/^workers = .*/&\nmax_sas = $1/" "$WORK/gw-b.conf"
	attach_b --upgrade && [ "$(states_room)" = "$1" ]
}

max_sas_cleared_pins()
{
	rm -rf "${PINS:?}"
	max_sas "$1"
}

other_build()
{
	XIPSEC=$1/xipsec XIPSECD=$1/xipsecd
	attach_b --upgrade
}

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
MAC_B=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')

id=$(states_id)
after "an upgrade" attach_b --upgrade
check_eq "windows stand where they stood" "$(states_id)" "$id"
after "an attach after bpffs was cleared" cleared_pins
check_eq "windows stand where they stood, without pins too" "$(states_id)" "$id"

# The switch is made beside a running xipsecd, which dies before it sees it.
what="an upgrade just before the death"
converse "$what"
check "$what: done" attach_b --upgrade
gw_kill b all
start_and_replay "$what"

after "a larger max_sas" max_sas 2048
after "a smaller max_sas after bpffs was cleared" max_sas_cleared_pins 256
after "a detach" detached
if [ -x "$NEXT/xipsecd" ]; then
	after "an upgrade to another ABI" other_build "$NEXT"
else
	skip "replay-upgrade: $NEXT is not built: make variants"
fi

# Beside a running xipsecd another size has to wait.
id=$(states_id)
check "max_sas is changed beside a running xipsecd" eval '! max_sas 512'
check_eq "windows stay where they are" "$(states_id)" "$id"
check "and that is told" grep -q "max_sas" "$WORK/attach-b.log"
check "the tunnel goes on" until_true 5 ping4 a 3
