#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# A NAT (nftables masquerade, other ports too) between xipsec-iked and Debian's strongSwan: first we are
# behind it, then they are. We do not ask for encapsulation; NAT detection finds out who is behind it. IKE
# floats to 4500, both kinds of rekey by either side go through, keepalives keep it open.
#
#	red-a --- gw-a 10.99.0.1 --- la [NAT] br0 [capture] lb --- gw-b 192.0.2.2: strongSwan --- red-b
#	red-a --- gw-a 192.0.2.1 --- la br0 [capture] [NAT] lb --- gw-b 10.98.0.2: strongSwan --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/charon.sh"

swan_or_skip
ping_a() { in_ns red-a ping -n -c "${1:-3}" -i 0.2 -W 1 10.2.0.2; }
ping_b() { in_ns red-b ping -n -c "${1:-3}" -i 0.2 -W 1 10.1.0.2; }
up() { [ "$(ike_sas a net4)" = 2 ] && [ "$(swan_children)" = 1 ]; }
both_ways() { until_true 5 up && ping_a 3 && ping_b 3; }

# masquerade NETWORK: what leaves it by any other interface.
masquerade()
{
	printf '%s\n' 'table ip masq' 'delete table ip masq' 'table ip masq {' 'chain out {' \
		'type nat hook postrouting priority 100' \
		"ip saddr $1 ip daddr != $1 ip protocol udp masquerade to :30000-30999" '}' '}' | in_ns link nft -f -
}

# behind PORT GATEWAY NETWORK.254
behind()
{
	ip -n "$TOPO-link" link set "$1" nomaster
	ip -n "$TOPO-link" addr add "$3/24" dev "$1"
	net_sysctl link net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0
	ip -n "$TOPO-$2" addr flush dev blk0
	ip -n "$TOPO-$2" addr add "$4/24" dev blk0
	ip -n "$TOPO-$2" route replace default via "$3"
}

# Of the IKE SA at charon.
ike_spi() { swan_sas | grep -o 'initiator-spi=[0-9a-f]*' | head -n 1; }
ike_fresh() { [ -n "$(ike_spi)" ] && [ "$(ike_spi)" != "$1" ] && [ "$(swan_sas | grep -o 'state=ESTABLISHED' | wc -l)" = 1 ]; }

ike_rekeyed()
{
	local before
	before=$(ike_spi)
	"$@" >/dev/null && until_true 5 ike_fresh "$before" && ping_a 2 && ping_b 2
}
rekeys()
{
	check "$1: they rekey the child, no ping is lost" rekeyed swanctl_ --rekey --child net4
	check "$1: they rekey the IKE SA" ike_rekeyed swanctl_ --rekey --ike peer
	check "$1: we rekey the child, no ping is lost" rekeyed gw a rekey peer/net4
	check "$1: we rekey the IKE SA" ike_rekeyed gw a rekey peer
	check "$1: and they the child again" rekeyed swanctl_ --rekey --child net4
}

# A keepalive is one octet 0xff (RFC 3948 2.3); the capture is of the other side of the NAT.
keepalives() { tshark -r "$WORK/nat.pcap" -Y "udp.length == 9 && ip.src == $1 && udp.dstport == 4500" 2>/dev/null | wc -l; }
kept() { [ "$(keepalives "$1")" -gt 0 ]; }
malformed() { tshark -r "$WORK/nat.pcap" -Y 'isakmp && _ws.malformed' 2>/dev/null | wc -l; }

if ! masquerade 10.99.0.0/24 2>"$WORK/nft"; then
	skip "strongswan-nat: this kernel has no masquerade: $(head -n 1 "$WORK/nft")"
	exit 0
fi
check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
SWAN_ENCAP=no

# --- we are behind it
behind la gw-a 10.99.0.254 10.99.0.1
ip -n "$TOPO-link" addr add 192.0.2.254/24 dev br0
IKE_LOCAL_ADDR=10.99.0.1 IKE_REMOTE_ADDR=192.0.2.2
SWAN_PEER=192.0.2.254
capture_start "$WORK/nat.pcap" 0
we_start()
{
	gw_config a && gw_attach a >/dev/null && gw_start a && swan_start 'keep_alive = 2s' && swan_load && ike_start a
}
check "both sides start" we_start || exit 1
check "we are behind the NAT: traffic both ways" eval 'until_true 5 ping_a 1 && both_ways'
check "our log says that we are" ike_said a 'we are behind a NAT'
check "they see a port of the NAT" eval "swan_sas | grep -Eq 'remote-host=192.0.2.254 remote-port=30[0-9]{3}'"
rekeys "behind the NAT"
idle=$(($(date +%s) + 22))
while [ "$(date +%s)" -lt $idle ] && ! kept 192.0.2.254; do
	ping_a 1 >/dev/null 2>&1
	sleep 1
done
check_gt "we sent a keepalive when IKE had been silent" "$(keepalives 192.0.2.254)" 0
check "traffic goes on" both_ways
capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "none of it as plain ESP" "$(tshark -r "$WORK/nat.pcap" -Y 'ip.proto == 50' 2>/dev/null | wc -l)" 0
check_eq "IKE_AUTH floated: none of it on port 500" \
	"$(tshark -r "$WORK/nat.pcap" -Y 'isakmp.exchangetype != 34 && udp.port == 500' 2>/dev/null | wc -l)" 0
check_eq "no message is malformed to tshark" "$(malformed)" 0

# --- they are behind it
ike_stop a
gw_stop a
swan_stop
ip -n "$TOPO-link" link set la master br0
ip -n "$TOPO-link" addr flush dev la
behind lb gw-b 10.98.0.254 10.98.0.2
masquerade 10.98.0.0/24
ip -n "$TOPO-gw-a" addr flush dev blk0
ip -n "$TOPO-gw-a" addr add 192.0.2.1/24 dev blk0
ip -n "$TOPO-gw-a" route replace default via 192.0.2.254
IKE_LOCAL_ADDR=192.0.2.1 IKE_REMOTE_ADDR=%any IKE_START=none
SWAN_ADDR=10.98.0.2 SWAN_PEER=192.0.2.1
capture_start "$WORK/nat.pcap" 0
they_start()
{
	gw_config a && gw_start a && swan_start 'keep_alive = 2s' && swan_load && ike_start a
}
check "both sides start again" they_start || exit 1
check "they are behind the NAT, and begin: traffic both ways" eval 'swanctl_ --initiate --child net4 >/dev/null && both_ways'
check "our log says that they are" ike_said a 'the peer is behind a NAT'
check "their SA leads to a port of the NAT" eval \
	"gw a sa list --json | jq -e 'any(.[]; .direction == \"out\" and .dst == \"192.0.2.254\" and .dst_port >= 30000)' >/dev/null"
rekeys "they behind the NAT"
check "they sent keepalives" until_true 6 kept 192.0.2.254
check "traffic goes on" both_ways
capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "no message is malformed to tshark" "$(malformed)" 0
