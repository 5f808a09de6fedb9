#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What does not fit the tunnel and may be cut comes through in fragments, each sealed for itself;
# what must not be cut is told to its sender, from inside the tunnel too.
#
#	red-a --- gw-a ===[capture, MTU 1500]=== gw-b --- red-b (later: MTU 1300)
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/echo.sh"

# pings SIZE FROM DST: three pings of SIZE bytes of payload that may be cut, all answered.
pings() { in_ns "red-$2" ping -n -c 3 -i 0.2 -W 1 -M dont -s "$1" "$3" | grep -q ' 3 received'; }

# mtu_told PING-COMMAND...: the MTU that was told, and by whom, from ping's words.
mtu_told() { "$@" 2>&1 | sed -n 's/^From \([^ ]*\).*mtu *= *\([0-9]*\).*/\1 \2/p' | head -n 1; }

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi

spawn link "$WORK/tcpdump.log" tcpdump -i br0 -n -U -w "$WORK/link.pcap"
capture=$PID
until_true 5 grep -q 'listening on' "$WORK/tcpdump.log"

for size in 1411 1472 2000 4000 20000; do
	check "ping of $size bytes without DF" pings $size a 10.2.0.2
done
check "ping of 4000 bytes the other way" pings 4000 b 10.1.0.2
echo_start
for size in 1450 1472 9000 60000; do
	check "UDP of $size bytes there and back, no byte changed" udp_echo $size 10.2.0.2
done
of_workers check_gt "gw-a counts what it cut" "$(gw_reason a fragmented)" 10
of_workers check_gt "gw-b counts what it cut" "$(gw_reason b fragmented)" 10
for g in a b; do
	check_eq "gw-$g: nothing was too big without an answer" "$(gw_reason $g too_big)" "$(gw_reason $g icmp_sent)"
done

# Behind gw-b the link is narrower than the tunnel.
ip -n "$TOPO-gw-b" link set red0 mtu 1300
ip -n "$TOPO-red-b" link set rb0 mtu 1300
until_true 5 in_ns red-a ping -n -c 1 -W 1 10.2.0.2
sleep 1 # xipsecd hears of the link
in_ns red-a ip route flush cache
of_workers check_eq "IPv4 with DF: gw-b tells through the tunnel what fits" \
	"$(mtu_told in_ns red-a ping -n -c 2 -W 1 -M 'do' -s 1352 10.2.0.2)" "10.2.0.1 1300"
of_workers check_eq "IPv6: gw-b tells through the tunnel what fits" \
	"$(mtu_told in_ns red-a ping -6 -n -c 2 -W 1 -M 'do' -s 1332 fd02::2)" "fd02::1 1300"
of_workers check_gt "the answers are counted" "$(gw_reason b icmp_sent)" 1
in_ns red-a ip route flush cache
before=$(gw_reason b fragmented)
check "IPv4 without DF is cut behind the tunnel" pings 1350 a 10.2.0.2
of_workers check_gt "and counted" "$(gw_reason b fragmented)" "$before"
in_ns red-a ip route flush cache
traced=$(in_ns red-a ping -n -c 1 -W 1 -t 2 10.2.0.2 | sed -n 's/^From \([^ ]*\).*exceeded.*/\1/p')
of_workers check_eq "a TTL that ends at gw-b is told through the tunnel" "$traced" 10.2.0.1

sleep 0.5
end_pid "$capture"
check_gt "the capture saw ESP" "$(tcpdump -n -r "$WORK/link.pcap" 'ip proto 50' 2>/dev/null | wc -l)" 100
check_eq "and nothing in the clear" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'net 10.0.0.0/8 or net fd00::/8' 2>/dev/null | wc -l)" 0
check_eq "no frame longer than the link" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'greater 1515' 2>/dev/null | wc -l)" 0
of_workers check_eq "and no ESP in fragments" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'ip proto 50 and ip[6:2] & 0x3fff != 0' 2>/dev/null | wc -l)" 0
