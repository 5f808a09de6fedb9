#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# What only an SA made known is forgotten with it: xipsecd and xipsec-iked are dead, the data path is
# built anew by the same build and by one of another ABI, xipsecd comes back alone, and at last
# xipsec-iked. Until then the rules that stand in discard, though the policy behind them would let the
# same packets go in the clear.
#
#	red-a --- gw-a ===[capture]=== gw-b, 192.0.2.2		pings from red-a all the time
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
NEXT=$BUILD/next

if [ ! -x "$NEXT/xipsecd" ]; then
	skip "leak-dynamic: $NEXT is not built: make variants"
	exit 0
fi

ends()
{
	cat <<-END
		proposals = aes128gcm16-prfsha256-x25519
		local { auth = psk
			id = gw$1.example.org }
		remote { auth = psk
			id = gw$2.example.org }
	END
}

ike_connections()
{
	echo "connections {"
	if [ "$1" = 1 ]; then
		echo "peer { local_addrs = 192.0.2.1"
		ends 1 2
		echo "children { net { local_ts = 10.1.0.0/16 } } }"
	else
		echo "peer { local_addrs = 192.0.2.2"
		echo "remote_addrs = 192.0.2.1"
		ends 2 1
		echo "children { net { remote_ts = 10.1.0.0/16
			start_action = none } } }"
	fi
	echo "}"
}
GW_POLICIES='
	here { action = connections }
	behind { action = bypass
		local = 10.1.0.0/16
		remote = 192.0.2.0/24 }
	back { action = bypass
		local = 192.0.2.0/24
		remote = 10.1.0.0/16 }'

back() { gw b up --quiet peer/net && in_ns red-a ping -n -c 1 -W 1 192.0.2.2; }
actions() { gw a policy --json | jq -r '[.rules[].action] | join(" ")'; }
none_but_bypass='discard bypass bypass'

# closed WHAT: the pings of the next second are discarded, and none passes by policy.
closed()
{
	local discarded passed

	discarded=$(gw_reason a discard) passed=$(gw_reason a bypass_out)
	check "$1: pings are discarded" until_true 10 gw_beyond a discard "$discarded"
	check_eq "$1: none of them passed in the clear" "$(gw_reason a bypass_out)" "$passed"
	check_eq "$1: what stands in is all there is of the child" "$(actions)" "$none_but_bypass"
}

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
check "gateways and daemons come up" ike_up || exit 1
capture_start "$WORK/dynamic.pcap" 0 || exit 1
check "the peer comes, and traffic flows" until_true 10 back
check_eq "by a rule that came with its SA" "$(actions)" "protect $none_but_bypass"
spawn red-a "$WORK/ping.out" ping -n -i 0.05 -W 1 192.0.2.2
pinger=$PID
esp() { gw_reason a sealed; }
before=$(esp)
more_esp() { [ "$(esp)" -gt "$before" ]; }
check "all the time" until_true 5 more_esp

check "an upgrade with all daemons alive" gw a attach --all --upgrade
before=$(esp)
check "goes on by its rule" until_true 10 more_esp
kill -KILL "${IKED_PID[a]}" && reap "${IKED_PID[a]}"
check "kill -9 of both daemons" gw_kill a all
check "an upgrade of the same build" gw a attach --all --upgrade
closed "nobody is there"
XIPSEC=$NEXT/xipsec XIPSECD=$NEXT/xipsecd IKED=$NEXT/xipsec-iked
check "an upgrade to another ABI" gw a attach --all --upgrade
check_eq "that ABI rules" "$(gw a status --json | jq .pinned_abi)" 1000
closed "another ABI, nobody is there"
GW_NO_SA=1
check "its xipsecd alone" gw_start a
closed "xipsecd alone"
check "reload" gw a reload
closed "a reload of it"
check "capture: lost nothing" capture_stop
capture_verdict -i
check_gt "there was ESP" "$ESP" 20
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0

check "its xipsec-iked" ike_start a
# The peer's knows nothing of this yet, and would for minutes: another one makes the SA anew.
XIPSEC=$BUILD/xipsec IKED=$BUILD/xipsec-iked
kill -KILL "${IKED_PID[b]}" && reap "${IKED_PID[b]}"
check "the peer's, anew" ike_start b
check "the peer comes again" until_true 10 back
XIPSEC=$NEXT/xipsec
check_eq "with its rule" "$(actions)" "protect $none_but_bypass"

# What would have happened without the rule that stands in.
capture_start "$WORK/control.pcap" 0 || exit 1
sed -i '/^connections {/,/^}/d; /here {/d; /^secrets {/,$d' "$WORK/gw-a.conf"
check "a config without the connection" gw a reload
before=$(gw_reason a bypass_out)
check "control: the policy behind lets them go in the clear" until_true 5 gw_beyond a bypass_out "$before"
check "capture: lost nothing" capture_stop
capture_verdict -i
check_gt "and the capture sees it" "$((CLEAR + MARKED))" 0
end_pid "$pinger" 2
