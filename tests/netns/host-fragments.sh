#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Datagrams of a host that are larger than the MTU; the stack cuts them. In transport mode the worker
# puts them together, seals the whole, and cuts the ESP packet; in a tunnel from host to host each
# fragment goes as a packet of its own. The other side the same way back.
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

# hops_echo ADDR: what comes back in fragments has the TTL or hop limit that b gave it, as protocols
# want that trust only neighbours (RFC 5082).
hops_echo()
{
	in_ns gw-a timeout 10 /usr/bin/python3 -c '
import socket, struct, sys
ip6 = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if ip6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT) if ip6 else (0, 12)), 1) # IP_RECVTTL
s.settimeout(2)
s.sendto(bytes(3000), (sys.argv[1], 7200))
_, told, _, _ = s.recvmsg(65536, 512)
print(*(struct.unpack("i", data)[0] for _, _, data in told))' "$1"
}

# echo_start: b sends back what it gets, with the largest TTL.
echo_start()
{
	spawn gw-b "$WORK/echo.log" /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
s.bind(("::", 7200))
while True:
    d, who = s.recvfrom(65536)
    s.sendto(d, who)'
}

capture_open()
{
	spawn link "$WORK/tcpdump.log" tcpdump -i br0 -n -U -w "$WORK/link.pcap"
	CAPTURE=$PID
	until_true 5 grep -q 'listening on' "$WORK/tcpdump.log"
}

# seen FILTER: packets of the capture.
seen() { tcpdump -n -r "$WORK/link.pcap" "$1" 2>/dev/null | wc -l; }

# IPv6 fits a datagram to what its stack knows of the path: at first that is the link, and the first one
# that the tunnel has no room for is answered and lost. 1500 - 40 - SPI and number 8 - IV 8 - ICV 16 = 1428,
# less 2 of padding.
stacks_learn()
{
	in_ns gw-a ping -n -c 3 -i 0.3 -W 1 -M 'do' -s 1450 2001:db8::2 >/dev/null 2>&1
	in_ns gw-b ping -n -c 3 -i 0.3 -W 1 -M 'do' -s 1450 2001:db8::1 >/dev/null 2>&1
	check_eq "tunnel: a's stack learns what fits" "$(path_mtu a 2001:db8::2)" 1426
	check_eq "tunnel: b's too" "$(path_mtu b 2001:db8::1)" 1426
}

path_mtu() { ip -n "$TOPO-gw-$1" route get "$2" | sed -n 's/.*mtu \([0-9]*\).*/\1/p'; }

# all_sizes MODE: of both families.
all_sizes()
{
	local addr size

	for addr in 192.0.2.2 2001:db8::2; do
		until_true 5 in_ns gw-a ping -n -c 1 -W 1 $addr
		[ "$1 $addr" != "tunnel 2001:db8::2" ] || stacks_learn
		for size in 1400 1480 3000 20000 60000; do
			check "$1, $addr: UDP of $size bytes there and back, no byte changed" udp_echo $size $addr
		done
		check_eq "$1, $addr: as many hops as were given" "$(hops_echo $addr)" 255
		check "$1, $addr: ping of 5000 bytes" in_ns gw-a ping -n -c 3 -i 0.2 -W 1 -s 5000 $addr
	done
}

# link_verdict MODE: what must hold of the capture in either mode.
link_verdict()
{
	sleep 0.3
	end_pid "$CAPTURE"
	check_eq "$1: no UDP, nor ICMP but errors and neighbours" \
		"$(seen 'ip proto 17 or (ip proto 1 and icmp[0] = 8) or ip6 proto 17')" 0
	check_eq "$1: no IPv6 fragment but of ESP" "$(seen 'ip6 proto 44 and ip6[40] != 50')" 0
	check_eq "$1: no frame longer than the link" "$(seen 'greater 1515')" 0
	check_eq "$1: no fragment was refused" \
		"$(($(gw_reason a frag_transport) + $(gw_reason a frag_lost) + $(gw_reason a frag_opaque)))" 0
}

# run MODE
run()
{
	hosts_config "$1"
	check "$1: hosts come up" hosts_up || return
	capture_open
	all_sizes "$1"
}

echo_start
run transport || exit 1
check_gt "transport: a's fragments were put together" "$(gw_reason a reassembled)" 100
check_gt "transport: b's too" "$(gw_reason b reassembled)" 100
check_gt "transport: and what was sealed was cut" "$(gw_reason a fragmented)" 15
link_verdict transport
check_gt "transport: the capture saw ESP in fragments" \
	"$(seen '(ip proto 50 and ip[6:2] & 0x3fff != 0) or ip6 proto 44')" 200
hosts_down

run tunnel || exit 1
link_verdict tunnel
check_gt "tunnel: IPv4 fragments too long for it were cut again" "$(gw_reason a fragmented)" 15
check_eq "tunnel: nothing had to be put together" "$(gw_reason a reassembled) $(gw_reason b reassembled)" "0 0"
check_gt "tunnel: the capture saw ESP" "$(seen 'ip proto 50')" 200
check_gt "tunnel: over IPv6 too" "$(seen 'ip6 proto 50')" 200
check_eq "tunnel: no ESP in fragments" "$(seen '(ip proto 50 and ip[6:2] & 0x3fff != 0) or ip6 proto 44')" 0
