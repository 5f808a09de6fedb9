#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Debian's strongSwan on kernel XFRM (kernel-netlink) as the peer: ESP without UDP, ESN, CBC and ChaCha20,
# IPv6 inside, rekeys, transport mode, ESP in UDP, on either of our engines. Needs a kernel with ESP
# (tests/vm).
#
#	red-a --- gw-a: xipsec ===[capture]=== gw-b: strongSwan --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/charon.sh"
. "$LIB/engine.sh"

swan_or_skip
SWAN_KERNEL=yes SWAN_ENCAP=no
NET6='net6 {
	local_ts = fd02::/64
	remote_ts = fd01::/64
	esp_proposals = aes128gcm16-x25519
}'
SWAN_CHILDREN=$NET6

up() { [ "$(ike_sas a net4)" -ge 2 ] && [ "$(swan_children)" -ge 1 ]; }

both_ways() { until_true 5 up && ping4 a 3 && ping4 b 3; }
anew_both_ways() { swan_both_anew && until_true 8 ping4 a 1 && both_ways; }

# speaks WHAT: every proposal with this engine.
speaks()
{
	local esp
	check "$1: we begin, by a packet (trap)" eval 'until_true 8 ping4 a 1 && both_ways'
	check "$1: IPv6 inside" eval 'until_true 8 ping6 a 1 && ping6 b 3'
	check "$1: without UDP" eval '! theirs encap'
	PINGS=40
	check "$1: they rekey the child: no ping is lost" rekeyed swanctl_ --rekey --child net4
	check "$1: they end it, they begin" eval 'swanctl_ --terminate --ike peer >/dev/null && until_true 5 swan_down &&
		swanctl_ --initiate --child net4 >/dev/null && both_ways'
	for esp in aes128gcm16-x25519-esn aes256-sha256-x25519-esn aes256-sha512-x25519-noesn chacha20poly1305-x25519-esn; do
		IKE_ESP=$esp SWAN_ESP=$esp
		check "$1: $esp" anew_both_ways
		[[ $esp = *noesn ]] || check "$1: their kernel counts in 64 bits" theirs 'flag.* esn'
	done
	IKE_ESP=aes128gcm16-x25519 SWAN_ESP=aes128gcm16-x25519
	IKE_CHILD_LINES="rekey_time = 6s
	life_time = 60s
	rand_time = 1s"
	check "$1: we rekey the child" eval 'swan_both_anew && until_true 8 ping4 a 1 && rekeyed true'
	IKE_CHILD_LINES=
	IKE_LINES='encap = yes' SWAN_ENCAP=yes
	check "$1: in UDP" anew_both_ways
	check "$1: in UDP: so their kernel says" theirs 'encap type espinudp'
	IKE_LINES='' SWAN_ENCAP=no
}

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
capture_start "$WORK/swan.pcap" 0
check "both sides start" swan_both_start || exit 1
speaks afxdp

# This host and theirs, transport mode.
IKE_CHILDREN='host {
	local_ts = 192.0.2.1/32
	remote_ts = 192.0.2.2/32
	mode = transport
	esp_proposals = aes128gcm16-x25519
	start_action = trap
}'
SWAN_CHILDREN="$NET6
host {
	local_ts = 192.0.2.2/32
	remote_ts = 192.0.2.1/32
	mode = transport
	esp_proposals = aes128gcm16-x25519
}"
check "transport mode: settings" swan_both_anew
check "transport mode: we begin" host_answers
check "transport mode: and back" in_ns gw-b ping -n -c 3 -i 0.2 -W 1 192.0.2.1
check "transport mode: so their kernel says" theirs 'mode transport'
IKE_CHILDREN='' SWAN_CHILDREN=$NET6

GW_ENGINE[a]=xfrm
check "our other engine: settings" swan_both_anew
speaks xfrm
check_eq "our SAs are the kernel's" "$(gw a sa list --json | jq -c '[.[].engine] | unique')" '["xfrm"]'

check "capture: lost nothing" capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "no nonce was used twice" "$REPEATED" 0
