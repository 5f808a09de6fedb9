#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Links of 9000 bytes, whose packets lie in several frames: every size at every border comes through
# both gateways and back, TCP both ways, this host's own, one end narrower than the other, and an MTU
# that changes while all of it runs.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		MTU 9000
# shellcheck disable=SC2034 # settings that the sourced files read
MTU=9000
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/kernel.sh"
. "$LIB/tshark.sh"

if ! multi_buffer; then
	gw_config a
	gw a attach --all >"$WORK/attach.txt" 2>&1
	check_eq "jumbo: before Linux 6.6 attach refuses" "$?" 1
	check "jumbo: it says what fits, what it needs, what this is, and what to do" grep -qF \
		"MTU 9000 is over 3498, the most that fits one frame; packets in several frames need Linux 6.6 (this is $(uname -r | grep -o '^[0-9]*\.[0-9]*')): \`ip link set blk0 mtu 3498\` first" "$WORK/attach.txt"
	check "jumbo: no program is left" eval '! in_ns gw-a ip link show | grep -q xdp'
	exit 0
fi

# The largest inner packet: outer header, ESP and IV 16, ICV 16, down to a multiple of 4, less the 2
# of padding.
fits4=$(((9000 - 20 - 32) / 4 * 4 - 2))
fits6=$(((9000 - 40 - 32) / 4 * 4 - 2))

# passes NODE FAMILY SIZE [PING-OPTIONS]: an IP packet of SIZE bytes, not to be cut, there and back.
passes()
{
	local node=$1 family=$2 size=$3 dst=10.2.0.2 headers=28
	shift 3
	[ "$family" = 4 ] || dst=fd02::2 headers=48
	in_ns "$node" ping -"$family" -n -c 1 -W 1 -M 'do' -s $((size - headers)) "$@" $dst
}

# Around all that could be a border: one frame, with and without what sealing adds, a page, two frames,
# the first buffer that a driver fills, the largest that fits.
sizes()
{
	local fits=$1 at
	for at in 1500 3440 3470 3498 3520 3774 3826 4082 4096 4150 7614 7666 7700 8192; do
		seq $((at - 2)) $((at + 2))
	done
	seq $((fits - 5)) "$fits"
}

every_size()
{
	local family=$1 node=$2 size bad=0 n=0
	shift 2
	for size in $(sizes "$((family == 4 ? fits4 : fits6))"); do
		n=$((n + 1))
		passes "$node" "$family" "$size" "$@" >/dev/null 2>&1 && continue
		echo "$size bytes do not come through"
		bad=$((bad + 1))
	done
	[ $n -gt 50 ] && [ $bad -eq 0 ]
}

# mtu_told NODE FAMILY SIZE: the MTU that ping is told.
mtu_told()
{
	in_ns "$1" ip -"$2" route flush cache
	passes "$1" "$2" "$3" 2>&1 | sed -n 's/.*mtu *= *\([0-9]*\).*/\1/p' | head -n 1
}

tcp_carries()
{
	local from=$1 to=$2 addr=$3 mb=$4 got=$WORK/tcp.got sum

	spawn "$to" "$got" /usr/bin/python3 "$LIB/tools/tcpsum.py" recv "$addr" 7100
	until_true 5 in_ns "$to" bash -c "ss -Hltn | grep -q :7100" || return
	sum=$(in_ns "$from" timeout 60 /usr/bin/python3 "$LIB/tools/tcpsum.py" send "$addr" 7100 "$mb") || return
	until_true 5 grep -q . "$got"
	[ "$sum" = "$(cat "$got")" ] && [ -n "$sum" ]
}

# mtus RED BLACK: of all links.
mtus()
{
	local red=$1 black=$2 dev
	for dev in la lb br0; do ip -n "$TOPO-link" link set $dev mtu "$black"; done
	for x in a b; do
		ip -n "$TOPO-gw-$x" link set blk0 mtu "$black"
		ip -n "$TOPO-gw-$x" link set red0 mtu "$red"
		ip -n "$TOPO-red-$x" link set r${x}0 mtu "$red"
		in_ns red-$x ip route flush cache
		in_ns red-$x ip -6 route flush cache
	done
	until_true 10 tunnel_works
}

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
check "frames are enough for it" grep -q "frames of 4096 bytes, several a packet" "$WORK/xipsecd-a.log.new"

# ---------------------------------------------------------------- 9000 everywhere
capture_start "$WORK/esp.pcap" 0 esp
check "IPv4: every size, there and back" every_size 4 red-a
check "IPv6: every size, there and back" every_size 6 red-a
check "the capture lost nothing" capture_stop
direction "IPv4 a to b" "$WORK/esp.pcap" "$SPI_AB4" ip.dst 10.2.0.2
direction "IPv4 b to a" "$WORK/esp.pcap" "$SPI_BA4" ip.dst 10.1.0.2
largest=$(judge "$WORK/esp.pcap" "$SPI_AB4" frame.len | sort -n | tail -n 1)
check_eq "the largest ESP packet leaves no byte unused" "$largest" $((14 + 20 + 16 + fits4 + 2 + 16))
check_eq "one byte more is answered with the MTU that fits (IPv4)" "$(mtu_told red-a 4 9000)" "$fits4"
check_eq "one byte more is answered with the MTU that fits (IPv6)" "$(mtu_told red-a 6 9000)" "$fits6"
in_ns red-a ip route flush cache
check "without DF it is cut, and put together" in_ns red-a ping -n -c 1 -W 1 -M dont -s 20000 10.2.0.2
check "TCP a to b" tcp_carries red-a red-b 10.2.0.2 40
check "TCP b to a" tcp_carries red-b red-a 10.1.0.2 40
ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 via 192.0.2.2 src 10.1.0.1
check "this host's own: every size" every_size 4 gw-a
check "this host's own: TCP" tcp_carries gw-a red-b 10.2.0.2 20

# What is explained is what becomes of it: the twin, too, takes packets in several frames.
/usr/bin/python3 - "$WORK/wide.pcap" "$(ip -n "$TOPO-gw-a" -j link show red0 | jq -r '.[0].address')" <<'END'
import sys
from scapy.all import IP, UDP, Ether, Raw, wrpcap

to = Ether(src="02:00:00:00:00:66", dst=sys.argv[2])
wrpcap(sys.argv[1], [to / IP(src="10.1.0.2", dst="10.2.0.2") / UDP(sport=5, dport=9) / Raw(b"x" * (n - 28))
                     for n in (1500, 3498, 3499, 8948, 15872)])
END
check_eq "explain: small, wide, and as wide as any link" \
	"$(gw a explain --dir out --dev red0 --pcap "$WORK/wide.pcap" --json | jq -r '"\(.parsed.length) \(.reason)"' | paste -sd,)" \
	"1514 steer_out,3512 steer_out,3513 steer_out,8962 steer_out,15886 steer_out"
for g in a b; do
	check_eq "gw-$g: what was too big was answered" "$(gw_reason $g too_big)" "$(gw_reason $g icmp_sent)"
done
for reason in tx_full rx_full engine_closed icv; do
	check_eq "no packet ended as $reason" "$(gw_reason a $reason) $(gw_reason b $reason)" "0 0"
done

# ---------------------------------------------------------------- one side narrower
check "red 9000, black 1500: the tunnel works" mtus 9000 1500
narrow4=$(((1500 - 20 - 32) / 4 * 4 - 2))
narrow6=$(((1500 - 40 - 32) / 4 * 4 - 2))
check_eq "IPv4: the ICMP error tells what fits" "$(mtu_told red-a 4 9000)" $narrow4
check_eq "IPv6: the ICMP error tells what fits" "$(mtu_told red-a 6 9000)" $narrow6
check "IPv4 without DF: cut into seven, each sealed" in_ns red-a ping -n -c 1 -W 1 -M dont -s 8000 10.2.0.2
check "TCP finds what fits" tcp_carries red-a red-b 10.2.0.2 10

check "red 1500, black 9000: the tunnel works" mtus 1500 9000
ip -n "$TOPO-red-a" link set ra0 mtu 9000
ip -n "$TOPO-gw-a" link set red0 mtu 9000
sleep 1
check_eq "a host behind a wide link is told of the far narrow one" "$(mtu_told red-a 4 8000)" 1500
check "without DF gw-b cuts what it decrypts" in_ns red-a ping -n -c 1 -W 1 -M dont -s 8000 10.2.0.2
check "TCP from the wide side" tcp_carries red-a red-b 10.2.0.2 10

# ---------------------------------------------------------------- changed while it runs
check "1500 everywhere" mtus 1500 1500
gw_stop a && gw_start a
check "a worker that starts so needs one frame" grep -q "frames of 2048 bytes$" "$WORK/xipsecd-a.log.new"
check "9000 again" mtus 9000 9000
check "its workers start anew" until_true 5 grep -q "frames of 4096 bytes, several a packet" "$WORK/xipsecd-a.log.new"
until_true 10 passes red-a 4 "$fits4"
check "and carry it" passes red-a 4 "$fits4"
