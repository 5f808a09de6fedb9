#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a socket drops because its worker does not come is counted once, as rx_full, whoever of
# xipsecd and the worker sleeps or dies meanwhile: steered = received by workers + rx_full.
#
#	red-a --- gw-a ===[ ]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

# Packets on their way to a worker, less those that it got and those that rx_full tells.
unaccounted()
{
	gw a status --json | jq '([.reasons[] | select(.kind == "steer") | .program_packets] | add)
		- ([.workers[].rx_packets] | add)
		- ([.reasons[] | select(.name == "rx_full") | .packets] | add)'
}
accounted() { [ "$(unaccounted)" = 0 ]; }
flood() { in_ns red-a "$UDPLOAD" send 10.2.0.2 7001 20000 200 1 >/dev/null; }

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
check "without loss all is accounted for" until_true 3 accounted
# A router's interface would join its groups and tell so (MLD).
check_eq "the stack says nothing into xipsec0" "$(gw_reason a bad_meta)" 0

worker=$(gw_workers a)
kill -STOP "${GW_PID[a]}" "$worker"
flood
kill -CONT "$worker"
sleep 1.5
kill -STOP "$worker"
kill -CONT "${GW_PID[a]}"
sleep 1
lost=$(gw_reason a rx_full)
check_gt "while both slept packets were lost" "$lost" 1000
check_eq "each is counted once" "$(unaccounted)" 0

flood
kill -KILL "$worker"
check "a new worker carries on" tunnel_works
check_gt "while it was stopped packets were lost" "$(gw_reason a rx_full)" $((lost + 1000))
check "each is counted once, after a death too" until_true 3 accounted
exit 0
