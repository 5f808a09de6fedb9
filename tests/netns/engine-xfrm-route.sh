#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016,SC2034,SC2154 # eval and awk; settings that the sourced files read
# Routes decide, the kernel seals: tunnels {} with engine = xfrm are xfrm interfaces, against the other
# engine's and against each other; what comes out of one is compared, what is taken away is closed or put
# back, what a dead xipsecd leaves is adopted or goes. Needs a kernel with ESP (tests/vm).
#
#	red-a --- gw-a ipsec7 10.9.0.1 ===[capture]=== ipsec7 10.9.0.2 gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/route.sh"
. "$LIB/engine.sh"

is_kernels() { ip -n "$TOPO-gw-a" -d link show ipsec7 | grep -q 'xfrm if_id 0x7'; }
is_tun() { ip -n "$TOPO-gw-a" -d link show ipsec7 | grep -q 'tun type tun'; }
policies() { in_ns gw-a ip xfrm policy | grep -c 'if_id 0x7'; }
all_policies() { [ "$(policies)" = 10 ]; }
xfrm_stat() { in_ns gw-a awk -v name="$1" '$1 == name { print $2 }' /proc/net/xfrm_stat; }
left_in_kernel()
{
	in_ns gw-a ip -o xfrm state | grep -v 'spi 0x00000000'
	in_ns gw-a ip xfrm policy
}

# A neighbour of this link would be believed; a peer is none, whatever its selectors are.
advertise()
{
	in_ns gw-b /usr/bin/python3 -c '
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"ipsec7")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
ra = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
ra += struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 1800, 1800, 0) + socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
for i in range(3):
    s.sendto(ra, ("ff02::1", 0, 0, socket.if_nametoindex("ipsec7")))'
}
blocked() { [ "$(xfrm_stat XfrmInPolBlock)" -ge 3 ]; }
routes_by_advert() { ip -n "$TOPO-gw-a" -6 route show | grep -c 'proto ra\|2001:db8:bad'; }
# So that one would be heard, and could be sent.
link_locals()
{
	ip -n "$TOPO-gw-a" addr replace fe80::1/64 dev ipsec7 nodad
	ip -n "$TOPO-gw-b" addr replace fe80::2/64 dev ipsec7 nodad
	net_sysctl gw-a net.ipv6.conf.ipsec7.accept_ra=2
}

stop_flush_go()
{
	local status=0
	kill -STOP "${GW_PID[a]}"
	in_ns gw-a ip xfrm "$1" flush
	until_true 10 load_stands && sleep 1 && ! load_moves 1 || status=1
	kill -CONT "${GW_PID[a]}"
	return $status
}

# With a config of two SAs; gw_start() waits for four.
two_sas() { [ "$(gw_sa_count a)" = 2 ]; }
start_without_tunnel() { gw_spawn a && until_true 10 two_sas; }
restart_a() { gw_kill a && gw_start a; }

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
GW_ENGINE[a]=xfrm GW_ENGINE[b]=afxdp
check "gateways come up" gateways_start || exit 1
check "the tunnel is the kernel's" is_kernels
# Two families each: out; in and fwd, and four types of ICMP that are refused.
check_eq "policies of its if_id" "$(policies)" 10
capture_start "$WORK/route.pcap" 128
check "xfrm to afxdp: IPv4 by route, IPv6 by policy" carries_both
check "xfrm to afxdp: the gateways by the addresses of their tunnel" own_carries
check "xfrm to afxdp: TCP, default offloads" route_tcp 2
check_eq "xfrm to afxdp: a long packet is told the MTU of the tunnel" "$(mtu_told)" 1400
check_eq "no worker of gw-a sealed or opened a packet" "$(gw_reason a sealed) $(gw_reason a opened)" "0 0"
check_eq "nothing met the guard in the clear" "$(gw_reason a plaintext_out)" 0
check_gt "the guard knows its ESP" "$(gw_reason a esp_own)" 20
link_locals
check "a router advertisement comes out of an SA" advertise
check "it is refused" until_true 5 blocked
check_eq "no route comes of it, though the interface takes advertisements" "$(routes_by_advert)" 0
check "status finds nothing unsafe" gw a status

load_start 200 200
check "load flows in both directions" load_moves 10
before=$(index_of_tunnel)
gw_kill a all
check "with xipsecd dead it goes on, sealed" load_moves 10
check "xipsecd starts again" gw_start a
check_eq "it takes the same interface" "$(index_of_tunnel)" "$before"
check "load flows again" load_moves 10
check "policies flushed" in_ns gw-a ip xfrm policy flush
check "they are put back" until_true 10 all_policies
check "load flows again" load_moves 10
check "flushed while xipsecd stands still: nothing is carried" stop_flush_go policy
check "load flows again" load_moves 10
check "without the kernel's SAs nothing is carried" stop_flush_go state
check "xipsecd killed, started" restart_a
check "load flows again" load_moves 10
check "the SA that seals is deleted" gw a sa delete ab4
check "then nothing of IPv4 goes out" eval '! ping4 a 2'
check "it is added again" gw a sa add ab4
check "load flows again" load_moves 10
ip -n "$TOPO-gw-a" link del ipsec7
check "the interface deleted: xipsecd makes it anew" until_true 5 tunnel_is_there
routes_set a
check "load flows again" load_moves 10
load_stop

# Less comes out than the peer puts in.
ROUTE_SA_LINES='local_ts = 10.1.0.0/16
remote_ts = 10.2.0.0/16'
route_config a tunnels
check "narrower selectors: reload" gw a reload
check "what they say goes both ways" until_true 5 ping4 a 1
before=$(xfrm_stat XfrmInNoPols)
check "what else the peer seals does not arrive" eval '! in_ns gw-b ping -n -c 2 -W 1 10.9.0.1'
check_gt "it was opened, and dropped" "$(xfrm_stat XfrmInNoPols)" "$((before + 1))"
ROUTE_SA_LINES=

# Another engine under the same name; a key does not follow.
GW_ENGINE[a]=afxdp
route_config a tunnels
check "with the other engine the keys are refused, by name" eval '! gw a reload 2>"$WORK/refused"'
check "the interface is a TUN now" until_true 5 is_tun
check "nothing goes into it" eval '! ping4 a 1'
GW_ENGINE[a]=xfrm
route_config a tunnels
check "and back" gw a reload
check "the interface is the kernel's" until_true 5 is_kernels
routes_set a
check "and carries" until_true 10 ping4 a 1
gw_kill a all
route_config a
check "xipsecd starts with a config that names no tunnel" start_without_tunnel
check "what the dead one left is gone" until_true 5 tunnel_is_gone
ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 via 192.0.2.2
before=$(gw_reason a no_policy)
in_ns red-a ping -n -c 3 -i 0.2 -W 1 10.2.0.2 >/dev/null 2>&1
check_gt "what looks for another way then is dropped" "$(gw_reason a no_policy)" "$((before + 2))"
ip -n "$TOPO-gw-a" route del 10.2.0.0/16

gw_stop b
GW_ENGINE[b]=xfrm
new_keys
for x in a b; do
	route_config $x tunnels
done
check "xfrm to xfrm: gw-b starts, and takes the place of the TUN" gw_start b
check "xfrm to xfrm: gw-a" gw a reload
routes_set a && routes_set b
check "xfrm to xfrm: carries" carries_both
check "xfrm to xfrm: the gateways too" own_carries
gw_stop a
check_eq "an orderly end leaves no SA and no policy in the kernel" "$(left_in_kernel)" ""
check "but the interface, closed" tunnel_is_there
check "nothing goes out" eval '! ping4 a 2'
check "capture: lost nothing" capture_stop
capture_verdict
echo "# $VERDICT"
check_eq "0 packets in the clear" "$((CLEAR + MARKED))" 0
check_eq "no nonce was used twice" "$REPEATED" 0
check_gt "the load went by as ESP" "$ESP" 500
