#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What does not fit: ICMP with the right MTU for IPv4 (DF) and IPv6, and TCP told in time (MSS).
#
#	red-a --- gw-a ===[MTU 1500]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

# mtu_told PING-COMMAND...: the MTU that the gateway tells, from ping's words.
mtu_told() { "$@" 2>&1 | sed -n 's/.*mtu *= *\([0-9]*\).*/\1/p' | head -n 1; }

# largest FAMILY: the largest inner packet that comes through, by bisection over ping's payload.
largest()
{
	local low=1000 high=1500 middle headers=28 dst=10.2.0.2
	[ "$1" = 4 ] || headers=48 dst=fd02::2
	while [ $((high - low)) -gt 1 ]; do
		middle=$(((low + high) / 2))
		# What the host has learnt is forgotten, so that every size is tried on the wire.
		in_ns red-a ip -"$1" route flush cache
		if in_ns red-a ping -"$1" -n -c 1 -W 1 -M 'do' -s $((middle - headers)) $dst >/dev/null 2>&1; then
			low=$middle
		else
			high=$middle
		fi
	done
	echo $low
}

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi

fits4=$(largest 4)
in_ns red-a ip route flush cache
told4=$(mtu_told in_ns red-a ping -n -c 2 -W 1 -M 'do' -s 1472 10.2.0.2)
check_eq "IPv4 with DF: frag needed tells the MTU that really fits" "$told4" "$fits4"
in_ns red-a ip -6 route flush cache
fits6=$(largest 6)
in_ns red-a ip -6 route flush cache
told6=$(mtu_told in_ns red-a ping -6 -n -c 2 -W 1 -M 'do' -s 1452 fd02::2)
check_eq "IPv6: packet too big tells the MTU that really fits" "$told6" "$fits6"
check_gt "what was too big is counted as that" "$(gw_reason a too_big)" 1
check_gt "and the ICMP errors" "$(gw_reason a icmp_sent)" 1
before=$(gw_reason a ttl)
in_ns red-a ping -n -c 2 -i 0.2 -W 1 -t 1 10.2.0.2 >"$WORK/ttl.txt" 2>&1
check_eq "a TTL that ends here: its sender is told" "$(grep -ic 'time to live exceeded' "$WORK/ttl.txt")" 2
check_eq "and it is counted as ttl" "$(($(gw_reason a ttl) - before))" 2
# 1500 - outer IPv4 20 - SPI and number 8 - IV 8 - ICV 16, down to a multiple of 4, less the 2 of padding.
check_eq "the MTU leaves no byte unused (IPv4)" "$fits4" $(((1500 - 20 - 8 - 8 - 16) / 4 * 4 - 2))
check_eq "the MTU leaves no byte unused (IPv6)" "$fits6" $(((1500 - 40 - 8 - 8 - 16) / 4 * 4 - 2))

# The SYN as it arrives behind gw-b.
spawn red-b "$WORK/syn.txt" tcpdump -i rb0 -n -v -l --immediate-mode -c 1 'tcp[tcpflags] & tcp-syn != 0'
syn=$PID
until_true 5 grep -q 'listening on' "$WORK/syn.txt"
in_ns red-a timeout 2 bash -c 'exec 3<>/dev/tcp/10.2.0.2/81' 2>/dev/null
sleep 0.3
end_pid "$syn"
mss=$(sed -n 's/.*mss \([0-9]*\).*/\1/p' "$WORK/syn.txt")
check_eq "TCP MSS is clamped to what fits" "$mss" $((fits4 - 40))
