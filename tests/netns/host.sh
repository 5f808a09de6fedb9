#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Hosts with one interface: what they say to each other goes as ESP, with the offloads that Linux
# has by default. Transport mode over IPv4 and IPv6, a host-to-host tunnel, transport mode in UDP.
#
#	gw-a blk0 192.0.2.1 2001:db8::1 ===[capture]=== gw-b blk0 192.0.2.2 2001:db8::2
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/hosts.sh"

# The guard's word on a's own packets: by the TAP, and none in another way.
host_out_counted() { [ "$(gw_reason a host_out)" -gt 20 ] && [ "$(gw_reason a host_closed)" = 0 ]; }

# mtu_learnt FAMILY DST: what a's stack knows after it was told once.
mtu_learnt()
{
	in_ns gw-a ping -"$1" -n -c 3 -i 0.3 -W 1 -M 'do' -s 1450 "$2" >/dev/null 2>&1
	ip -n "$TOPO-gw-a" -"$1" route get "$2" | sed -n 's/.*mtu \([0-9]*\).*/\1/p'
}

largest_passes() { in_ns gw-a ping -"$1" -n -c 1 -W 2 -M 'do' -s "$2" "$3"; }

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
hosts_config transport
check "hosts come up" hosts_up || exit 1
# Wide: a capture that loses packets proves nothing, and a segment's first bytes tell.
capture_start "$WORK/host.pcap" 96
carries_all transport
check "what a sent went by the TAP" host_out_counted
check_gt "what came was given to a" "$(gw_reason a opened_local)" 20

# 1500 - 20 - SPI and number 8 - IV 8 - ICV 16 = 1448, less 2 of padding: payload 1446 of IP 1466.
check_eq "IPv4: a's stack learns the MTU that fits" "$(mtu_learnt 4 192.0.2.2)" 1466
check "IPv4: that size passes" largest_passes 4 1438 192.0.2.2
check_eq "IPv6: a's stack learns the MTU that fits" "$(mtu_learnt 6 2001:db8::2)" 1466
check "IPv6: that size passes" largest_passes 6 1418 2001:db8::2
# What the stack has learnt of b is about what ESP carries; the way of ESP itself is as wide as before,
# also when xipsecd looks again.
ip -n "$TOPO-gw-a" route add 198.51.100.0/24 via 192.0.2.2
ip -n "$TOPO-gw-a" -6 route add 2001:db8:100::/64 via 2001:db8::2
sleep 1
check "IPv4: that size goes on passing" largest_passes 4 1438 192.0.2.2
check "IPv6: that size goes on passing" largest_passes 6 1418 2001:db8::2

check "worker of a killed: ping again" host_survives gw_kill_workers a
check "xipsecd of a killed: ping again" host_survives hosts_kill_and_start a
check "xipsecd and worker of b killed: ping again" host_survives hosts_kill_and_start b all

gw_kill a all
check "while xipsecd is dead nothing gets out" hosts_silent
check "xipsecd starts again" gw_start a
check "ping again" until_true 5 in_ns gw-a ping -n -c 1 -W 1 192.0.2.2
gw_stop a
check "after an orderly end nothing gets out" hosts_silent
check "xipsec0 is gone with it" hosts_no_tap a
check "capture: lost nothing" capture_stop
check "only ESP was seen" hosts_verdict

hosts_down
hosts_config tunnel
check "tunnel: hosts come up" hosts_up || exit 1
capture_start "$WORK/host2.pcap" 96
carries_all tunnel
check "tunnel, capture: lost nothing" capture_stop
check "tunnel: only ESP was seen" hosts_verdict

# Checksums are left open for the stack: what it verified would be wrong.
hosts_down
# shellcheck disable=SC2034 # read by gateway.sh
GW_SA_LINES="encap = yes"
hosts_config transport
check "transport in UDP: hosts come up" hosts_up || exit 1
carries_all "transport in UDP"
check_gt "transport in UDP: what came was given to a" "$(gw_reason a opened_local)" 20
