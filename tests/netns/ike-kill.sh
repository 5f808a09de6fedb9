#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Death under load where IKE makes the keys: the process that reads the network, the whole daemon,
# xipsecd; an orderly restart. SAs live on without IKE, are replaced when it is back, and nothing
# leaves in the clear.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/leak.sh"

# The SPIs of the SAs that carry the load, in the order of their direction.
spis() { gw "$1" sa list --json | jq -r '[.[] | select(.child == "peer/net4") | .spi] | sort | join(" ")'; }

# Other SAs than those in $2 have taken over, and the old ones are gone.
renewed()
{
	local spi now
	now=$(spis "$1")
	[ "$(wc -w <<<"$now")" = 2 ] || return 1
	for spi in $2; do
		[[ " $now " != *" $spi "* ]] || return 1
	done
}

# act NODE COMMAND...: the load does not stop for it, and afterwards the SAs are new ones.
without_a_break()
{
	local x=$1 before ab
	shift
	before=$(spis "$x")
	"$@" || return
	load_moves 2 || return # by the old SAs
	until_true 20 renewed "$x" "$before" || {
		echo "# still $(spis "$x"), as before: $before"
		return 1
	}
}

kill_and_start() { ike_kill "$1" && load_moves 2 && ike_start "$1"; }
leave_and_start() { ike_leave "$1" && load_moves 2 && ike_start "$1"; }
kill_xipsecd_and_start()
{
	gw_kill "$1" "${2:-}" || return
	sleep 0.7 # the gap in which something could leak
	gw_start "$1"
}
forgot() { [ "$(ike_forgot "$1")" -gt 0 ]; }

ike_tunnel()
{
	ike_start a && ike_start b && until_true 10 ping4 a 1 && until_true 10 ping6 a 1
}
tunnel_works() { ike_tunnel; }

leak_begin || exit 1
leak_act "kill -9 of gw-a's child" without_a_break a ike_kill_child a
leak_act "kill -9 of gw-b's child" without_a_break b ike_kill_child b
leak_act "kill -9 of gw-a's xipsec-iked, start" without_a_break a kill_and_start a
leak_act "kill -9 of gw-b's xipsec-iked, start" without_a_break b kill_and_start b
leak_act "restart of gw-a's xipsec-iked that leaves its SAs" without_a_break a leave_and_start a
for x in a b; do
	check "gw-$x: no INITIAL_CONTACT came, by which it would have deleted what carries traffic" eval "! forgot $x"
done
leak_act "kill -9 of gw-a's xipsecd, start: a new epoch" kill_xipsecd_and_start a
leak_act "kill -9 of gw-b's xipsecd and workers, start" kill_xipsecd_and_start b all
leak_act "kill -9 of gw-a's workers" gw_kill_workers a
ike_kill a
gw_kill a all
sleep 1
check "while both are dead nothing is carried" load_stands
check "gw-a's xipsecd starts" gw_start a
check "gw-a's xipsec-iked starts" ike_start a
check "traffic flows again" load_moves 40
check "gw-a has lost all, and says so: INITIAL_CONTACT" until_true 5 forgot b
leak_end -i
