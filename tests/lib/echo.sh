# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# UDP that comes back: between port 7200 of red-a and of red-b. Sourced after scenario.sh.

# udp_echo BYTES DST: datagrams of random bytes, which may be cut on their way, go there and back,
# nothing changed.
udp_echo()
{
	in_ns red-a timeout 5 /usr/bin/python3 -c '
import os, socket, sys
ip6 = ":" in sys.argv[2]
s = socket.socket(socket.AF_INET6 if ip6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: DONT
s.bind(("", 7200))
s.settimeout(2)
for _ in range(3):
    d = os.urandom(int(sys.argv[1]))
    s.sendto(d, (sys.argv[2], 7200))
    if s.recv(65536) != d:
        sys.exit(1)' "$1" "$2"
}

echo_listens() { in_ns red-b ss -Hlun "src $1 and sport = 7200" | grep -q .; }

# echo_start [ADDRESS]: red-b sends back what it gets at that one.
echo_start()
{
	local address=${1:-10.2.0.2}

	spawn red-b "$WORK/echo.log" /usr/bin/python3 -c '
import socket, sys
ip6 = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if ip6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)
s.bind((sys.argv[1], 7200))
while True:
    d, who = s.recvfrom(65536)
    s.sendto(d, who)' "$address"
	until_true 5 echo_listens "$address"
}
