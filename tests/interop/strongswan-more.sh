#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# xipsec-iked and Debian's strongSwan, what strongswan.sh leaves over: IPv6 inside and outside, several
# children in one IKE SA, narrowing by us, selectors that do not meet, a peer that is killed (DPD). And
# Wireshark, given the keys that save_keys wrote, decrypts every message of it.
#
#	red-a --- gw-a: xipsec ===[capture]=== gw-b: strongSwan --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/charon.sh"

swan_or_skip
IKE_LINES="encap = yes"
IKE_DAEMON="save_keys = $WORK/keys"
# ping_a 4|6 [COUNT], ping_b 4|6 [COUNT]
ping_a() { in_ns red-a ping -n -c "${2:-3}" -i 0.2 -W 1 "$([ "$1" = 4 ] && echo 10.2.0.2 || echo fd02::2)"; }
ping_b() { in_ns red-b ping -n -c "${2:-3}" -i 0.2 -W 1 "$([ "$1" = 4 ] && echo 10.1.0.2 || echo fd01::2)"; }
both_ways() { until_true 5 ping_a "$1" 1 && ping_a "$1" && ping_b "$1"; }
children() { [ "$(ike_sas a)" = $((2 * $1)) ] && [ "$(swan_children)" = "$1" ]; }
down() { children 0; }
none_of_ours() { [ "$(ike_sas a)" = 0 ]; }
none_of_theirs() { [ "$(swan_children)" = 0 ]; }
ike_count() { swan_sas | grep -o 'state=ESTABLISHED' | wc -l; }

# anew: both sides with the settings of now, nothing up.
anew()
{
	[ -z "${IKED_PID[a]:-}" ] || ike_stop a
	swanctl_ --terminate --ike peer --force >/dev/null 2>&1
	gw_config a
	gw a reload >/dev/null 2>&1
	: >"$SWAN/charon.log"
	swan_load && ike_start a && until_true 5 down
}

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
capture_start "$WORK/swan.pcap" 0
gw_config a
gw_attach a >/dev/null
# While charon is dead its kernel would forward in the clear (what is forwarded there is never ESP), and
# tell us that nobody listens on port 4500.
printf '%s\n' 'table inet closed {' 'chain forward {' 'type filter hook forward priority 0' 'oifname "blk0" drop' '}' \
	'chain own {' 'type filter hook output priority 0' 'icmp type destination-unreachable drop' '}' '}' |
	in_ns gw-b nft -f -
check "xipsecd and charon start" eval 'gw_start a && swan_start' || exit 1

# --- families, children
SWAN_CHILDREN="net6 {
	local_ts = fd02::/64
	remote_ts = fd01::/64
	esp_proposals = aes128gcm16-x25519
}"
check "two children: both sides" anew
check "IPv4 in IPv4, by a packet of ours" both_ways 4
check "IPv6 in IPv4, a child of its own" both_ways 6
check "two children on both sides" until_true 5 children 2
check_eq "in one IKE SA" "$(ike_count)" 1
check "they end one of them" eval 'swanctl_ --terminate --child net6 >/dev/null && until_true 5 children 1'
check "the other does not notice" eval 'ping_a 4 && ping_b 4'
check "they make it again" eval 'swanctl_ --initiate --child net6 >/dev/null && until_true 5 children 2 && both_ways 6'
check_eq "in the same IKE SA" "$(ike_count)" 1
check "we end the other" eval 'gw a down peer/net4 && until_true 5 children 1 && ping_b 6'
check "a packet makes it again" both_ways 4

IKE_ADDR=6 SWAN_ADDR=2001:db8::2 SWAN_PEER=2001:db8::1
check "over IPv6: both sides" anew
check "IPv4 in IPv6, we begin" both_ways 4
check "IPv6 in IPv6" both_ways 6
check "they rekey the IKE SA over IPv6" eval 'swanctl_ --rekey --ike peer >/dev/null && sleep 1 && both_ways 6 && both_ways 4'
check "over IPv6, they begin" eval 'anew && swanctl_ --initiate --child net6 >/dev/null && both_ways 6'
check_eq "ESP of it goes over IPv6" "$(gw a sa list --json | jq -r '[.[].src | contains(":")] | all')" true
IKE_ADDR=4 SWAN_ADDR='' SWAN_PEER='' SWAN_CHILDREN=''

# --- selectors
SWAN_LOCAL_TS=10.0.0.0/8
check "they ask for more than we have" eval 'anew && swanctl_ --initiate --child net4 >/dev/null && both_ways 4'
check "we narrow it" eval "swan_sas | grep -q 'local-ts=\\[10.2.0.0/16\\]'"
SWAN_LOCAL_TS=10.9.0.0/16
check "selectors that do not meet" anew
check "they begin: refused" eval '! swanctl_ --initiate --child net4 >/dev/null 2>&1'
check "we said TS_UNACCEPTABLE" swan_said 'received TS_UNACCEPTABLE'
check "our log shows what they want" ike_said a 'we refuse the child.* it wants 10\.1\.0\.0/16 === 10\.9\.0\.0/16; we have'
ping_a 4 1 >/dev/null 2>&1 && not_ok "traffic without a child"
check "we begin: they say it, our log shows it" until_true 5 ike_said a 'the peer refused it: TS_UNACCEPTABLE'
check_eq "no SA" "$(ike_sas a)" 0
SWAN_LOCAL_TS=

# --- ports, of which later fragments show nothing
port_child()
{
	printf '%s\n' port7 '{' "local_ts = 10.$1.0.0/16[udp/7200]" "remote_ts = 10.$2.0.0/16[udp/7200]" \
		'esp_proposals = aes128gcm16-x25519' '}'
}
IKE_CHILDREN=$(port_child 1 2) SWAN_CHILDREN=$(port_child 2 1)
check "a child for one port" eval 'anew && gw a up peer/port7 >/dev/null && until_true 5 children 1'
check "we offered them later fragments" swan_said 'NON_FIRST_FRAG'
check_eq "which they did not take" "$(gw a sa list --json | grep -c '"later_fragments": *true')" 0
IKE_CHILDREN='' SWAN_CHILDREN=''

# --- a peer that is killed
IKED=$BUILD/hostile/xipsec-iked
IKE_LINES="encap = yes
dpd_delay = 1s"
IKE_CHILD_LINES="dpd_action = restart"
check "with DPD each second, and dpd_action = restart" eval 'anew && both_ways 4'
swan_kill
check "they are killed: our SAs go" until_true 15 none_of_ours
check "our log says that the peer is dead" ike_said a 'does not answer|is dead|dead peer'
check "they are back: we make it again, without a packet" eval \
	'swan_start >/dev/null && swan_load && until_true 20 children 1'
check "and traffic goes on" both_ways 4
# The other way round: charon's own DPD, as a check that we are missed.
SWAN_LINES='dpd_delay = 1s' SWAN_CHILD_LINES='dpd_action = clear'
check "charon with DPD" eval 'anew && both_ways 4'
ike_kill a
check "we are killed: they notice" until_true 15 none_of_theirs
check "the next of us makes it again" eval 'ike_start a && until_true 10 ping_a 4 1 && both_ways 4'
check "what was there before goes when they send by the new one" until_true 15 children 1

# --- Wireshark
ike_stop a
sleep 0.3
capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
uats=()
while IFS= read -r line; do
	uats+=(-o "uat:ikev2_decryption_table:$line")
done < <(grep -v '^#' "$WORK/keys")
check_gt "keys of IKE SAs were written" "${#uats[@]}" 10
# Fragments (RFC 7383) are decrypted where they are whole.
seen() { tshark -r "$WORK/swan.pcap" "${uats[@]}" -Y "$1" 2>/dev/null | wc -l; }
check_eq "no message is malformed to tshark, decrypted" "$(seen 'isakmp && _ws.malformed')" 0
check_gt "tshark decrypts" "$(seen 'isakmp.enc.decrypted')" 30
tshark -r "$WORK/swan.pcap" "${uats[@]}" -Y 'isakmp.enc.data && !isakmp.enc.decrypted' 2>/dev/null | head -n 5 | note
check_eq "every one that is encrypted" "$(seen 'isakmp.enc.data && !isakmp.enc.decrypted')" 0
check_gt "and reads what is inside: authentication" "$(seen 'isakmp.auth.data')" 5
check_gt "and selectors" "$(seen 'isakmp.ts.type || isakmp.ts.start_ipv4')" 5
