#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016,SC2034,SC2154 # eval and awk; settings that the sourced files read
# SAs of the engine xfrm spread over CPUs: everything arrives on CPU 0, what comes by one SA is opened
# on one CPU, by the other on another, each in order; a CPU that is taken out of the map is done without.
# Needs a kernel with ESP and two processors (tests/vm).
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"
. "$LIB/engine.sh"

[ "$(nproc)" -ge 2 ] || {
	skip "$(basename "$0" .sh): one processor: nothing to spread"
	exit 0
}

# counted REASON CPU: packets, by gw-a's programs on that CPU alone.
counted()
{
	bpftool -j map dump pinned "/sys/fs/bpf/$TOPO-a/current/reasons" | jq --arg r "$1" --argjson cpu "$2" \
		'.[0].formatted.values[] | select(.cpu == $cpu) | .value[$r].packets'
}
counts_now() { for cpu in 0 1; do echo "$(counted xfrm_spread $cpu) $(counted xfrm_in $cpu)"; done | paste -sd' '; }

# sent DST: numbered datagrams from red-b to red-a, for some seconds; sets SPREAD0 IN0 SPREAD1 IN1 (what
# the counters of that CPU grew by), SENT, RECEIVED and LATE. How many that are is the machine's matter.
sent()
{
	local before after receiver
	read -ra before <<<"$(counts_now)"
	spawn red-a "$WORK/recv.log" "$UDPLOAD" recv "$1" 7001 "$WORK/spread"
	receiver=$PID
	until_true 5 test -s "$WORK/spread"
	SENT=$(in_ns red-b taskset -c 0 "$UDPLOAD" send "$1" 7001 $((1000 / ${XIPSEC_SLOW:-1})) 200 8)
	tally_settles "$WORK/spread" "$SENT"
	end_pid "$receiver" 2
	read -r RECEIVED _ _ _ LATE <"$WORK/spread"
	read -ra after <<<"$(counts_now)"
	SPREAD0=$((after[0] - before[0])) IN0=$((after[1] - before[1]))
	SPREAD1=$((after[2] - before[2])) IN1=$((after[3] - before[3]))
	echo "# to $1: sent $SENT, received $RECEIVED, late $LATE; CPU 0: $SPREAD0 sent on, $IN0 opened; CPU 1: $SPREAD1, $IN1"
}

# nearly N OF: nine in ten.
nearly() { [ $(($1 * 10)) -ge $(($2 * 9)) ]; }

# Enough to say something about their order.
arrived() { [ "$RECEIVED" -gt 200 ] && nearly "$RECEIVED" "$SENT"; }

# Few came on CPU 1: where the kernel sends something from there (a neighbour is asked whether it is still
# there), the veth's work goes on there while it lasts.
came_on_cpu0() { nearly "$1" "$RECEIVED" && [ $(($1 + $2)) -ge "$RECEIVED" ]; }
out_of_window() { in_ns gw-a awk '$1 ~ /^XfrmInStateSeqError$/ { print $2 }' /proc/net/xfrm_stat; }

GW_ENGINE[a]=xfrm GW_ENGINE[b]=afxdp
check "gateways come up" gateways_up || exit 1
check "tunnel carries IPv4 and IPv6" tunnel_works || exit 1
# What stands at an interface of gw-X; where libxdp can, only an engine xfrm keeps ours out of a dispatcher.
xdp_kind() { gw "$1" status --json | jq -r --arg i "$2" '.interfaces[] | select(.name == $i).xdp.kind'; }
check_eq "gw-a is alone on black" "$(xdp_kind a blk0)" native
check_eq "its red interface is as gw-b's are" "$(xdp_kind a red0)" "$(xdp_kind b blk0)"
# A veth has its receiver's work done on the CPU of who sends: gw-b's worker.
check "gw-b sends from CPU 0" taskset -acp 0 "$(gw_workers b)"
sent 10.1.0.2
check "by the first SA: they arrived" arrived
check_eq "in order" "$LATE" 0
first_opens=0
[ "$IN1" -le "$IN0" ] || first_opens=1
in=("$IN0" "$IN1")
check "all were handed over, where they came" came_on_cpu0 "$SPREAD0" "$SPREAD1"
check "on one CPU they were opened" test "${in[first_opens]}" -ge "$RECEIVED"
check_eq "none on the other" "${in[1 - first_opens]}" 0
sent fd01::2
in=("$IN0" "$IN1")
check "by the second SA: they arrived" arrived
check_eq "in order" "$LATE" 0
check "all were handed over, where they came" came_on_cpu0 "$SPREAD0" "$SPREAD1"
check "the other CPU opened them" test "${in[1 - first_opens]}" -ge "$RECEIVED"
check_eq "the first none" "${in[first_opens]}" 0
check_eq "none was out of its window" "$(out_of_window)" 0
note <<<"$(head -2 /proc/net/softnet_stat)"

# Done without.
for cpu in 0 1; do
	bpftool map delete pinned "/sys/fs/bpf/$TOPO-a/current/cpus" key $cpu 0 0 0
done
sent 10.1.0.2
check "without the map's entries: they arrive" arrived
check_eq "in order" "$LATE" 0
check "opened where they came" came_on_cpu0 "$IN0" "$IN1"
check_eq "nothing was handed over" "$((SPREAD0 + SPREAD1))" 0
check "a restart of xipsecd" eval 'gw_stop a && gw_start a'
check "gw-b's worker is where it was" taskset -acp 0 "$(gw_workers b)"
sent 10.1.0.2
check "they arrive" arrived
check "by the map, whose entries are back" came_on_cpu0 "$SPREAD0" "$SPREAD1"

# In a dispatcher, where this kernel and libxdp have one: no CPUMAP (docs/engines.md), and that is noted.
spread_note() { gw a status --json | jq -r '.interfaces[] | select(.name == "blk0").note // ""'; }
explained() { gw a explain --dir in --dev blk0 --src 192.0.2.2 --dst 192.0.2.1 --spi 0x1002 --json | jq -r .reason; }
check_eq "nothing is noted" "$(spread_note)" ""
check_eq "explain tells so" "$(explained)" xfrm_spread
if [ "$(xdp_kind b blk0)" = dispatcher ]; then
	check "detach" gw a detach blk0
	check "in a dispatcher, as asked for" gw a attach blk0 --role unprotected --dispatcher
	check_eq "there it is" "$(xdp_kind a blk0)" dispatcher
	check "that is noted" eval 'spread_note | grep -q "not spread"'
	check "tunnel carries IPv4" until_true 5 ping4 a 1
	sent 10.1.0.2
	check "they arrive" arrived
	check_eq "nothing was handed over" "$((SPREAD0 + SPREAD1))" 0
	check_eq "explain tells so" "$(explained)" xfrm_in
	check "an upgrade leaves it there" gw a attach --all --upgrade
	check_eq "it was asked for" "$(xdp_kind a blk0)" dispatcher
else
	skip "engine-xfrm-spread: Linux $(uname -r) with this libxdp does not run ours in a dispatcher"
fi
