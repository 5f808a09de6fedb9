#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# A reload that changes or takes away what is up: each child that is to be there is there again by itself,
# as the new text has it, no packet wanted it, and where nothing was taken away none is lost; what is gone
# is gone on both sides; what did not change is not touched.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

GW_NO_SA=1
# The outbound SAs of a child, oldest first: "net4-2-o net4-7-o"
names()
{
	gw "$1" sa list --json | jq -r --arg c "peer/$2" \
		'[.[] | select(.child == $c and .status == "live" and .direction == "out") | .name] | join(" ")'
}
algorithms()
{
	gw "$1" sa list --json | jq -r --arg c "peer/$2" \
		'[.[] | select(.child == $c and .status == "live") | .algorithm] | unique | join(" ")'
}
up() { [ "$(ike_sas a "$1")" = 2 ] && [ "$(ike_sas b "$1")" = 2 ]; }
gone() { [ "$(ike_sas a "$1")" = 0 ] && [ "$(ike_sas b "$1")" = 0 ]; }
other() { up "$1" && [ "$(names a "$1")" != "$2" ]; }
others() { until_true 5 other net4 "$1" && until_true 5 other net6 "$2"; }
# change a|b SED: in its config, and a reload
change() { sed -i "$2" "$WORK/gw-$1.conf" && gw "$1" reload; }
# Packets that found no SA, out of gw-a or into gw-b.
homeless() { echo $(($(gw_reason a no_sa_out) + $(gw_reason b no_sa))); }
ping_begin()
{
	before=$(homeless)
	spawn red-a "$WORK/ping.out" ping -n -i 0.01 -W 1 10.2.0.2
	pinger=$PID
}
# nobody_noticed WHEN: what was under way when the policies were switched may be lost (stale_meta).
nobody_noticed()
{
	kill -INT "$pinger" && reap "$pinger"
	check_eq "$1: not a packet without its SA" "$(homeless)" "$before"
	check "$1: they arrive" grep -Eq ' 0(\.[0-9]*)?% packet loss' "$WORK/ping.out"
}

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
capture_start "$WORK/reload.pcap" 0 || exit 1
check "gateways and daemons come up" ike_up || exit 1
check "a packet each starts the children" eval 'until_true 5 ping4 a 1 && until_true 5 ping6 a 1'
check "both are up" eval 'until_true 5 up net4 && until_true 5 up net6'

was=$(names a net4) was6=$(names a net6)
check "gw-a: a narrower net4" change a 's/remote_ts = 10.2.0.0.16/remote_ts = 10.2.0.0\/24/'
check "it is there again by itself" until_true 5 other net4 "$was"
check "and carries traffic" ping4 a 3
check_eq "net6 was not touched" "$(names a net6)" "$was6"

was=$(names a net4)
ping_begin
check "gw-a: as wide as before" change a 's/remote_ts = 10.2.0.0.24/remote_ts = 10.2.0.0\/16/'
check "it is another one" until_true 5 other net4 "$was"
sleep 1.5
nobody_noticed "made wider"
wide() { ike_log a | grep -E "child net4-.* is up" | tail -n 1 | grep -q '=== 10.2.0.0/16'; }
check "it is wide" wide

was=$(names a net4)
check "gw-b: takes another algorithm as well" change b 's/esp_proposals = .*/esp_proposals = aes128gcm16-x25519,aes256gcm16-x25519/'
check "which makes both children anew" others "$was" "$was6"
sleep 1.5
was=$(names a net4) was6=$(names a net6)
ping_begin
check "gw-a: wants the other one" change a 's/esp_proposals = .*/esp_proposals = aes256gcm16-x25519/'
check "both children are there by it" others "$was" "$was6"
check_eq "net4" "$(algorithms a net4)" aes256gcm16
check_eq "net6" "$(algorithms b net6)" aes256gcm16
sleep 1.5
nobody_noticed "another algorithm"

was=$(names a net4)
ping_begin
check "gw-a: another end: an IKE SA of its own" change a 's/remote_addrs = .*/&\ndpd_delay = 77/'
check "with net4" until_true 8 other net4 "$was"
sleep 7 # gw-b's `unique = replace` comes after 5 s, and finds nothing to do
nobody_noticed "another IKE SA"
check "both are there" eval 'up net4 && up net6'
one_ike() { [ "$(gw "$1" sa --json | jq '[.. | objects | select(.state? == "ESTABLISHED")] | length')" = 1 ]; }
check "one IKE SA is left" eval 'until_true 5 one_ike a && until_true 5 one_ike b'

# --- an earlier rule that takes something from a child: its SAs go on, by another list
#
# What comes for 10.2.0.9 is in their selectors, and gw-b may have a rule before them.
ip -n "$TOPO-red-b" addr add 10.2.0.9/16 dev rb0
# The SAs of net4, with the SPI and the generation of their state.
whole() { gw "$1" sa list --json | jq -c '[.[] | select(.child == "peer/net4") | [.name, .spi, .generation, .status]]'; }
untouched() { [ "$(whole a)" = "$was_a" ] && [ "$(whole b)" = "$was_b" ]; }
# in_the_way [LINES]: what gw-b discards of what comes in, before all children; a reload.
in_the_way()
{
	sed -i '/^nogo {/,/}/d' "$WORK/gw-b.conf"
	[ -z "${1:-}" ] || sed -i "s/^policies {/&\nnogo { action = discard\ndirection = in\n$1\n}/" "$WORK/gw-b.conf"
	gw b reload
}
# Five pings to it: how many are answered, and how many ended as `selector`.
asked()
{
	local before
	before=$(gw_reason b selector)
	in_ns red-a ping -n -c 5 -i 0.02 -W 0.3 10.2.0.9 | sed -n 's/.* \([0-9]*\) received.*/\1/p' | tr '\n' ' '
	echo $(($(gw_reason b selector) - before))
}
refused() { check_eq "$1: it is refused by the SA's selectors" "$(asked)" "0 5"; }
passes() { check_eq "$1: it passes" "$(asked)" "5 0"; }
stale() { echo $(($(gw_reason a stale_meta) + $(gw_reason b stale_meta))); }

was_a=$(whole a) was_b=$(whole b)
passes "before"
before_stale=$(stale)
ping_begin
check "gw-b: a rule before net4" in_the_way 'remote = 10.1.0.0\/16\nlocal = 10.2.0.9'
refused "a rule before it"
check "gw-b: another one in its place" in_the_way 'remote = 10.1.0.0\/16\nlocal = 10.2.0.8'
passes "for another address"
check "gw-b: for its protocol alone" in_the_way 'local = 10.2.0.9\nproto = icmp'
refused "for ICMP"
check "gw-b: for another port" in_the_way 'local = 10.2.0.9\nproto = udp\nlocal_port = 9'
passes "for UDP"
check "gw-b: for all of it" in_the_way 'local = 10.2.0.9'
refused "for all of it"
check "gw-b: without" in_the_way
passes "without it"
check "gw-b: once more" in_the_way 'local = 10.2.0.9'
kill -INT "$pinger" && reap "$pinger"
check_eq "of all that went on none was lost but by the switch" "$(pings_lost "$WORK/ping.out")" "$(($(stale) - before_stale))"
check_eq "not a packet without its SA" "$(homeless)" "$before"
check "the same SAs on both sides, in the same states" untouched
# What comes before xipsecd has moved in finds no SA in the new maps, and nobody is told that there is none.
no_sa=$(gw_reason b no_sa)
kill -STOP "${GW_PID[b]}"
check "a new generation of programs and maps" gw b attach --all --upgrade
in_ns red-a ping -n -c 3 -i 0.1 -W 0.3 10.2.0.9 >"$WORK/ping.out"
kill -CONT "${GW_PID[b]}"
check "it carries on" until_true 5 ping4 a 1
check_gt "what came before had no SA" "$(gw_reason b no_sa)" "$no_sa"
refused "after an upgrade"
check "workers that are killed" gw_kill_workers b
check "are back" until_true 5 ping4 a 1
refused "by new workers"
check "gw-b: without" in_the_way
passes "at the end"
# More than an SA has room for, net4's own one included: the config is refused, nothing changes.
cp "$WORK/gw-b.conf" "$WORK/gw-b.before"
{
	echo 'policies {'
	for i in $(seq 0 511); do
		echo "in-the-way-$i { action = discard"
		echo "remote = 10.1.$((i / 256)).$((i % 256)) }"
	done
	sed 1,/^policies/d "$WORK/gw-b.before"
} >"$WORK/rest"
{ sed '/^policies {/,$d' "$WORK/gw-b.before" && cat "$WORK/rest"; } >"$WORK/gw-b.conf"
status=0
gw b reload >"$WORK/many.log" 2>&1 || status=$?
check_eq "gw-b: 512 rules before net4: refused" "$status" 3
line=$(grep -n '^ *net4 {' "$WORK/gw-b.conf" | cut -d: -f1)
check "it says which child, where, and what to do" grep -q \
	"gw-b.conf:$line:[0-9]*: child peer/net4 has too many selectors: 513 with the 512 earlier rules .*action = connections" "$WORK/many.log"
cp "$WORK/gw-b.before" "$WORK/gw-b.conf"
passes "after that"
check "still the same SAs" untouched
check "nobody was told that there is none" eval '! ike_said a INVALID_SPI'

net5='net5 { local_ts = 10.1.0.0\/16\nremote_ts = 10.5.0.0\/16\nesp_proposals = aes256gcm16-x25519\nstart_action = START }\n'
check "gw-b: one more child" change b "s/children {/&\n$(sed 's/10.1/10.X/;s/10.5/10.1/;s/10.X/10.5/;s/START/none/' <<<"$net5")/"
check "gw-a: too, to be started" change a "s/children {/&\n${net5/START/start}/"
check "it is there" until_true 3 up net5
check "at the first try: its rights came first" eval '! ike_said a "child net5: xipsecd refused"'
was=$(names a net4)
check "gw-a: without it" change a '/^net5 {/,/}/d'
check "it is gone on both sides" until_true 5 gone net5
check_eq "net4 was not touched" "$(names a net4)" "$was"
check "and goes on" ping4 a 2

check "capture: lost nothing" capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "no nonce was used twice" "$REPEATED" 0
