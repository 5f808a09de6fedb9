#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Death under load: workers, xipsecd, both, then an orderly restart. Nothing leaves in the clear.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"

kill_xipsecd_and_start()
{
	gw_kill "$1" "${2:-}" || return
	sleep 0.7 # the gap in which something could leak
	gw_start "$1"
}

restart()
{
	gw_stop "$1" && sleep 0.5 && gw_start "$1"
}

leak_begin || exit 1
leak_act "kill -9 of gw-a's workers" gw_kill_workers a
leak_act "kill -9 of gw-b's workers" gw_kill_workers b
leak_act "kill -9 of gw-a's xipsecd, start" kill_xipsecd_and_start a
leak_act "kill -9 of gw-b's xipsecd and workers, start" kill_xipsecd_and_start b all
leak_act "kill -9 of gw-a's xipsecd and workers, start" kill_xipsecd_and_start a all
leak_act "restart of gw-a's xipsecd" restart a
leak_act "restart of gw-b's xipsecd" restart b

gw_kill a all
sleep 1
of_workers check "while xipsecd is dead nothing is carried" load_stands
leak_end
