#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# First fragments of IKE, from anybody, of which nothing else comes: the stack keeps each for half a minute in
# memory that is bounded, and needs the same for ESP that was cut on its way. Few of them go up; ESP that is cut goes
# on being put together, and a peer's IKE that is cut as well. Then the same in the peer's own name.
#
#	red-a --- gw-a ===[MTU 1500: the flood]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

COUNT=8000

gateways_cut()
{
	local x
	for x in a b; do
		gw_config $x
		sed -i "s/^\([ \t]*\)direction = out/&\n\1df = clear/" "$WORK/gw-$x.conf"
		gw_attach $x >"$WORK/attach-$x.log" 2>&1 && gw_start $x || return
	done
}

# Three pings each that must not be cut, and whose ESP is longer than the link.
cut_esp_goes() { in_ns red-a ping -n -c 3 -i 0.2 -W 1 -M 'do' -s 1472 10.2.0.2 | grep -q ' 3 received'; }
cut_esp6_goes() { in_ns red-a ping -6 -n -c 3 -i 0.2 -W 1 -M 'do' -s 1452 fd02::2 | grep -q ' 3 received'; }

# What the stack of gw-b keeps of datagrams that are not whole, bytes, IPv4 and IPv6.
kept() { in_ns gw-b cat /proc/net/sockstat /proc/net/sockstat6 | awk '/^FRAG6?:/ { n += $5 } END { print n + 0 }'; }

pieces() { in_ns link /usr/bin/python3 "$LIB/tools/pieces.py" lb "$mac" "$@" "$COUNT"; }

# flood WHOSE SRC4 SRC6: COUNT datagrams of each family. At most two windows of 34 s count them: 2 × 64 go up.
flood()
{
	local whose=$1 up closed sent

	up=$(gw_reason b reassemble) closed=$(gw_reason b reassembly_closed)
	sent=$(($(pieces "$2" 192.0.2.2) + $(pieces "$3" 2001:db8::2)))
	check_eq "$whose: first fragments were sent" "$sent" $((2 * COUNT))
	up=$(($(gw_reason b reassemble) - up)) closed=$(($(gw_reason b reassembly_closed) - closed))
	echo "# $whose: $up up, $closed refused; the stack keeps $(kept) bytes"
	check_gt "$whose: some go up" "$up" 60
	check "$whose: and no more than few" test "$up" -le 128
	check_gt "$whose: the others are counted" "$closed" $((2 * COUNT * 9 / 10))
	check "$whose: the stack has room" test "$(kept)" -lt 1500000
	check "$whose: cut ESP is put together" cut_esp_goes
	check "$whose: over IPv6 too" cut_esp6_goes
}

told() { jq -se 'any(.reason == "reassembly_closed" and (.src | startswith("198.1")))' "$WORK/monitor-b"; }

check "gateways come up, DF clear" gateways_cut || exit 1
check "tunnel works" tunnel_works || exit 1
mac=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')
check "cut ESP is put together" cut_esp_goes
check "over IPv6 too" cut_esp6_goes
check_gt "it came in pieces" "$(gw_reason b reassemble)" 11
spawn gw-b "$WORK/monitor-b" "$XIPSEC" -c "$WORK/gw-b.conf" monitor --reason reassembly_closed
until_true 2 gw b status

flood "strangers" 198.18.0.0/15 2001:db8:bad::/64
check "a sample tells of them" until_true 2 told

# IKE of the peer, in two pieces: strangers took nothing of its share.
up=$(gw_reason b reassemble)
in_ns link /usr/bin/python3 - "$mac" <<'END'
import sys
from scapy.all import IP, UDP, Ether, Raw, fragment, sendp
p = IP(src="192.0.2.1", dst="192.0.2.2", id=4720) / UDP(sport=500, dport=500) / Raw(b"x" * 2000)
for f in fragment(p, 1400):
    sendp(Ether(dst=sys.argv[1]) / f, iface="lb", verbose=0)
END
check_eq "the peer's IKE goes up" "$(gw_reason b reassemble)" $((up + 2))

flood "in the peer's name" 192.0.2.1/32 2001:db8::1/128
check "and the tunnel works" tunnel_works
