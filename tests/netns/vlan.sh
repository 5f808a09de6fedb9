#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Tagged on both sides: the programs are on the interfaces, addresses and routes on VLANs above them.
# ESP, ESP in UDP and AH go through them, with one tag and with two, jumbo frames where the kernel has
# them; "too big" goes back to its sender inside its VLAN.
#
#	red-a.20 --- red0.20 gw-a blk0.10 ===[capture]=== blk0.10.11 gw-b red0.20 --- red-b.20
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/kernel.sh"

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
		# Inside the frame, as a wire has it: a veth would hand it over beside the frame, where XDP does not look.
		in_ns red-$x ethtool -K r${x}0 txvlan off
		on_vlan red-$x r${x}0 20
		ip -n "$TOPO-red-$x" route replace default via 10.$n.0.1
		ip -n "$TOPO-red-$x" -6 route replace default via fd0$n::1
		n=2
		# shellcheck disable=SC2086
		on_vlan gw-$x blk0 10 $1
		black_routes $x "$VLAN"
	done
}

count() { tcpdump -r "${2:-$WORK/tagged.pcap}" -n "$1" 2>/dev/null | wc -l; }

# told FAMILY SIZE DST: the MTU that red-a is told for a packet that must not be cut.
told()
{
	in_ns red-a ip -"$1" route flush cache >/dev/null 2>&1
	in_ns red-a ping -"$1" -n -c 2 -i 0.2 -W 1 -M 'do' -s "$2" "$3" 2>&1 |
		sed -n 's/.*mtu *= *\([0-9]*\).*/\1/p' | head -n 1
}

# restart LINE ALGORITHM KEY_BYTES: both gateways, with SAs of another kind.
restart()
{
	local x

	GW_SA_LINES=$1 GW_ALG=$2 GW_KEY_BYTES=$3
	new_keys
	for x in a b; do gw_stop $x; done
	for x in a b; do gw_config $x && gw_start $x || return; done
}

# carries WHAT FILTER: both families, by packets that the filter of tcpdump knows.
carries()
{
	local what=$1 file=$WORK/carried.pcap

	capture_start "$file" 0 || return
	check "$what: IPv4 and IPv6 go through" tunnel_works
	capture_stop || not_ok "$what: the capture lost packets"
	check_gt "$what: it is tagged" "$(count "$2" "$file")" 10
	check_eq "$what: nothing of it is in the clear" "$(count 'vlan and (icmp or icmp6[0] == 128)' "$file")" 0
}

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

# answers ID FILE: too big for the tunnel, told to red-a inside this VLAN. 20 bytes of outer header (IPv6:
# 40), 16 of ESP, 16 of ICV, down to a multiple of 4, less 2.
answers()
{
	spawn red-a "$WORK/told.log" tcpdump -i ra0 -n -U --immediate-mode -w "$2"
	told_pid=$PID
	until_true 5 grep -q 'listening on' "$WORK/told.log"
	check_eq "VLAN $1, IPv4: too big is told, with what fits" "$(told 4 1472 10.2.0.2)" 1446
	check_eq "VLAN $1, IPv6: too big is told, with what fits" "$(told 6 1452 fd02::2)" 1426
	sleep 0.5
	end_pid "$told_pid"
	check_eq "VLAN $1: and never without a tag" "$(count 'icmp[0] == 3 or (icmp6 and ip6[40] == 2)' "$2")" 0
}

answers 20 "$WORK/told.pcap"
check_gt "IPv4: inside the VLAN" "$(count 'vlan 20 and icmp[0] == 3 and src 10.1.0.1' "$WORK/told.pcap")" 0
check_gt "IPv6: inside the VLAN" "$(count 'vlan 20 and icmp6 and src fd01::1 and ip6[40] == 2' "$WORK/told.pcap")" 0

# A second VLAN beside it, made while all runs: its own addresses answer there, and those of the first
# are not told on it.
second_vlan()
{
	ip -n "$TOPO-gw-a" link add link red0 name red0.21 type vlan id 21
	ip -n "$TOPO-gw-a" addr add 10.1.21.1/24 dev red0.21
	ip -n "$TOPO-gw-a" addr add fd01::21:1/112 dev red0.21 nodad
	ip -n "$TOPO-gw-a" link set red0.21 up
	ip -n "$TOPO-red-a" link add link ra0 name ra0.21 type vlan id 21
	ip -n "$TOPO-red-a" addr add 10.1.21.2/24 dev ra0.21
	ip -n "$TOPO-red-a" addr add fd01::21:2/112 dev ra0.21 nodad
	ip -n "$TOPO-red-a" link set ra0.21 up
	ip -n "$TOPO-red-a" route add 10.2.0.2 via 10.1.21.1 src 10.1.21.2
	ip -n "$TOPO-red-a" route add fd02::2 via fd01::21:1 src fd01::21:2
	until_true 20 tunnel_works
}
check "a second VLAN on red, made while xipsecd runs" second_vlan
answers 21 "$WORK/told21.pcap"
check_gt "IPv4: inside the VLAN, from its address" "$(count 'vlan 21 and icmp[0] == 3 and src 10.1.21.1' "$WORK/told21.pcap")" 0
check_gt "IPv6: inside the VLAN, from its address" "$(count 'vlan 21 and icmp6 and src fd01::21:1 and ip6[40] == 2' "$WORK/told21.pcap")" 0
check_eq "nothing of it in the first VLAN" "$(count 'vlan 20 and (icmp[0] == 3 or (icmp6 and ip6[40] == 2))' "$WORK/told21.pcap")" 0
ip -n "$TOPO-red-a" link del ra0.21
ip -n "$TOPO-gw-a" link del red0.21

check "gateways come up, ESP in UDP" restart 'encap = yes' aes128gcm16 20
carries "ESP in UDP, one tag" 'vlan 10 and udp port 4500'
check "gateways come up, AH" restart 'protocol = ah' sha256 32
carries "AH, one tag" 'vlan 10 and (ip proto 51 or ip6 proto 51)'

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
carries "AH, two tags" 'vlan 30 and vlan 31 and (ip proto 51 or ip6 proto 51)'
check "gateways come up, ESP in UDP once more" restart 'encap = yes' aes128gcm16 20
carries "ESP in UDP, two tags" 'vlan 30 and vlan 31 and udp port 4500'

# Jumbo frames: the devices have 8 bytes more than the VLANs, for the tags.
vlans_wide()
{
	local x dev
	for dev in la lb br0; do ip -n "$TOPO-link" link set $dev mtu 9000; done
	for x in a b; do
		for dev in blk0:9000 blk0.30:8996 blk0.30.31:8992 red0:9000 red0.20:8992; do
			ip -n "$TOPO-gw-$x" link set "${dev%:*}" mtu "${dev#*:}"
		done
		ip -n "$TOPO-red-$x" link set r${x}0 mtu 9000
		ip -n "$TOPO-red-$x" link set r${x}0.20 mtu 8992
	done
	in_ns red-a ip route flush cache
	in_ns red-a ip -6 route flush cache
	until_true 20 tunnel_works
}
wide() { in_ns red-a ping -"$1" -n -c 2 -i 0.2 -W 2 -M 'do' -s "$2" "$3"; }
if multi_buffer; then
	check "9000 everywhere: the tunnel works" vlans_wide
	until_true 20 wide 4 8000 10.2.0.2
	for size in 1472 3498 4096 7666 8000 8800; do
		check "jumbo, two tags: IPv4, ping of $size bytes" wide 4 $size 10.2.0.2
		check "jumbo, two tags: IPv6, ping of $size bytes" wide 6 $size fd02::2
	done
else
	skip "vlan: jumbo frames: this kernel's AF_XDP takes no packets in several frames (6.6 does)"
fi
