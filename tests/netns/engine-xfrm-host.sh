#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016,SC2034,SC2154 # eval and awk; settings that the sourced files read
# Hosts with one interface on the engine xfrm: transport mode over IPv4 and IPv6, against the other engine
# and against itself, then a host-to-host tunnel; what an SA may not bring; policies of the kernel that
# vanish, an xipsecd that dies. Needs a kernel with ESP (tests/vm).
#
#	gw-a blk0 192.0.2.1 2001:db8::1 ===[capture]=== gw-b blk0 192.0.2.2 2001:db8::2
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/hosts.sh"
. "$LIB/engine.sh"

# floods_silent REASON COMMAND...: the command happens under a flood of a's own that is sealed; then
# nothing of a's may arrive, and packets of it are counted under REASON (-: under none).
floods_silent()
{
	local reason=$1 before flood status=0
	shift
	before=$(gw_reason a esp_own)
	spawn gw-a /dev/null "$UDPLOAD" send 192.0.2.2 7002 $((500 / ${XIPSEC_SLOW:-1})) 100 0
	flood=$PID
	until_true 10 gw_beyond a esp_own $((before + 5)) || status=1
	[ "$reason" = - ] || before=$(gw_reason a "$reason")
	"$@" || status=1
	[ "$reason" = - ] || until_true 10 gw_beyond a "$reason" $((before + 10)) || status=1
	! in_ns gw-a ping -n -c 1 -W 1 192.0.2.2 || status=1
	end_pid "$flood"
	return $status
}

stop_flush_go()
{
	local status=0
	kill -STOP "${GW_PID[a]}"
	floods_silent plaintext_out in_ns gw-a ip xfrm policy flush || status=1
	kill -CONT "${GW_PID[a]}"
	return $status
}

# More than the MTU, as one datagram: XFRM seals it whole, in transport mode.
large() { in_ns "gw-$1" ping -n -c 3 -i 0.3 -W 2 -s 4000 "$2"; }

policies() { in_ns gw-a ip xfrm policy list dir out | grep -c 'mark 0/0x40000000'; }
left_in_kernel()
{
	in_ns gw-a ip -o xfrm state | grep -v 'spi 0x00000000'
	in_ns gw-a ip xfrm policy
}

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
GW_ENGINE[a]=xfrm GW_ENGINE[b]=afxdp HOST_MB=1 HOST_PPS=400
hosts_config transport
check "hosts come up" hosts_up || exit 1
check_eq "a's kernel has a policy of each family, and those of neighbour discovery" "$(policies)" 5
capture_start "$WORK/host.pcap" 96
carries_all "xfrm to afxdp"
check "xfrm to afxdp: a datagram beyond the MTU" large a 192.0.2.2
check "xfrm to afxdp: over IPv6" large a 2001:db8::2
check "xfrm to afxdp: from the other side" large b 192.0.2.1
check_gt "the guard knows a's ESP" "$(gw_reason a esp_own)" 20
check_gt "black lets b's ESP pass" "$(gw_reason a xfrm_in)" 20
check_eq "nothing of a went by the TAP" "$(gw_reason a host_out)" 0
check_eq "no worker of a sealed or opened a packet" "$(gw_reason a sealed) $(gw_reason a opened)" "0 0"
check_eq "nobody met the guard in the clear" "$(gw_reason a plaintext_out)" 0

check "xipsecd of a killed: ping again" host_survives hosts_kill_and_start a
check "policies flushed: put back" host_survives in_ns gw-a ip xfrm policy flush
check_eq "all of them" "$(policies)" 5
check "flushed while xipsecd stands still, under a flood: nothing arrives, the guard drops it" stop_flush_go
check "ping again" until_true 10 in_ns gw-a ping -n -c 1 -W 1 192.0.2.2
gw_kill a
check "and its SAs flushed under a flood" floods_silent - in_ns gw-a ip xfrm state flush
check "while xipsecd is dead and its SAs flushed nothing gets out" hosts_silent
check "xipsecd starts again" gw_start a
check "ping again" until_true 10 in_ns gw-a ping -n -c 1 -W 1 192.0.2.2
gw_stop a
check "after an orderly end nothing gets out" hosts_silent
check_eq "and nothing is left in the kernel" "$(left_in_kernel)" ""
check "capture: lost nothing" capture_stop
check "only ESP was seen" hosts_verdict

hosts_down
GW_ENGINE[b]=xfrm
hosts_config transport
check "xfrm to xfrm: hosts come up" hosts_up || exit 1
capture_start "$WORK/host2.pcap" 96
check "xfrm to xfrm: TCP" tcp_carries a b 192.0.2.2 1
check "xfrm to xfrm: UDP over IPv6" udp_carries 2001:db8::2 1300
check "xfrm to xfrm: a datagram beyond the MTU" large b 2001:db8::1
# a's policies are narrower than what b seals: what a's kernel opens is compared, and goes no further.
sed -i 's/^action = protect$/&\nproto = tcp/' "$WORK/gw-a.conf"
check "a takes narrower policies" gw a reload
check_eq "a's kernel has them for its own packets, too" \
	"$(in_ns gw-a ip xfrm policy list dir out | grep -c 'proto tcp')" 2
check "what they still say goes both ways" tcp_carries b a 192.0.2.1 1
mismatch() { in_ns gw-a awk '$1 == "XfrmInStateMismatch" { print $2 }' /proc/net/xfrm_stat; }
before=$(mismatch)
check "what b seals beside that does not arrive" eval '! in_ns gw-b ping -n -c 3 -i 0.2 -W 1 192.0.2.1'
check_gt "a's kernel opened it, and dropped it" "$(mismatch)" "$before"
# Nor with its policies gone: the selector stands in the SA.
kill -STOP "${GW_PID[a]}"
in_ns gw-a ip xfrm policy flush
check "nor without policies" eval '! in_ns gw-b ping -n -c 3 -i 0.2 -W 1 192.0.2.1'
check_gt "it was the SA that said so" "$(mismatch)" "$((before + 2))"
kill -CONT "${GW_PID[a]}"
check "capture: lost nothing" capture_stop
check "only ESP was seen" hosts_verdict

# An earlier policy takes something: the kernel cannot be told in what order, so transport mode is
# refused, and in a tunnel this host's own packets stay with the guard.
sed -i 's/^policies {$/&\nssh {\naction = bypass\nproto = tcp\nlocal_port = 22\n}/' "$WORK/gw-a.conf"
gw a reload
gw a sa delete ab4
gw a sa add ab4 >"$WORK/refused" 2>&1
check "in transport mode such an SA is refused, by name" grep -q 'transport mode needs' "$WORK/refused"

hosts_down
hosts_config tunnel
check "tunnel: hosts come up" hosts_up || exit 1
capture_start "$WORK/host3.pcap" 96
check "tunnel: TCP" tcp_carries a b 192.0.2.2 1
check "tunnel: TCP from b over IPv6" tcp_carries b a 2001:db8::1 1
check "tunnel: a datagram beyond the MTU" large a 192.0.2.2
check_gt "tunnel: what came was compared with the policies" "$(gw_reason a xfrm_opened)" 20
sed -i 's/^policies {$/&\nssh {\naction = bypass\nproto = tcp\nlocal_port = 22\n}/' "$WORK/gw-a.conf"
check "tunnel: an earlier policy takes something" gw a reload
before=$(gw_reason a plaintext_out)
check "tunnel: a's own packets stay here" hosts_silent
check_gt "tunnel: the guard dropped them" "$(gw_reason a plaintext_out)" "$before"
check "tunnel, capture: lost nothing" capture_stop
check "tunnel: only ESP was seen" hosts_verdict
