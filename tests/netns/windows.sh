#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Extended sequence numbers, the smallest and the largest window, and two workers on interfaces of two
# queues that share the SAs: every datagram arrives once, no nonce is used twice.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		QUEUES=2 with two workers
QUEUES=2
. "$(dirname "$0")/../lib/scenario.sh"

carries()
{
	local what=$1 x sent

	for x in a b; do
		[ -z "${GW_PID[$x]:-}" ] || gw_stop $x
		gw $x detach --all >/dev/null 2>&1
	done
	new_keys
	check "$what: comes up" gateways_up || return
	check "$what: tunnel works" tunnel_works || return
	capture_start "$WORK/window.pcap"
	# The kernel spreads flows over queues by hash: with so many, each queue gets some.
	spawn red-b "$WORK/server.log" iperf3 -s -1
	local server=$PID
	until_true 3 grep -q listening "$WORK/server.log"
	load_start 2000 100
	in_ns red-a iperf3 -c 10.2.0.2 --bidir -P 12 -u -b 3M -l 500 -t 2 >"$WORK/iperf.log" 2>&1
	load_stop
	end_pid "$server"
	check "$what: capture lost nothing" capture_stop
	capture_verdict >/dev/null
	check_eq "$what: in the clear, nonces used twice" "$((CLEAR + MARKED)),$REPEATED" 0,0
	check_eq "$what: delivered twice or corrupt" \
		"$(load_field ab duplicates)$(load_field ba duplicates)$(load_field ab corrupt)$(load_field ba corrupt)" 0000
	# A busy machine sends less, and its rings run over.
	for x in ab ba; do
		sent=$(tail -n 1 "$WORK/send-${x%?}.log")
		check_gt "$what: $x is sent" "$sent" 500
		check_gt "$what: $x arrives" "$(load_field $x received)" $((sent / 2))
	done
}

GW_WORKERS=1 GW_ESN=yes GW_WINDOW=64 carries "ESN, window 64, one worker"
GW_WORKERS=1 GW_ESN=no GW_WINDOW=8192 carries "window 8192, one worker"
GW_WORKERS=2 GW_ESN=yes GW_WINDOW=4096 carries "ESN, window 4096, two workers"
check_eq "two workers run in gw-a" "$(gw_workers a | wc -l)" 2
busy=$(gw a status --json | jq '[.workers[] | select(.rx_packets > 0)] | length')
check_eq "both have had packets" "$busy" 2
check_gt "gw-a has sealed packets" "$(gw_reason a sealed)" 1000
check_eq "the peer's window held what two workers sent" "$(gw_reason b replay),$(gw_reason b replay_old)" 0,0
