#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Death of workers where the kernel maps the rings of a bound socket only once (before Linux 6.4):
# their sockets and memory are made anew. A debug build does so on every kernel.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions, two workers each
QUEUES=2 GW_WORKERS=2
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"
XIPSECD=$BUILD/hostile/xipsecd GW_OPTIONS=--no-remap

if [ ! -x "$XIPSECD" ]; then
	skip "leak-remake: $BUILD/hostile is not built: make variants"
	exit 0
fi

renewed() { grep -c 'gets new sockets and new memory' "$WORK/xipsecd-$1.log.new"; }

kill_one()
{
	kill -KILL "$(gw_workers "$1" | head -n 1)"
}

# Again and again, some of them while the sockets are being made anew.
kill_in_a_row()
{
	for _ in 1 2 3 4 5 6; do
		until_true 3 gw_workers "$1"
		gw_kill_workers "$1"
		sleep 0.1
	done
}

leak_begin || exit 1
leak_act "kill -9 of one of gw-a's workers" kill_one a
check_eq "that one has got new sockets, the other kept its own" "$(renewed a)" 1
leak_act "kill -9 of all of gw-a's workers" gw_kill_workers a
check_eq "each has got new sockets" "$(renewed a)" 3
leak_act "kill -9 of gw-b's workers six times in a row" kill_in_a_row b
check_gt "gw-b's workers have got new sockets" "$(renewed b)" 1
leak_end
