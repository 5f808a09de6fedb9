#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Routes decide: IPv4 is led into an interface of tunnels {}, IPv6 is protected by policies beside it.
#
#	red-a --- gw-a ipsec7 10.9.0.1 ===[capture]=== ipsec7 10.9.0.2 gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/route.sh"

# told FILTER: xipsec monitor has told a line for which jq's FILTER is true.
told() { jq -se "any(.[]; $1)" "$WORK/monitor-a" >/dev/null; }

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
check "gateways come up" gateways_start || exit 1
# A neighbour of this link would be believed by the stack; a peer is none, whatever its selectors are.
advert_sealed()
{
	in_ns link /usr/bin/python3 "$LIB/tools/packets.py" advert "$WORK/adverts.pcap" lb \
		"$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')" "$KEY_AB4" ff02::1
}
refused_by_scope() { [ "$(gw_reason b link_scope)" -gt 0 ]; }
routes_by_advert() { ip -n "$TOPO-gw-b" -6 route show | grep -c 'proto ra\|2001:db8:bad'; }
net_sysctl gw-b net.ipv6.conf.ipsec7.accept_ra=2
check "the tunnel works" until_true 5 ping4 a 1
capture_start "$WORK/adverts.pcap" 0 esp
ping4 a 3 >/dev/null
capture_stop
check "a router advertisement comes out of an SA" advert_sealed
check "it is refused: link_scope" until_true 3 refused_by_scope
check_eq "no route comes of it, though the interface takes advertisements" "$(routes_by_advert)" 0
capture_start "$WORK/route.pcap" 128
check "red to red: IPv4 by route, IPv6 by policy" carries_both
check "the gateways by the addresses of their tunnel" own_carries
check "TCP, default offloads" route_tcp 10
check_gt "what came by the tunnel is counted" "$(gw_reason b opened_local)" 10
check_eq "nothing of it was the host's own to the guard" "$(gw_reason a host_out)" 0
check_eq "a long packet is told the MTU of the tunnel" "$(mtu_told)" 1400
check "status finds nothing unsafe" gw a status

# What the manual says of policies and tunnels: asked of what comes in by red, of nothing else.
# meets NODE DST PORT REASON GATEWAY: of 20 datagrams, how many more that gateway counts. Where they
# arrive nobody listens: each error that comes back costs the sender one, six or so are sent. A busy
# machine costs some, too.
meets()
{
	local before

	before=$(gw_reason "$5" "$4")
	in_ns "$1" "$UDPLOAD" send "$2" "$3" 20 200 1 >/dev/null
	sleep 0.3
	echo $(($(gw_reason "$5" "$4") - before))
}
before=$(gw_reason b opened_local)
check_gt "red into the tunnel: a rule that discards comes before the route" "$(meets red-a 10.2.0.2 7010 discard a)" 9
ip -n "$TOPO-gw-a" route replace fd02::/64 dev ipsec7
check_gt "so does one that protects" "$(meets red-a fd02::2 7012 plaintext_out a)" 9
ip -n "$TOPO-gw-a" route replace fd02::/64 via 2001:db8::2
check_eq "and none of either arrives" "$(gw_reason b opened_local)" "$before"
before=$(gw_reason a discard)
check_gt "of what the gateway itself sends no rule is asked" "$(meets gw-a 10.9.0.2 7010 opened_local b)" 9
check_gt "nor of what the tunnel brings" "$(meets red-b 10.1.0.2 7011 opened_local a)" 9
check_eq "none of that was discarded" "$(gw_reason a discard)" "$before"

load_start 2000 200
check "load flows in both directions" load_moves
before=$(index_of_tunnel)
gw_kill a all
sleep 1
check "with xipsecd dead nothing is carried" load_stands
check_eq "the interface and its route outlive it" "$(index_of_tunnel) $(ip -n "$TOPO-gw-a" route show 10.2.0.0/16 | grep -c ipsec7)" "$before 1"
check "xipsecd starts again" gw_start a
check_eq "it takes the same interface" "$(index_of_tunnel)" "$before"
check "load flows again" load_moves 10
check "worker killed" gw_kill_workers a
check "load flows again" load_moves 10

no_sa=$(gw_reason a no_sa_out)
spawn gw-a "$WORK/monitor-a" "$XIPSEC" -c "$WORK/gw-a.conf" monitor
monitor=$PID
sleep 0.3
began=$SECONDS
check "the SA that seals is deleted" gw a sa delete ab4
sleep 0.5
check_gt "then the tunnel is closed: no_sa_out" "$(($(gw_reason a no_sa_out) - no_sa))" 100
check "an SA is asked for: the tunnel and the packet" until_true 3 told '.event == "acquire" and
	.child == "ipsec7" and .dst == "10.2.0.2" and .protocol == 17'
check "the same packet as a drop" told '.event == "drop" and .reason == "no_sa_out" and .child == "ipsec7" and
	.interface == "ipsec7" and .by == "worker"'
sleep 2
check "it is added again" gw a sa add ab4
end_pid "$monitor"
asked=$(jq -s '[.[] | select(.event == "acquire")] | length' "$WORK/monitor-a")
echo "# $asked times, of $(($(gw_reason a no_sa_out) - no_sa)) packets"
check "not more than once a second, whatever is sent" test "$asked" -ge 2 -a "$asked" -le $((SECONDS - began + 2))
check "load flows again" load_moves 10

ip -n "$TOPO-gw-a" link del ipsec7
check "the interface deleted: xipsecd makes it anew" until_true 5 tunnel_is_there
routes_set a
check "load flows again" load_moves 10
load_stop

route_config a
check "reload without the tunnel" gw a reload
check "the interface is gone" tunnel_is_gone
# Its route went with it; one by black takes its place, and no policy lets that out.
ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 via 192.0.2.2
before=$(gw_reason a no_policy)
in_ns red-a ping -n -c 3 -i 0.2 -W 1 10.2.0.2 >/dev/null 2>&1
check_gt "what looks for another way then is dropped" "$(gw_reason a no_policy)" "$((before + 2))"
check "capture: lost nothing" capture_stop
capture_verdict
echo "# $VERDICT"
check_eq "0 packets in the clear" "$((CLEAR + MARKED))" 0
check_eq "no nonce was used twice" "$REPEATED" 0
check_gt "the load went by as ESP" "$ESP" 1000
