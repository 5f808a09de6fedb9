#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Policies of one interface (`dev`): of red0 alone, and of one that comes later, is made anew and goes.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

GW_POLICIES='
	of-red {
		action = discard
		direction = out
		dev = red0
		proto = udp
		remote_port = 7012
	}
	of-ghost {
		action = discard
		direction = out
		dev = ghost0
		proto = udp
		remote_port = 7012-7013
	}'

# send_udp PORT: 50 marked datagrams, under a capture of their own.
send_udp()
{
	capture_start "$WORK/port-$1.pcap"
	in_ns red-a "$UDPLOAD" send 10.2.0.2 "$1" 50 100 1 >/dev/null
	capture_stop
	capture_verdict >/dev/null
}
rule_of() { gw a explain --src 10.1.0.2 --dst 10.2.0.2 --proto udp --dport "$2" --dir out --dev "$1" --json |
	jq -r '"\(.reason) \(.policy.rule.policy)"'; }
rule_is() { [ "$(rule_of "$1" "$2" 2>/dev/null)" = "$3" ]; }
ghost_attached() { gw a policy --json | jq '.rules[] | select(.dev == "ghost0") | .dev_attached'; }
ghost_make() { in_ns gw-a ip link add ghost0 type veth peer name ghost1 && in_ns gw-a ip link set ghost0 up && in_ns gw-a ip link set ghost1 up; }

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
before=$(gw_reason a discard)
send_udp 7012
check_eq "of red0: neither in the clear nor as ESP" "$MARKED,$ESP" 0,0
check_eq "each counted as discard" "$(gw_reason a discard)" $((before + 50))
send_udp 7013
check_eq "of an interface that is not there: it matches nothing" "$MARKED,$(gw_reason a discard)" "0,$((before + 50))"
check_gt "the next rule says ESP" "$ESP" 40
check_eq "policy tells that it waits" "$(ghost_attached)" false
check "in words" grep -q 'dev ghost0, which is not attached' <(gw a policy)
check_eq "status counts it" "$(gw a status --json | jq .rules_waiting)" 1
check "in words too" grep -q '1 rules ask for an interface that is not attached' <(gw a status)
check_eq "metrics too" "$(gw a metrics | awk '$1 == "xipsec_spd_rules_waiting" {print $2}')" 1

check "it comes" ghost_make
check "and is attached" gw a attach ghost0 --role protected
check_eq "policy tells that it is there" "$(ghost_attached)" true
check_eq "nothing waits any more" "$(gw a status --json | jq .rules_waiting)" 0
check_eq "its packets meet its rule" "$(rule_of ghost0 7013)" "discard of-ghost"
check_eq "and not that of red0" "$(rule_of ghost0 7012)" "discard of-ghost"
check_eq "those of red0 still not" "$(rule_of red0 7013) $(rule_of red0 7012)" "steer_out net4 discard of-red"
check_eq "forwarded, at the guard" "$(gw a explain --src 10.1.0.2 --dst 10.2.0.2 --proto udp --dport 7012 --dir out \
	--dev blk0 --from ghost0 --json | jq -r '"\(.reason) \(.policy.rule.policy)"')" "discard of-ghost"
check_eq "this host's own came in by none of them" "$(rule_of blk0 7012 | cut -d' ' -f2)" net4

in_ns gw-a ip link del ghost0
check "made anew" ghost_make
check "its rule finds it again" until_true 5 rule_is ghost0 7013 "discard of-ghost"
in_ns gw-a ip link set ghost0 down
in_ns gw-a ip link set ghost0 name other0
in_ns gw-a ip link set other0 up
check "renamed, it is another interface" until_true 5 rule_is other0 7013 "steer_out net4"
check "an upgrade keeps all that" gw a attach --all --upgrade
check_eq "red0" "$(rule_of red0 7012)" "discard of-red"
