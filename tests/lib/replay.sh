# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# A conversation of which nothing is on record, captured, and sent again after gw-b's xipsecd died and
# came back. Sourced after scenario.sh; needs PINS, the pins of gw-b, and MAC_B, of its black interface.

received() { load_field ab received; }

replayed() { echo $(($(gw_reason b replay) + $(gw_reason b replay_old))); }

top() { gw b sa list --json | jq '.[] | select(.name == "ab4") | .sequence'; }

# The highest number on record, of any key that receives.
recorded() { grep -ahs 'replay_top = ' "$WORK"/state-b/keys/* | awk '$3 > n { n = $3 } END { print n + 0 }'; }

states_room() { bpftool -j map show pinned "$PINS/sa_state" | jq .max_entries; }

attach_b() { gw b attach --all "$@" >"$WORK/attach-b.log" 2>&1 || [ $? -eq 4 ]; }

# A receiver that has seen nothing yet.
receiver()
{
	[ -z "${RECEIVER:-}" ] || end_pid "$RECEIVER" 2
	rm -f "$WORK/load-ab"
	spawn red-b "$WORK/recv.log" "$UDPLOAD" recv 10.2.0.2 7001 "$WORK/load-ab"
	RECEIVER=$PID
	until_true 2 test -s "$WORK/load-ab"
}

# Prints how many it sent: 500 where the machine has the time, else more than 100, for longer.
send()
{
	local n=0
	for _ in $(seq 20); do
		n=$((n + $(in_ns red-a "$UDPLOAD" send 10.2.0.2 7001 500 200 1)))
		[ "$n" -le 100 ] || break
	done
	echo "$n"
}

# converse WHAT: the parent of the workers stands still, so nothing of it comes on record. It is judged
# by what was sent, in $SPOKEN: a slow machine sends less.
converse()
{
	local before

	receiver
	before=$(top)
	capture_start "$WORK/replay.pcap" 0 esp
	kill -STOP "${GW_PID[b]}"
	SPOKEN=$(send)
	tally_settles "$WORK/load-ab" "$SPOKEN"
	capture_stop || not_ok "$1: the capture lost packets"
	check_gt "$1: the conversation is one" "$SPOKEN" 100
	check_gt "$1: it arrived" "$(received)" $((SPOKEN * 3 / 4))
	check_gt "$1: and is not on record" $((before + $(received))) $(($(recorded) + SPOKEN / 2))
}

# again WHAT: sends the capture again and looks at the far end.
again()
{
	local what=$1 before counted sent

	before=$(received)
	counted=$(replayed)
	sent=$(in_ns link /usr/bin/python3 "$LIB/tools/packets.py" replay "$WORK/replay.pcap" lb "$MAC_B")
	sleep 0.5
	check_gt "$what: frames were sent again" "${sent:-0}" $((SPOKEN * 3 / 4))
	check_eq "$what: nothing of them was delivered" "$(received)" "$before"
	check_eq "$what: nothing came twice" "$(load_field ab duplicates)" 0
	check_eq "$what: all are counted as replay" $(($(replayed) - counted)) "${sent:-0}"
}

# start_and_replay WHAT
start_and_replay()
{
	local before sent

	check "$1: xipsecd starts" gw_start b
	check "$1: the tunnel goes on" until_true 5 ping4 a 1
	again "$1"
	before=$(received)
	sent=$(send)
	sleep 0.3
	check_gt "$1: fresh traffic is sent" "$sent" 100
	check_gt "$1: and flows" "$(received)" $((before + sent * 3 / 4))
}
