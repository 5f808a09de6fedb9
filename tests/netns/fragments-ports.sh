#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A tunnel for one port: datagrams that do not fit it are sealed whole and the ESP packet is cut, for in
# pieces the other gateway would not know them by its selectors.
#
#	red-a --- gw-a ===[capture, MTU 1500]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

# Both ends have that port, so that both configs say the same.
# shellcheck disable=SC2034 # gateway.sh reads it
GW_SELECTORS='proto = udp
			local_port = 7200
			remote_port = 7200'

# udp_echo BYTES DST: datagrams of random bytes, each in one packet of red's, go there and back, nothing
# changed.
udp_echo()
{
	in_ns red-a timeout 5 /usr/bin/python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: DONT
s.bind(("", 7200))
s.settimeout(2)
for _ in range(3):
    d = os.urandom(int(sys.argv[1]))
    s.sendto(d, (sys.argv[2], 7200))
    if s.recv(65536) != d:
        sys.exit(1)' "$1" "$2"
}

if ! check "gateways come up" gateways_up; then exit 1; fi
spawn link "$WORK/tcpdump.log" tcpdump -i br0 -n -U -w "$WORK/link.pcap"
capture=$PID
until_true 5 grep -q 'listening on' "$WORK/tcpdump.log"
spawn red-b "$WORK/echo.log" /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)
s.bind(("10.2.0.2", 7200))
while True:
    d, who = s.recvfrom(65536)
    s.sendto(d, who)'
echo_listens() { in_ns red-b ss -Hlun 'sport = 7200' | grep -q .; }
until_true 5 echo_listens
until_true 10 udp_echo 100 10.2.0.2 # next hops are known
for size in 1400 1420 1450 1472; do
	check "UDP of $size bytes there and back, no byte changed" udp_echo $size 10.2.0.2
done
check_eq "nothing was outside the selectors" "$(($(gw_reason a selector) + $(gw_reason b selector)))" 0
of_workers check_gt "gw-a cut ESP" "$(gw_reason a fragmented)" 5
of_workers check_gt "and so did gw-b" "$(gw_reason b fragmented)" 5

sleep 0.5
end_pid "$capture"
check_gt "ESP went in fragments" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'ip proto 50 and ip[6:2] & 0x1fff != 0' 2>/dev/null | wc -l)" 11
check_eq "and nothing in the clear" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'net 10.0.0.0/8 or net fd00::/8' 2>/dev/null | wc -l)" 0
