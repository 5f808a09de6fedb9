#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Another build, of another ABI, takes over under load: its maps and programs beside the old ones,
# then the switch; first with the old xipsecd still alive, then the way back with it stopped.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"
NEXT=$BUILD/next

if [ ! -x "$NEXT/xipsecd" ]; then
	skip "upgrade: $NEXT is not built: make variants"
	exit 0
fi

upgrade_alive()
{
	XIPSEC=$NEXT/xipsec XIPSECD=$NEXT/xipsecd
	gw a attach --all --upgrade || [ $? -eq 4 ] || return
	sleep 0.5
	gw_stop a
	gw_start a
}

back_stopped()
{
	gw_stop a
	XIPSEC=$BUILD/xipsec XIPSECD=$BUILD/xipsecd
	gw a attach --all --upgrade || [ $? -eq 4 ] || return
	gw_start a
}

same_abi_under_load()
{
	gw b attach --all --upgrade || [ $? -eq 4 ]
}

leak_begin || exit 1
leak_act "a new generation of the same ABI beside a running xipsecd" same_abi_under_load
leak_act "upgrade to another ABI beside a running xipsecd" upgrade_alive
check_eq "the new ABI rules" "$(gw a status --json | jq .pinned_abi)" 1000
leak_act "and back to the old one with xipsecd stopped" back_stopped
leak_end
