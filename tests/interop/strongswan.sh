#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Debian's strongSwan as the peer of xipsec-iked: who begins, preshared keys, narrowing, rekeys of both
# kinds by either side, what is refused and in which words. Real traffic goes through our ESP to theirs.
#
#	red-a --- gw-a: xipsec ===[capture]=== gw-b: strongSwan --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/charon.sh"

swan_or_skip
IKE_LINES="encap = yes"
ping_a() { in_ns red-a ping -n -c "${1:-3}" -i 0.2 -W 1 "${2:-10.2.0.2}"; }
ping_b() { in_ns red-b ping -n -c "${1:-3}" -i 0.2 -W 1 10.1.0.2; }

# One child is up on both sides.
up() { [ "$(ike_sas a net4)" = 2 ] && [ "$(swan_children)" = 1 ]; }

both_ways()
{
	until_true 5 up && ping_a 3 && ping_b 3
}

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
capture_start "$WORK/swan.pcap" 0
check "both sides start" swan_both_start || exit 1

# --- who begins
check "we begin, by a packet (trap): traffic both ways" eval 'until_true 5 ping_a 1 && both_ways'
check "they end it: our SAs go" eval 'swanctl_ --terminate --ike peer >/dev/null && until_true 5 swan_down'
check "they begin: traffic both ways" eval 'swanctl_ --initiate --child net4 >/dev/null && both_ways'

# --- rekeys
PINGS=40
check "they rekey the child: no ping is lost" rekeyed swanctl_ --rekey --child net4
ike_rekeyed()
{
	swanctl_ --rekey --ike peer >/dev/null && sleep 1 && both_ways
}
check "they rekey the IKE SA" ike_rekeyed
check "and then the child again, in the new one" rekeyed swanctl_ --rekey --child net4

IKE_CHILD_LINES="rekey_time = 3s
life_time = 30s
rand_time = 1s"
check "we rekey the child" eval 'swan_both_anew && until_true 5 ping_a 1 && rekeyed true'
IKE_CHILD_LINES=
IKE_LINES="encap = yes
rekey_time = 4s
rand_time = 0s
over_time = 60s"
we_rekey_ike()
{
	: >"$SWAN/charon.log"
	swan_both_anew && until_true 5 ping_a 1 && until_true 20 swan_said 'rekeyed' && until_true 5 ping_a 3 && ping_b 3
}
check "we rekey the IKE SA" we_rekey_ike
IKE_LINES="encap = yes"

# --- narrowing
SWAN_LOCAL_TS=10.2.0.0/24
check "they narrow what we want" eval 'swan_both_anew && until_true 5 ping_a 1 && up'
check "it is what they have" eval "swan_sas | grep -q 'local-ts=\\[10.2.0.0/24\\]'"
SWAN_LOCAL_TS=10.2.0.0/16

# --- refusals
SWAN_PSK=another
check "another key" swan_both_anew
ping_a 3 >/dev/null 2>&1 && not_ok "another key carries traffic"
check "they say AUTHENTICATION_FAILED, our log says so" until_true 3 ike_said a 'the peer refused us: AUTHENTICATION_FAILED'
check "and they begin: we refuse" eval '! swanctl_ --initiate --child net4 >/dev/null 2>&1'
check "our log names the peer's key" until_true 3 ike_said a 'we refuse it: its pre-shared key is another one'
check_eq "no SA" "$(ike_sas a)" 0
SWAN_PSK=
IKE_PROPOSALS=aes256-sha512-modp4096
check "no common proposal" swan_both_anew
ping_a 3 >/dev/null 2>&1 && not_ok "no proposal carries traffic"
check "they say NO_PROPOSAL_CHOSEN" until_true 3 ike_said a 'the peer refused IKE_SA_INIT: NO_PROPOSAL_CHOSEN'
swanctl_ --initiate --child net4 >/dev/null 2>&1
check "we say it, too" until_true 3 swan_said 'received NO_PROPOSAL_CHOSEN'
IKE_PROPOSALS=aes128gcm16-prfsha256-ecp256-x25519
SWAN_PROPOSALS=aes128gcm16-prfsha256-x25519
check "another group first: INVALID_KE_PAYLOAD, then up" eval 'swan_both_anew && until_true 5 ping_a 1 && both_ways'

capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "no message is malformed to tshark" \
	"$(tshark -r "$WORK/swan.pcap" -Y 'isakmp && _ws.malformed' 2>/dev/null | wc -l)" 0
