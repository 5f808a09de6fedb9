#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A tunnel for one port: datagrams that do not fit it are sealed whole and the ESP packet is cut, for in
# pieces the other gateway would not know them by its selectors.
#
#	red-a --- gw-a ===[capture, MTU 1500]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/echo.sh"

# Both ends have that port, so that both configs say the same.
# shellcheck disable=SC2034 # gateway.sh reads it
GW_SELECTORS='proto = udp
			local_port = 7200
			remote_port = 7200'
# shellcheck disable=SC2034
GW_IN_LINES="later_fragments = yes"

if ! check "gateways come up" gateways_up; then exit 1; fi
spawn link "$WORK/tcpdump.log" tcpdump -i br0 -n -U -w "$WORK/link.pcap"
capture=$PID
until_true 5 grep -q 'listening on' "$WORK/tcpdump.log"
echo_start
until_true 10 udp_echo 100 10.2.0.2 # next hops are known
for size in 1400 1420 1450 1472; do
	check "UDP of $size bytes there and back, no byte changed" udp_echo $size 10.2.0.2
done
check_eq "nothing was outside the selectors" "$(($(gw_reason a selector) + $(gw_reason b selector)))" 0
of_workers check_gt "gw-a cut ESP" "$(gw_reason a fragmented)" 5
of_workers check_gt "and so did gw-b" "$(gw_reason b fragmented)" 5

# What hosts cut themselves: later fragments follow the first one of their datagram out of the SA.
echo_start fd02::2
for size in 1600 4000 20000; do
	check "UDP of $size bytes, whose fragments do not fit" udp_echo $size 10.2.0.2
done
for x in a b; do ip -n "$TOPO-red-$x" link set "r${x}0" mtu 1300; done
until_true 10 udp_echo 100 fd02::2
for size in 1300 4000 20000; do
	check "UDP of $size bytes, in fragments that fit" udp_echo $size 10.2.0.2
	check "and over IPv6" udp_echo $size fd02::2
done
sleep 0.5
end_pid "$capture"
check_gt "ESP went in fragments" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'ip proto 50 and ip[6:2] & 0x1fff != 0' 2>/dev/null | wc -l)" 11
check_eq "and nothing in the clear" \
	"$(tcpdump -n -r "$WORK/link.pcap" 'net 10.0.0.0/8 or net fd00::/8' 2>/dev/null | wc -l)" 0
