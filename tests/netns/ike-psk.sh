#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Two gateways, keyed by IKE with a preshared key: a packet that policy protects starts it (trap), both
# children come up in one IKE SA, traffic flows both ways as ESP, over IPv4 and IPv6; a wrong key gives
# nothing; an end tells the other side.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
IKE_LINES="dscp = 101110"
[ "${XIPSEC_ENGINE:-}" = xfrm ] || IKE_CHILD_LINES=$'ttl = 33\ndscp = 10\ndummies = 20'

esp_out() { gw "$1" sa list --json | jq '[.[] | select(.direction == "out") | .packets] | add // 0'; }

both_up() { [ "$(ike_sas a)" = 4 ] && [ "$(ike_sas b)" = 4 ]; }

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
capture_start "$WORK/psk.pcap" 0 || exit 1
check "gateways and daemons come up" ike_up || exit 1
check_eq "no SA before there is traffic" "$(ike_sas a)" 0
check "the first packet starts it: IPv4" until_true 5 ping4 a 1
check "IPv6, by a child of its own" until_true 5 ping6 a 1
check "two children, an SA each way, on both sides" until_true 3 both_up
check "and back" ping4 b 3
check "both IPv6" ping6 b 3
check_eq "one IKE SA: one IKE_SA_INIT was answered" \
	"$(tshark -r "$WORK/psk.pcap" -Y 'isakmp.exchangetype == 34 && isakmp.flag_r == 1' 2>/dev/null | wc -l)" 1
check_gt "it went as ESP" "$(esp_out a)" 5

dummies() { gw "$1" sa list --json | jq '[.[] | select(.direction == "in") | .drops.dummy // 0] | add // 0'; }
enough() { [ "$(dummies a)" -gt 20 ] && [ "$(dummies b)" -gt 20 ]; }
if [ "${XIPSEC_ENGINE:-}" = xfrm ]; then
	skip "TTL, DSCP and dummies of a child: of engine afxdp (docs/engines.md)"
else
	check_eq "what a child says of sealing is its outbound SAs'" \
		"$(gw a sa list --json | jq -r '[.[] | "\(.direction) \(.ttl) \(.dscp) \(.dummies)"] | unique | join(", ")')" \
		"in null null null, out 33 10 20"
	check "silence is hidden: both ends count dummies" until_true 10 enough
fi

locked() { awk '/^VmFlags:/ && / lo/ && / dd/ { found = 1 } END { exit !found }' "/proc/$1/smaps"; }
filters()
{
	local pid
	for pid in "$1" $(pgrep -P "$1"); do cat "/proc/$pid/coredump_filter"; done | sort | uniq -c | tr -s ' '
}
check "secrets are in memory that is locked and in no dump" locked "${IKED_PID[a]}"
check_eq "no memory of its three processes is for dumps" "$(filters "${IKED_PID[a]}")" " 3 00000000"

kill_and_wait()
{
	ike_stop a
	until_true 10 gone
}
gone() { [ "$(ike_sas a)" = 0 ] && [ "$(ike_sas b)" = 0 ]; }
# It asks for the end of two SAs a child, and gets the first answer late.
end_while_busy()
{
	kill -STOP "${GW_PID[a]}" && kill -TERM "${IKED_PID[a]}" && sleep 1
	kill -CONT "${GW_PID[a]}"
	reap "${IKED_PID[a]}"
	until_true 10 gone
}
check "an orderly end takes the SAs of both sides along" kill_and_wait
ping4 a 2 >/dev/null 2>&1 && not_ok "traffic without an SA"
check "the next one starts anew" ike_start a
check "and the tunnel works" until_true 5 ping4 a 1
check "also when xipsecd is busy just then" end_while_busy
check "the next one: the tunnel works" eval 'ike_start a && until_true 5 ping4 a 1'

kill_and_wait
sed -i "s/secret = .*/secret = \"wrong\"/" "$WORK/gw-a.conf"
check "gw-a with another key" ike_start a
ping4 a 3 >/dev/null 2>&1 && not_ok "a wrong key carries traffic"
check_eq "no SA by a wrong key" "$(ike_sas a)$(ike_sas b)" 00
refused() { ike_said b 'pre-shared key is another' && ike_said a 'AUTHENTICATION_FAILED'; }
check "both logs say so" until_true 3 refused

check "capture: lost nothing" capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "no nonce was used twice" "$REPEATED" 0
dscps=$(tshark -r "$WORK/psk.pcap" -Y 'isakmp.exchangetype == 34 || isakmp.exchangetype == 35' -T fields -e ip.dsfield.dscp -e ip.dsfield.ecn \
	2>/dev/null | sort -u | tr '\t' ' ')
check_eq "each message of IKE_SA_INIT and IKE_AUTH has the connection's DSCP" "$dscps" "46 0"
if [ "${XIPSEC_ENGINE:-}" != xfrm ]; then
	outer=$(tshark -r "$WORK/psk.pcap" -Y esp -T fields -e ip.ttl -e ip.dsfield.dscp 2>/dev/null | sort -u | tr '\t' ' ')
	check_eq "each ESP packet has its child's TTL and DSCP" "$outer" "33 10"
fi
malformed=$(tshark -r "$WORK/psk.pcap" -Y 'isakmp && _ws.malformed' 2>/dev/null | wc -l)
check_eq "no message of ours is malformed to tshark" "$malformed" 0
