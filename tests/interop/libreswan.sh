#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Debian's libreswan on kernel XFRM as the peer of xipsec-iked, on either of our engines: either begins,
# preshared keys and certificates, rekeys of both kinds by either, ESN, CBC and ChaCha20, IPv6 inside,
# transport mode, ESP in UDP, an offer of IPComp, another key. Needs a kernel with ESP (tests/vm).
#
#	red-a --- gw-a: xipsec ===[capture]=== gw-b: libreswan --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/pluto.sh"
. "$LIB/pki.sh"
. "$LIB/engine.sh"

pluto_or_skip
up() { [ "$(ike_sas a net4)" -ge 2 ] && [ "$(pluto_children)" -ge 1 ]; }
both_ways() { until_true 5 up && ping4 a 3 && ping4 b 3; }
anew_both_ways() { pluto_both_anew && until_true 8 ping4 a 1 && both_ways; }
# What their kernel has of us: a word of `ip xfrm policy`.
their_policies() { in_ns gw-b ip xfrm policy | grep -q "$1"; }

they_begin() { whack_ --terminate --name "$1" >/dev/null && until_true 5 pluto_down && whack_ --initiate --name "$1" && both_ways; }
they_rekey_ike()
{
	: >"$PLUTO/pluto.log"
	whack_ --rekey-ike --name "$(pluto_ike_conn)" && until_true 10 pluto_said 'initiator rekeyed IKE SA' && both_ways
}
we_rekey_ike()
{
	IKE_LINES='rekey_time = 4s
	rand_time = 0s
	over_time = 60s'
	: >"$PLUTO/pluto.log"
	anew_both_ways && until_true 20 pluto_said 'responder rekeyed IKE SA' && both_ways
	local status=$?
	IKE_LINES=
	return $status
}

# speaks ENGINE: every proposal, with preshared keys.
speaks()
{
	local ours theirs_
	check "$1: we begin, by a packet (trap)" eval 'until_true 8 ping4 a 1 && both_ways'
	check "$1: IPv6 inside" eval 'until_true 8 ping6 a 1 && ping6 b 3'
	check "$1: without UDP" eval '! theirs encap'
	PINGS=40
	check "$1: they rekey the child: no ping is lost" rekeyed whack_ --rekey-ipsec --name net4
	check "$1: they rekey the IKE SA" they_rekey_ike
	check "$1: and then the child again, in the new one" rekeyed whack_ --rekey-ipsec --name net4
	check "$1: we rekey the child: no ping is lost" rekeyed gw a rekey peer/net4
	check "$1: they end it, they begin" eval 'whack_ --terminate --name net6 >/dev/null; they_begin net4'
	while read -r ours theirs_; do
		IKE_ESP=$ours PLUTO_ESP=$theirs_ PLUTO_ESN=yes
		[[ $ours != *noesn ]] || PLUTO_ESN=no
		check "$1: $ours" anew_both_ways
		[[ $ours = *noesn ]] || check "$1: their kernel counts in 64 bits" theirs 'flag.* esn'
	done <<-END
		aes256gcm16-x25519-esn aes_gcm256-null-dh31
		aes128-sha256-x25519-esn aes128-sha2_256-dh31
		aes256-sha512-ecp256-noesn aes256-sha2_512-dh19
		chacha20poly1305-x25519-esn chacha20_poly1305-null-dh31
	END
	IKE_ESP=aes128gcm16-x25519 PLUTO_ESP='' PLUTO_ESN=''
	check "$1: we rekey the IKE SA" we_rekey_ike
	IKE_LINES='encap = yes' PLUTO_ENCAP=yes
	check "$1: in UDP" anew_both_ways
	check "$1: in UDP: so their kernel says" theirs 'encap type espinudp'
	check "$1: in UDP: they rekey the child: no ping is lost" rekeyed whack_ --rekey-ipsec --name net4
	IKE_LINES='' PLUTO_ENCAP=no PLUTO_LINES='compress = yes'
	check "$1: an offer of IPComp is not taken" anew_both_ways
	check "$1: they begin, and offer it" they_begin net4
	check "$1: their kernel has no policy with it" eval 'their_policies "proto esp" && ! their_policies "proto comp"'
	PLUTO_LINES=
}

# certified ENGINE KIND THEIR-AUTHBY WHAT-THEIR-LOG-SAYS
certified()
{
	IKE_AUTH=pubkey IKE_LOCAL='certs = own.pem'
	PLUTO_AUTH=$3 PLUTO_LINES="leftcert = theirs-$2
	leftsendcert = always
	rightca = %same"
	rm -rf "$WORK/creds-a" && mkdir -p "$WORK"/creds-a/{x509,x509ca,private}
	cp "$PKI/ours-$2.pem" "$WORK/creds-a/x509/own.pem"
	cp -p "$PKI/ours-$2.key" "$WORK/creds-a/private/"
	cp "$PKI/ca-$2.pem" "$WORK/creds-a/x509ca/"
	check "$1, $2: we begin" anew_both_ways
	check "$1, $2: they begin" they_begin net4
	check "$1, $2: they rekey the child: no ping is lost" rekeyed whack_ --rekey-ipsec --name net4
	check "$1, $2: so their log says" pluto_said "authenticated .*$4"
	IKE_AUTH=psk IKE_LOCAL='' PLUTO_AUTH='' PLUTO_LINES=''
}

# Before pluto opens its store.
certificates()
{
	local kind
	mkdir -p "$PLUTO/nss" && certutil -N -d "sql:$PLUTO/nss" --empty-password || return
	for kind in rsa ecdsa; do
		pki_ca ca-$kind $kind && pki_cert ours-$kind $kind ca-$kind gw1.example.org &&
			pki_cert theirs-$kind $kind ca-$kind gw2.example.org &&
			openssl pkcs12 -export -in "$PKI/theirs-$kind.pem" -inkey "$PKI/theirs-$kind.key" -name theirs-$kind \
				-certfile "$PKI/ca-$kind.pem" -passout pass: -out "$PKI/theirs-$kind.p12" &&
			pluto_key "$PKI/theirs-$kind.p12" && pluto_ca ca-$kind "$PKI/ca-$kind.pem" || return
	done
}

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
check "certificates are made" certificates
capture_start "$WORK/pluto.pcap" 0
check "both sides start" pluto_both_start || exit 1
for engine in afxdp xfrm; do
	GW_ENGINE[a]=$engine
	check "$engine: settings" pluto_both_anew
	speaks $engine
	certified $engine rsa rsa-sha2 RSASSA-PSS
	certified $engine ecdsa ecdsa ECDSA
	check_eq "$engine: it is that engine" "$(gw a sa list --json | jq -r '[.[].engine] | unique[]')" $engine

	# This host and theirs.
	IKE_CHILDREN='host {
		local_ts = 192.0.2.1/32
		remote_ts = 192.0.2.2/32
		mode = transport
		esp_proposals = aes128gcm16-x25519
		start_action = trap
		engine = '$engine'
	}'
	check "$engine: transport mode: settings" pluto_both_anew
	check "$engine: transport mode: we begin" host_answers
	check "$engine: transport mode: and back" in_ns gw-b ping -n -c 3 -i 0.2 -W 1 192.0.2.1
	check "$engine: transport mode: so their kernel says" theirs 'mode transport'
	IKE_CHILDREN=
done

PLUTO_PSK=another
check "another key: settings" pluto_both_anew
check "another key carries nothing" eval '! ping4 a 3'
check "our log says what they said" until_true 3 ike_said a AUTHENTICATION_FAILED
check_eq "no SA" "$(ike_sas a)" 0

check "capture: lost nothing" capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "no nonce was used twice" "$REPEATED" 0
check_eq "no message is malformed to tshark" \
	"$(tshark -r "$WORK/pluto.pcap" -Y 'isakmp && _ws.malformed' 2>/dev/null | wc -l)" 0
