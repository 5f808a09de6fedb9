#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Interfaces are deleted and made anew under load, as drivers and hypervisors do. The new one is closed
# until xipsecd has attached it, to what red sends and to the gateway's own.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"

black_anew()
{
	ip -n "$TOPO-gw-a" link del blk0
	sleep 0.3
	veth gw-a blk0 link la
	link_port_up la
	gateway_black_up a
}

red_anew()
{
	ip -n "$TOPO-gw-a" link del red0
	sleep 0.3
	veth red-a ra0 gw-a red0
	gateway_red_up a
	red_host_up a
}

# The gateway's own traffic, under a PROTECT policy: the guard gives it to a worker while it stands (host_out).
# Where the guard's interface is gone, nftables closes the next one of that name before it is there.
own_traffic()
{
	local dropped

	black_route_own
	own_load_start
	own_capture "the guard keeps the gateway's own packets" sleep 0.5
	own_capture "made anew: 0 of the gateway's own packets in the clear" own_anew
	own_capture "made anew while xipsecd is held for 0.1 s: 0 in the clear" own_anew_held
	check "then the guard stands again" until_true 10 load_guarded
	check "plaintext from the network to red-a is sent" inbound_start
	gw_kill a all
	dropped=$(nft_dropped)
	own_capture "made anew while xipsecd is dead: 0 in the clear" own_anew_dead
	check_eq "and 0 came in by it to red-a" "$(inbound)" 0
	dropped=$(($(nft_dropped) - dropped))
	check_gt "nftables dropped and counted them: $dropped" "$dropped" 100
	own_control
	check "the load of the gateway's own ran all the time" kill -0 "${OWN_LOAD[@]}"
	end_pid "$INBOUND" 2
	check "xipsecd is started again" gw_start a
	check "it puts the table back" nft_whole
	check "and the guard stands again" until_true 10 load_guarded
	own_load_stop
}

OWN_LOAD=()
own_load_start()
{
	spawn gw-a "$WORK/send-own4.log" "$UDPLOAD" send 10.2.0.2 7009 2000 200 0
	OWN_LOAD=("$PID")
	spawn gw-a "$WORK/send-own6.log" "$UDPLOAD" send fd02::2 7009 2000 200 0
	OWN_LOAD+=("$PID")
}

own_load_stop()
{
	local pid
	for pid in "${OWN_LOAD[@]}"; do
		end_pid "$pid" 2
	done
}

# own_capture WHAT COMMAND...: while it runs, nothing of the gateway's own is seen between the gateways.
own_capture()
{
	local what=$1
	shift
	capture_start "$WORK/own.pcap" 128 udp port 7009 || return
	"$@"
	check "$what: the capture lost nothing" capture_stop
	capture_verdict >/dev/null
	check_eq "$what" "$((CLEAR + MARKED))" 0
}

own_anew()
{
	black_anew_at_once
	until_true 10 load_guarded || echo "# the guard was not seen again within 10 s"
}

own_anew_held()
{
	kill -STOP "${GW_PID[a]}"
	black_anew_at_once
	sleep 0.1
	kill -CONT "${GW_PID[a]}"
	until_true 10 load_guarded || echo "# the guard was not seen again within 10 s"
}

own_anew_dead()
{
	black_anew_at_once
	ip -n "$TOPO-link" neigh flush dev br0 # it has another MAC now
	sleep 1
}

# Plaintext from the black side, to be forwarded to red-a: the guard's other half.
inbound_start()
{
	ip -n "$TOPO-link" addr add 192.0.2.77/24 dev br0
	ip -n "$TOPO-link" route add 10.1.0.0/16 via 192.0.2.1
	spawn red-a "$WORK/recv-in.log" "$UDPLOAD" recv 10.1.0.2 7010 "$WORK/inbound"
	until_true 2 test -s "$WORK/inbound" || return
	spawn link "$WORK/send-in.log" "$UDPLOAD" send 10.1.0.2 7010 1000 200 0
	INBOUND=$PID
}

inbound()
{
	local received

	read -r received _ <"$WORK/inbound"
	echo "$received"
}

# Without the table the same packets do leave, and the capture sees those of both families; and others
# come in.
own_control()
{
	local v4 v6

	in_ns gw-a nft delete table inet xipsec
	capture_start "$WORK/own.pcap" 128 udp port 7009 || return
	own_anew_dead
	check "positive control: the capture lost nothing" capture_stop
	v4=$(tcpdump -n -r "$WORK/own.pcap" ip 2>/dev/null | wc -l)
	v6=$(tcpdump -n -r "$WORK/own.pcap" ip6 2>/dev/null | wc -l)
	echo "# without the table $v4 packets of IPv4 and $v6 of IPv6 left in a good second, $(inbound) came in"
	check_gt "positive control: without the table, plaintext of IPv4 is seen" "$v4" 100
	check_gt "positive control: without the table, plaintext of IPv6 is seen" "$v6" 100
	check_gt "positive control: without the table, plaintext comes in to red-a" "$(inbound)" 100
}

nft_dropped() { gw a status --json | jq .nft.packets; }
nft_whole() { [ "$(gw a status --json | jq -r .nft.state)" = whole ]; }

# The gateway's own packets have an address of the protected side.
black_route_own()
{
	ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 via 192.0.2.2 dev blk0 src 10.1.0.1
	ip -n "$TOPO-gw-a" route replace fd02::/64 via 2001:db8::2 dev blk0 src fd01::1
}

# As a network manager with everything prepared does it: there, up, addressed, routed and with a known
# neighbour in one go, so that neither ARP nor the start of a program leaves xipsecd the time.
black_anew_at_once()
{
	local mac
	mac=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')
	ip -n "$TOPO-gw-a" link del blk0
	sleep 0.3
	ip -n "$TOPO-link" link add la up master br0 type veth peer name blk0 netns "$TOPO-gw-a" &
	until ip -n "$TOPO-gw-a" -batch - 2>/dev/null <<-END; do :; done
		link set blk0 up
		addr replace 192.0.2.1/24 dev blk0
		neigh replace 192.0.2.2 lladdr $mac dev blk0 nud permanent
		route replace 10.2.0.0/16 via 192.0.2.2 dev blk0 src 10.1.0.1
		addr replace 2001:db8::1/64 dev blk0 nodad
		neigh replace 2001:db8::2 lladdr $mac dev blk0 nud permanent
		route replace fd02::/64 via 2001:db8::2 dev blk0 src fd01::1
	END
	wait $!
}

# More of them have been taken by the guard than a moment ago: it stands again.
load_guarded()
{
	local before
	before=$(gw_reason a host_out)
	sleep 0.2
	[ "$(gw_reason a host_out)" -gt "$before" ]
}

leak_begin || exit 1
leak_act "black interface of gw-a made anew" black_anew
leak_act "black interface of gw-a made anew again" black_anew
leak_act "red interface of gw-a made anew" red_anew
check "status finds nothing unsafe" gw a status

# With no xipsecd to look after it, red traffic must not leave by an interface that is unknown.
gw_kill a all
black_anew
sleep 1
check "with xipsecd dead, a new black interface carries nothing" load_stands
leak_act "xipsecd started again" gw_start a
leak_end

check "the tunnel works after all of it" until_true 5 tunnel_works
own_traffic
