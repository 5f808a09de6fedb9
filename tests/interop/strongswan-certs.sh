#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Certificates between xipsec-iked and Debian's strongSwan: RSA, ECDSA, Ed25519 under one CA each, both
# begin; a chain with an intermediate CA; chains that go in fragments (RFC 7383), both ways; a certificate that is expired, one of a stranger's CA, one that
# a CRL revokes: theirs, which we refuse, and ours, which they refuse. Over IPv6 too.
#
#	red-a --- gw-a: xipsec ===[capture]=== gw-b: strongSwan --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/charon.sh"
. "$LIB/pki.sh"

swan_or_skip
IKE_LINES="encap = yes"
IKE_AUTH=pubkey SWAN_AUTH=pubkey

# use NAME-OF-OURS NAME-OF-THEIRS CA...: both sides trust those CAs.
use()
{
	local ours=$1 theirs=$2 ca
	shift 2
	rm -rf "$WORK/creds-a" && mkdir -p "$WORK"/creds-a/{x509,x509ca,x509crl,private} || return
	cp "$PKI/$ours.pem" "$WORK/creds-a/x509/own.pem" && cp -p "$PKI/$ours.key" "$WORK/creds-a/private/" || return
	for ca in "$@"; do cp "$PKI/$ca.pem" "$WORK/creds-a/x509ca/"; done
	IKE_LOCAL="certs = own.pem"
	SWAN_LOCAL="certs = $PKI/$theirs.pem"
	SWAN_REMOTE="cacerts = $PKI/$1.pem"
	rm -rf "$SWAN"/{x509ca,private}
	mkdir -p "$SWAN"/{x509ca,private}
	for ca in "$@"; do cp "$PKI/$ca.pem" "$SWAN/x509ca/"; done
	cp -p "$PKI/$theirs.key" "$SWAN/private/"
}

ping_a() { in_ns red-a ping -n -c "${1:-3}" -i 0.2 -W 1 10.2.0.2; }
ping_b() { in_ns red-b ping -n -c "${1:-3}" -i 0.2 -W 1 10.1.0.2; }
up() { [ "$(ike_sas a net4)" = 2 ] && [ "$(swan_children)" = 1 ]; }
both_ways() { until_true 5 up && ping_a 3 && ping_b 3; }

# swanctl takes private keys and CAs from its folder.
swan_load()
{
	swan_config
	SWANCTL_DIR=$SWAN swanctl_ --load-all --clear --noprompt >"$SWAN/load" 2>&1 || {
		note <"$SWAN/load"
		return 1
	}
}

anew()
{
	[ -z "${IKED_PID[a]:-}" ] || ike_stop a
	swanctl_ --terminate --ike peer --force >/dev/null 2>&1
	gw_config a
	SAID=$(wc -l <"$SWAN/charon.log")
	swan_load && ike_start a && until_true 5 swan_down
}

# What either said since anew().
says() { grep -Eq "$1" "$WORK/iked-a.log.new"; }
they_say() { tail -n "+$SAID" "$SWAN/charon.log" | grep -Eq "$1"; }

we_begin() { anew && until_true 5 ping_a 1 && both_ways; }
they_begin() { anew && swanctl_ --initiate --child net4 >/dev/null && both_ways; }
nothing() { ! ping_a 3 >/dev/null 2>&1 && [ "$(ike_sas a)" = 0 ]; }

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
capture_start "$WORK/swan.pcap" 0
IKE_AUTH=psk gw_config a
gw_attach a >/dev/null
check "xipsecd and charon start" eval 'gw_start a && swan_start' || exit 1

for kind in rsa ecdsa ed25519; do
	check "$kind: certificates are made" eval "pki_ca ca-$kind $kind &&
		pki_cert ours-$kind $kind ca-$kind gw1.example.org && pki_cert theirs-$kind $kind ca-$kind gw2.example.org"
	use ours-$kind theirs-$kind ca-$kind
	check "$kind: we begin" we_begin
	check "$kind: they begin" they_begin
done

IKE_ADDR=6 SWAN_ADDR=2001:db8::2 SWAN_PEER=2001:db8::1
use ours-ecdsa theirs-ecdsa ca-ecdsa
check "ecdsa over IPv6: we begin" we_begin
of_6() { gw a sa list --json | jq -e '[.[].src] | length > 0 and all(contains(":"))' >/dev/null; }
check "by SAs between IPv6 addresses" of_6
check "ecdsa over IPv6: they begin" they_begin
IKE_ADDR=4 SWAN_ADDR='' SWAN_PEER=''

# Who has a certificate and no id is its subject, for us as for them.
IKE_NO_ID=1 SWAN_REMOTE_ID='"O=xipsec, CN=ours-ecdsa"'
use ours-ecdsa theirs-ecdsa ca-ecdsa
check "we have no id: we begin as the subject of our certificate" we_begin
check "they begin, and find us" they_begin
IKE_NO_ID='' SWAN_REMOTE_ID=''

# Strengths are of the whole chain: P-256 below P-256, or below RSA.
IKE_AUTH=ecdsa-256
use ours-ecdsa theirs-ecdsa ca-ecdsa
check "ecdsa-256 of a P-256 chain: we begin" we_begin
IKE_AUTH=ecdsa-384
check "ecdsa-384 of a P-256 chain" anew
check "nothing comes up" nothing
check "our log says why" until_true 3 says 'its ECDSA key has 256 bits, .auth. asks for 384'
IKE_AUTH=pubkey

CA_EXT='basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign'
chain_made()
{
	pki_cert mid ecdsa ca-ecdsa mid.example.org 30 "$CA_EXT" && pki_cert ours-mid ecdsa mid gw1.example.org
}
check "a chain is made" chain_made
use ours-mid theirs-ecdsa ca-ecdsa
cat "$PKI/mid.pem" >>"$WORK/creds-a/x509/own.pem"
check "ours has an intermediate CA: we send it along" we_begin

# --- chains that do not fit into one datagram: RFC 7383 both ways
CA_LONG="$CA_EXT
nsComment=$(printf 'x%.0s' {1..400})"
long_chains()
{
	pki_cert mid-a rsa ca-rsa mid-a.example.org 30 "$CA_LONG" && pki_cert mid-b rsa ca-rsa mid-b.example.org 30 "$CA_LONG" &&
		pki_cert ours-long rsa mid-a gw1.example.org && pki_cert theirs-long rsa mid-b gw2.example.org
}
check "long chains are made, one for each" long_chains
use ours-long theirs-long ca-rsa
cat "$PKI/mid-a.pem" >>"$WORK/creds-a/x509/own.pem"
cp "$PKI/mid-b.pem" "$SWAN/x509ca/"
check "long chains: we begin" we_begin
check "long chains: they begin" they_begin

check "a stranger's CA is made" eval 'pki_ca ca-other ecdsa && pki_cert theirs-other ecdsa ca-other gw2.example.org'
use ours-ecdsa theirs-other ca-ecdsa
cp "$PKI/ca-other.pem" "$SWAN/x509ca/"
check "their certificate is of a CA that we do not know" anew
check "nothing comes up" nothing
check "our log says why" until_true 3 says 'certificate'
check "and they hear it" until_true 3 they_say 'parsed INFORMATIONAL request .*N\(AUTH_FAILED\)'

check "ours is of that CA" pki_cert ours-other ecdsa ca-other gw1.example.org
use ours-other theirs-ecdsa ca-ecdsa
check "they do not know it" anew
check "nothing comes up" nothing
check "our log says that they refused" until_true 3 says 'the peer refused us: AUTHENTICATION_FAILED'

use ours-ecdsa theirs-ecdsa ca-ecdsa
check "a certificate that is expired is made" eval 'pki_cert theirs-old ecdsa ca-ecdsa gw2.example.org 0 && sleep 1'
use ours-ecdsa theirs-old ca-ecdsa
check "their certificate is expired" anew
check "nothing comes up" nothing
check "our log says so" until_true 3 says 'expired'

check "one of ours that is expired is made" eval 'pki_cert ours-old ecdsa ca-ecdsa gw1.example.org 0 && sleep 1'
use ours-old theirs-ecdsa ca-ecdsa
check "our certificate is expired" anew
check "nothing comes up" nothing
check "they say why" until_true 3 they_say 'certificate invalid'
check "our log says that they refused" until_true 3 says 'the peer refused us: AUTHENTICATION_FAILED'

# openssl ca keeps books of what it revokes.
revoke()
{
	: >"$PKI/index.txt"
	echo 01 >"$PKI/crlnumber"
	cat >"$PKI/ca.conf" <<-END
		[ca]
		default_ca = c
		[c]
		database = $PKI/index.txt
		crlnumber = $PKI/crlnumber
		default_md = sha256
		default_crl_days = 30
		crl_extensions = x
		[x]
		authorityKeyIdentifier = keyid
	END
	openssl ca -config "$PKI/ca.conf" -keyfile "$PKI/ca-ecdsa.key" -cert "$PKI/ca-ecdsa.pem" -revoke "$PKI/$1.pem" &&
		openssl ca -config "$PKI/ca.conf" -keyfile "$PKI/ca-ecdsa.key" -cert "$PKI/ca-ecdsa.pem" -gencrl -out "$PKI/crl.pem"
} 2>/dev/null
check "a CRL revokes theirs" revoke theirs-ecdsa
use ours-ecdsa theirs-ecdsa ca-ecdsa
cp "$PKI/crl.pem" "$WORK/creds-a/x509crl/"
check "their certificate is revoked" anew
check "nothing comes up" nothing
check "our log says so" until_true 3 says 'revoked'
half_written()
{
	head -c 200 "$PKI/crl.pem" >"$WORK/creds-a/x509crl/crl.pem"
	REVOKED=$(grep -c 'certificate revoked' "$WORK/iked-a.log.new")
	kill -HUP "${IKED_PID[a]}" && until_true 3 says 'those of before stay in force'
}
still_revoked() { ! ping_a 1 && [ "$(grep -c 'certificate revoked' "$WORK/iked-a.log.new")" -gt "$REVOKED" ]; }
check "a reload while half of the CRL is written" half_written
check "it is revoked still" until_true 5 still_revoked

check "a CRL revokes ours" revoke ours-ecdsa
use ours-ecdsa theirs-ecdsa ca-ecdsa
mkdir -p "$SWAN/x509crl" && cp "$PKI/crl.pem" "$SWAN/x509crl/"
check "our certificate is revoked" anew
check "nothing comes up" nothing
check "they say why" until_true 3 they_say 'certificate was revoked'
check "our log says that they refused" until_true 3 says 'the peer refused us: AUTHENTICATION_FAILED'

capture_stop
capture_verdict -i
of_capture() { tshark -r "$WORK/swan.pcap" -Y "$1" 2>/dev/null | wc -l; }
check_gt "we sent fragments of IKE" "$(of_capture 'isakmp.typepayload == 53 && ip.src == 192.0.2.1')" 3
check_gt "they did" "$(of_capture 'isakmp.typepayload == 53 && ip.src == 192.0.2.2')" 3
check_eq "none of IP" "$(of_capture 'ip.flags.mf == 1 || ip.frag_offset > 0')" 0
check_eq "no message is malformed to tshark" "$(of_capture 'isakmp && _ws.malformed')" 0
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
