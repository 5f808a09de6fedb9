#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Datagrams of a host that are larger than the MTU, under a protect policy of transport mode: the
# stack cuts them, the worker puts them together, seals the whole, and cuts the ESP packet; the other
# side the same way back.
#
#	gw-a blk0 192.0.2.1 2001:db8::1 ===[capture]=== gw-b blk0 192.0.2.2 2001:db8::2
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/hosts.sh"

# udp_echo BYTES ADDR: datagrams of random bytes go there and back, nothing changed.
udp_echo()
{
	in_ns gw-a timeout 10 /usr/bin/python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
for _ in range(5):
    d = os.urandom(int(sys.argv[1]))
    s.sendto(d, (sys.argv[2], 7200))
    if s.recv(65536) != d:
        sys.exit(1)' "$1" "$2"
}

hosts_config "${1:-transport}"
check "hosts come up" hosts_up || exit 1
spawn gw-b "$WORK/echo.log" /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 7200))
while True:
    d, who = s.recvfrom(65536)
    s.sendto(d, who)'
spawn link "$WORK/tcpdump.log" tcpdump -i br0 -n -U -w "$WORK/link.pcap"
capture=$PID
until_true 5 grep -q 'listening on' "$WORK/tcpdump.log"
for addr in 192.0.2.2 2001:db8::2; do
	until_true 5 in_ns gw-a ping -n -c 1 -W 1 $addr
	for size in 1400 1480 3000 20000 60000; do
		check "$addr: UDP of $size bytes there and back, no byte changed" udp_echo $size $addr
	done
	check "$addr: ping of 5000 bytes" in_ns gw-a ping -n -c 3 -i 0.2 -W 1 -s 5000 $addr
done
check_gt "a's fragments were put together" "$(gw_reason a reassembled)" 100
check_gt "b's too" "$(gw_reason b reassembled)" 100
check_gt "and what was sealed was cut" "$(gw_reason a fragmented)" 15
check_eq "no fragment was refused" "$(($(gw_reason a frag_transport) + $(gw_reason a frag_lost)))" 0
sleep 0.3
end_pid "$capture"
check_gt "the capture saw ESP in fragments" \
	"$(tcpdump -n -r "$WORK/link.pcap" '(ip proto 50 and ip[6:2] & 0x3fff != 0) or ip6 proto 44' 2>/dev/null | wc -l)" 200
check_eq "and no UDP, nor ICMP but errors and neighbours" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'ip proto 17 or (ip proto 1 and icmp[0] = 8) or ip6 proto 17' 2>/dev/null | wc -l)" 0
check_eq "no IPv6 fragment but of ESP" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'ip6 proto 44 and ip6[40] != 50' 2>/dev/null | wc -l)" 0
check_eq "no frame longer than the link" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'greater 1515' 2>/dev/null | wc -l)" 0
