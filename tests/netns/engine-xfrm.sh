#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016,SC2034,SC2154 # eval and awk; settings that the sourced files read
# The engine xfrm against the other one, and against itself: ping, TCP and UDP under load, counters and
# reasons, policies of the kernel that vanish, an xipsecd that dies. Needs a kernel with ESP (tests/vm).
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"
. "$LIB/engine.sh"

# The load stands still while nobody seals: plaintext in its place is what the capture looks for.
flush()
{
	in_ns gw-a ip xfrm "$1" flush && until_true 10 load_stands && sleep 1 && ! load_moves 1
}

# While xipsecd cannot put them back.
stop_flush_go()
{
	local status=0
	kill -STOP "${GW_PID[a]}" && flush policy || status=1
	kill -CONT "${GW_PID[a]}" && return $status
}

kill_flush_start()
{
	gw_kill a && flush policy && gw_start a
}

# What the kernel itself keeps of a policy that found no SA, for 30 s, has no SPI and no key; nobody can
# delete it alone.
left_in_kernel()
{
	in_ns gw-a ip -o xfrm state | grep -v 'spi 0x00000000'
	in_ns gw-a ip xfrm policy
}

reload_a()
{
	sed -i 's/^policies {/&\n\tother { action = discard\n\tremote = 198.18.7.7 }/' "$WORK/gw-a.conf"
	gw a reload
}
restart_a() { gw_stop a && sleep 0.5 && gw_start a; }

GW_ENGINE[a]=xfrm GW_ENGINE[b]=afxdp
LOAD_PPS=200
leak_begin || exit 1
load_stop
carries "xfrm to afxdp"
load_start 200 200
check "load flows" load_moves
check "a manual key does not change its engine" eval '! gw a sa move ab4 --engine afxdp 2>"$WORK/move"'
check "which is said" grep -q 'a key never changes its engine' "$WORK/move"
leak_act "restart of gw-a's xipsecd" restart_a
leak_act "a reload of gw-a with another rule" reload_a
leak_act "the kernel's policies are flushed, and put back" in_ns gw-a ip xfrm policy flush
leak_act "the same while xipsecd stands still" stop_flush_go
check_gt "the guard drops what nobody seals" "$(gw_reason a plaintext_out)" 10
check "without the kernel's SAs nothing is carried" flush state
check_eq "the listing says so" "$(sa_field a ab4 status)" '"stopped"'
leak_act "restart of gw-a's xipsecd after that" restart_a
leak_act "kill -9 of gw-a's xipsecd, start" eval 'gw_kill a && gw_start a'
leak_act "kill -9, the kernel's policies flushed, start" kill_flush_start
check "an orderly end" gw_stop a
check_eq "leaves nothing in the kernel" "$(left_in_kernel)" ""
gw_stop b
GW_ENGINE[b]=xfrm
new_keys
for x in a b; do
	gw_config $x
	check "xfrm to xfrm: gw-$x starts" gw_start $x
done
check "load flows again" load_moves 10
carries "xfrm to xfrm"
load_stop

# gw-a wants less out of its SAs than gw-b puts in: what the kernel has opened ends at TC.
GW_SELECTORS='proto = tcp'
gw_config a
check "gw-a takes a narrower policy" gw a reload
check "what it still says goes both ways" sha_over_tcp
check_eq "nothing else was opened so far" "$(gw_reason a selector)" 0
check "what gw-b seals beside that does not arrive" eval '! ping4 b 3'
check_gt "it was opened, and dropped" "$(gw_reason a selector)" 2
leak_end
