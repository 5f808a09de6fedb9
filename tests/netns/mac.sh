#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Whose frames a gateway takes: its MAC changes under load, frames come that a promiscuous NIC or a
# flooding switch would let through, a macvlan as keepalived's use_vmac makes it comes and goes.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"

VMAC=00:00:5e:00:01:33

# Neighbours learn of a new MAC at once, as of a router that is well kept.
announce()
{
	net_sysctl gw-a net.ipv4.conf.all.arp_notify=1 "net.ipv4.conf.$1.arp_notify=1" \
		net.ipv6.conf.all.ndisc_notify=1 "net.ipv6.conf.$1.ndisc_notify=1"
}

set_mac() { ip -n "$TOPO-gw-a" link set "$1" address "$2"; }

received() { load_field ba received; }

# Nothing comes in by gw-a for half a second.
inbound_stands()
{
	local before
	sleep 0.2 # what is on its way
	before=$(received)
	sleep 0.5
	[ "$before" = "$(received)" ]
}

inbound_moves() { [ "$(received)" -gt "$1" ]; }

# frames MAC DST NUMBER: UDP to that MAC and address, from red-a.
frames()
{
	in_ns red-a /usr/bin/python3 -c '
import sys
from scapy.all import IP, UDP, Ether, Raw, sendp
mac, dst, n = sys.argv[1:]
sendp([Ether(dst=mac) / IP(src="10.1.0.2", dst=dst) / UDP(sport=9, dport=9) / Raw(b"x" * 40)] * int(n),
      iface="ra0", verbose=0)' "$@"
}

# steered MAC: with nothing else under way, how many of 20 frames to that MAC gw-a seals.
steered()
{
	local before after
	before=$(gw_reason a steer_out)
	frames "$1" 10.2.0.2 20
	sleep 0.3
	after=$(gw_reason a steer_out)
	echo $((after - before))
}

vmac_up()
{
	ip -n "$TOPO-gw-a" link add vrrp0 link red0 address $VMAC type macvlan mode private &&
		ip -n "$TOPO-gw-a" link set vrrp0 up
}

mac_taken() { [ "$(steered "$1")" = 20 ]; }
mac_refused() { [ "$(steered "$1")" = 0 ]; }

announce blk0
announce red0
leak_begin || exit 1

leak_act "black interface of gw-a gets a new MAC" set_mac blk0 02:00:00:00:0a:01
leak_act "and another" set_mac blk0 02:00:00:00:0a:02
leak_act "red interface of gw-a gets a new MAC" set_mac red0 02:00:00:00:0a:03

# Without xipsecd the map is not written, which shows that it is it that counts; `attach` writes it.
kill -STOP "${GW_PID[a]}"
set_mac blk0 02:00:00:00:0a:04
check "xipsecd of gw-a stands still, new MAC: what comes from black ends" inbound_stands
before=$(received)
gw a attach --all >"$WORK/again.log" 2>&1
check "attach --all takes the new MAC" until_true 5 inbound_moves $((before + 50))
kill -CONT "${GW_PID[a]}"
check_gt "what came meanwhile was counted" "$(gw_reason a foreign_mac)" 100
check "traffic flows in both directions" load_moves
leak_end

# The switch floods. Only what is for gw-a is sealed.
check_eq "20 frames to the MAC of gw-a are sealed" "$(steered 02:00:00:00:0a:03)" 20
before=$(gw_reason a foreign_mac)
check_eq "20 frames to another's MAC are not" "$(steered 02:00:00:00:0b:01)" 0
check_eq "20 frames to broadcast are not" "$(steered ff:ff:ff:ff:ff:ff)" 0
check_eq "they were counted" "$(($(gw_reason a foreign_mac) - before))" 40
before=$(gw_reason a not_outbound)
frames 02:00:00:00:0b:01 10.1.0.77 20
check_gt "to another's MAC and not outbound: left to the stack" \
	"$(($(gw_reason a not_outbound) - before))" 19

check "VRRP: its MAC is not taken before" mac_refused $VMAC
check "VRRP: a macvlan with its MAC comes up" vmac_up
check "VRRP: its MAC is taken" until_true 5 mac_taken $VMAC
check "VRRP: and that of gw-a" mac_taken 02:00:00:00:0a:03
ip -n "$TOPO-gw-a" link set vrrp0 down
check "VRRP: down, its MAC is not taken any more" until_true 5 mac_refused $VMAC
