#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Interfaces are deleted and made anew under load, as drivers and hypervisors do. The new one is closed
# until xipsecd has attached it.
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

# A known limit, measured and told, not judged: the host's own traffic on an interface made anew has
# no guard until xipsecd has attached it. Here it is under a PROTECT policy, which drops it while the
# guard stands (host_closed).
own_traffic()
{
	local sender

	black_route_own
	capture_start "$WORK/own.pcap" 128 udp port 7009 || return
	spawn gw-a "$WORK/send-own.log" "$UDPLOAD" send 10.2.0.2 7009 4000 200 0
	sender=$PID
	sleep 0.5
	check "the load of the gateway's own runs" kill -0 "$sender"
	kill -INT "$CAPTURE_PID"
	reap "$CAPTURE_PID"
	capture_verdict >/dev/null
	check_eq "the guard keeps the gateway's own packets" "$((CLEAR + MARKED))" 0
	own_measure 0 "before xipsecd had attached it"
	# The same with xipsecd held: shows that the measure sees what there is to see.
	own_measure 0.1 "while xipsecd was held for 0.1 s"
	end_pid "$sender" 2
}

# own_measure SECONDS WHEN: xipsecd sleeps that long.
own_measure()
{
	capture_start "$WORK/own.pcap" 128 udp port 7009 || return
	[ "$1" = 0 ] || kill -STOP "${GW_PID[a]}"
	black_anew_at_once
	sleep "$1"
	kill -CONT "${GW_PID[a]}"
	until_true 10 load_guarded || echo "# the guard was not seen again within 10 s"
	capture_stop
	capture_verdict >/dev/null
	echo "# known limit: $((CLEAR + MARKED)) of the gateway's own packets left in the clear by a black" \
		"interface made anew, $2"
}

# The gateway's own packets have an address of the protected side.
black_route_own()
{
	ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 via 192.0.2.2 dev blk0 src 10.1.0.1
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
	END
	wait $!
}

# More of them are stopped by the guard than a moment ago: it stands again.
load_guarded()
{
	local before
	before=$(gw_reason a host_closed)
	sleep 0.2
	[ "$(gw_reason a host_closed)" -gt "$before" ]
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
