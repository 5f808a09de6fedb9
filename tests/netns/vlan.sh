#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Tagged on both sides: the programs are on the interfaces, addresses and routes on VLANs above them.
#
#	red-a.20 --- red0.20 gw-a blk0.10 ===[capture]=== blk0.10.11 gw-b red0.20 --- red-b.20
. "$(dirname "$0")/../lib/scenario.sh"

if ! ip -n "$TOPO-gw-a" link add link blk0 name probe.9 type vlan id 9 2>/dev/null; then
	skip "vlan: this kernel has no 8021q; tests/vm runs it under others"
	exit 0
fi
ip -n "$TOPO-gw-a" link del probe.9

# move NODE IFACE VLAN: its addresses and routes go up to the VLAN.
move()
{
	local node=$TOPO-$1 iface=$2 vlan=$3 addr

	for addr in $(ip -n "$node" -o addr show dev "$iface" scope global | awk '{ print $4 }'); do
		ip -n "$node" addr del "$addr" dev "$iface"
		case $addr in
		*:*) ip -n "$node" addr add "$addr" dev "$vlan" nodad ;;
		*) ip -n "$node" addr add "$addr" dev "$vlan" ;;
		esac
	done
}

# on_vlan NODE IFACE ID [INNER-ID]
on_vlan()
{
	local node=$TOPO-$1 vlan=$2.$3

	if [ -n "${4:-}" ]; then
		ip -n "$node" link add link "$2" name "$vlan" type vlan proto 802.1ad id "$3"
		ip -n "$node" link set "$vlan" up
		ip -n "$node" link add link "$vlan" name "$vlan.$4" type vlan id "$4"
		vlan=$vlan.$4
	else
		ip -n "$node" link add link "$2" name "$vlan" type vlan id "$3"
	fi
	ip -n "$node" link set "$vlan" up
	move "$1" "$2" "$vlan"
	VLAN=$vlan
}

black_routes()
{
	local x=$1 n=1 vlan=$2

	[ "$x" = a ] || n=2
	ip -n "$TOPO-gw-$x" route replace 10.$((3 - n)).0.0/16 via 192.0.2.$((3 - n)) dev "$vlan"
	ip -n "$TOPO-gw-$x" route replace fd0$((3 - n))::/64 via 2001:db8::$((3 - n)) dev "$vlan"
}

tagged()
{
	local x n=1

	for x in a b; do
		on_vlan gw-$x red0 20
		on_vlan red-$x r${x}0 20
		ip -n "$TOPO-red-$x" route replace default via 10.$n.0.1
		ip -n "$TOPO-red-$x" -6 route replace default via fd0$n::1
		n=2
		# shellcheck disable=SC2086
		on_vlan gw-$x blk0 10 $1
		black_routes $x "$VLAN"
	done
}

count() { tcpdump -r "$WORK/tagged.pcap" -n "$1" 2>/dev/null | wc -l; }

tagged ''
check "gateways come up" gateways_up || exit 1
check "status: the VLANs need neither role nor exemption" gw a status
capture_start "$WORK/tagged.pcap" 0 || exit 1
check "IPv4 and IPv6 go through, tagged" tunnel_works
load_start 1000 1300
check "load goes both ways" load_moves 10
load_stop
capture_stop || not_ok "the capture lost packets"
check "ESP is tagged" [ "$(count 'vlan 10 and ip proto 50')" -gt 50 ]
check "nothing of it is in the clear" [ "$(count 'vlan and (udp port 7001 or icmp)')" = 0 ]
check "positive control: the capture reads tagged frames" [ "$(count 'vlan and (arp or icmp6)')" -gt 0 ]

# A VLAN that is made while all runs, inside another one.
for x in a b; do
	ip -n "$TOPO-gw-$x" addr flush dev blk0.10 scope global
	ip -n "$TOPO-gw-$x" link del blk0.10
	gateway_black_up $x
	on_vlan gw-$x blk0 30 31
	black_routes $x "$VLAN"
done
check "two tags, made while xipsecd runs" tunnel_works
check "a VLAN that is gone is no way any more" eval '! gw a status --json | grep -q "blk0\.10\""'
