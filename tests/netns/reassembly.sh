#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
# ESP and AH that are cut on their way (by their sender, where the SA's DF is clear) are put together by the slow
# path: ESP plain and in UDP, IPv4 and IPv6. Nothing answers that it was unreachable, and what is no ESP
# of ours does not come in that way.
#
#	red-a --- gw-a ===[capture, MTU 1500]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

# pings FAMILY SIZE FROM DST: three pings that must not be cut, all answered.
pings() { in_ns "red-$3" ping -"$1" -n -c 3 -i 0.2 -W 1 -M 'do' -s "$2" "$4" | grep -q ' 3 received'; }

# gateways_with OUT [ALL]: the settings go into every outbound SA, and into all SAs.
gateways_with()
{
	local x
	for x in a b; do
		gw_config $x
		sed -i "s/^\([ \t]*\)direction = out/&\n\1$1/" "$WORK/gw-$x.conf"
		[ -z "${2:-}" ] || sed -i "s/^\([ \t]*\)direction = \(in\|out\)$/&\n\1$2/" "$WORK/gw-$x.conf"
		[ -n "${attached:-}" ] || gw_attach $x >"$WORK/attach-$x.log" 2>&1 || return
		gw_start $x || return
	done
	attached=1
}

# fragments_in FILE: ESP or UDP fragments that the capture saw, IPv4 and IPv6.
fragments_in() { tcpdump -n -r "$1" '(ip[6:2] & 0x3fff != 0) or ip6 proto 44' 2>/dev/null | wc -l; }

capture_on()
{
	spawn link "$WORK/tcpdump-$1.log" tcpdump -i br0 -n -U --immediate-mode -w "$WORK/$1.pcap"
	capture=$PID
	until_true 5 grep -q 'listening on' "$WORK/tcpdump-$1.log"
}

capture_off()
{
	sleep 0.3
	end_pid "$capture"
}

# Sizes around the edge: sealed, they are up to 1,560 bytes.
carries()
{
	local what=$1 size lost
	lost=$(gw_reason b reassembly_closed)
	for size in 1300 1420 1472; do
		check "$what: ping of $size bytes with DF" pings 4 $size a 10.2.0.2
	done
	check "$what: the other way" pings 4 1472 b 10.1.0.2
	check "$what: IPv6" pings 6 1452 a fd02::2
	check "$what: IPv6, the other way" pings 6 1452 b fd01::2
	check_gt "$what: the programs counted fragments" "$(gw_reason b reassemble)" 12
	check_gt "$what: gw-a counts what it cut" "$(gw_reason a fragmented)" 5
	check_eq "$what: none was lost" "$(gw_reason b reassembly_closed)" "$lost"
}

opened_are() { [ "$(gw_reason b opened)" -eq "$1" ]; }

# backwards WHAT: what gw-a sends is kept from gw-b, and comes to it later, the last piece of each datagram first.
backwards()
{
	local what=$1 opened closed from kept
	from=$(ip -n "$TOPO-gw-a" -j link show blk0 | jq -r '.[0].address')
	spawn link "$WORK/tcpdump-kept.log" tcpdump -i la -n -U --immediate-mode -w "$WORK/kept.pcap"
	kept=$PID
	until_true 5 grep -q 'listening on' "$WORK/tcpdump-kept.log"
	ip -n "$TOPO-link" link set lb nomaster
	in_ns red-a ping -n -c 3 -i 0.2 -W 1 -M 'do' -s 1472 10.2.0.2 >/dev/null 2>&1
	in_ns red-a ping -6 -n -c 3 -i 0.2 -W 1 -M 'do' -s 1452 fd02::2 >/dev/null 2>&1
	sleep 0.3
	end_pid "$kept"
	opened=$(gw_reason b opened) closed=$(gw_reason b reassembly_closed)
	check_eq "$what: kept and sent backwards" \
		"$(in_ns link /usr/bin/python3 "$LIB/tools/backwards.py" "$WORK/kept.pcap" "$from" lb)" 6
	check "$what: pieces that come backwards are opened" until_true 5 opened_are "$((opened + 6))"
	check_eq "$what: and none was refused" "$(gw_reason b reassembly_closed)" "$closed"
	ip -n "$TOPO-link" link set lb master br0
}

check "gateways come up, DF clear" gateways_with 'df = clear' || exit 1
check "tunnel works" tunnel_works || exit 1
capture_on esp
carries "ESP"
backwards "ESP"

# Fragments of a stranger on the link: later ones that say another address, or another protocol than
# the SA's; and with the peer's own address: of an SPI that nobody knows, and a later one behind a
# first fragment of UDP 53.
passed=$(gw_reason b reassemble)
mac=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')
in_ns link /usr/bin/python3 - "$mac" <<'END'
import sys
from scapy.all import IP, UDP, Ether, Raw, sendp
def send(**ip):
    payload = ip.pop("payload")
    sendp(Ether(dst=sys.argv[1]) / IP(src=ip.pop("src", "192.0.2.1"), dst="192.0.2.2", **ip) / payload,
          iface="lb", verbose=0)
send(id=4711, proto=50, flags="MF", payload=Raw(b"\0\0\x77\x77" + b"x" * 60))
send(id=4711, proto=50, src="192.0.2.9", frag=8, payload=Raw(b"x" * 64))
send(id=4711, proto=50, src="192.0.2.9", flags="MF", payload=Raw(b"\0\0\x77\x77" + b"x" * 60))
send(id=4712, proto=17, frag=8, payload=Raw(b"x" * 64))
send(id=4713, proto=17, flags="MF", payload=UDP(sport=53, dport=53, len=136) / Raw(b"x" * 56))
send(id=4713, proto=17, frag=8, payload=Raw(b"x" * 64))
END
check_eq "a stranger's fragments do not pass" "$(gw_reason b reassemble)" "$passed"
check_gt "but are counted" "$(gw_reason b reassembly_closed)" 2
check_gt "with no_sa where they say an SPI" "$(gw_reason b no_sa)" 0
capture_off
check_gt "ESP: the capture saw fragments" "$(fragments_in "$WORK/esp.pcap")" 30
check_eq "ESP: nothing was unreachable" \
	"$(tcpdump -n -r "$WORK/esp.pcap" 'icmp[0] == 3 or icmp6[0] == 1 or icmp6[0] == 4' 2>/dev/null | wc -l)" 0
check_eq "ESP: nothing in the clear" \
	"$(tcpdump -n -r "$WORK/esp.pcap" 'net 10.0.0.0/8 or net fd00::/8' 2>/dev/null | wc -l)" 0
check_eq "ESP: no frame longer than the link" "$(tcpdump -n -r "$WORK/esp.pcap" 'greater 1515' 2>/dev/null | wc -l)" 0

# AH in tunnel mode: the ICV covers the outer header, as it was before it was cut.
for x in a b; do gw_stop $x; done
GW_ALG=sha256 GW_KEY_BYTES=32
new_keys
check "gateways come up, AH" gateways_with 'df = clear' 'protocol = ah' || exit 1
check "tunnel works by AH" tunnel_works || exit 1
bad=$(gw_reason b icv)
capture_on ah
carries "AH"
backwards "AH"
capture_off
check_eq "AH: every ICV held" "$(gw_reason b icv)" "$bad"
check_gt "AH: the capture saw fragments of AH, IPv4" \
	"$(tcpdump -n -r "$WORK/ah.pcap" 'ip proto 51 and ip[6:2] & 0x3fff != 0' 2>/dev/null | wc -l)" 11
check_gt "AH: and IPv6" \
	"$(tcpdump -n -r "$WORK/ah.pcap" 'ip6 proto 44 and ip6[40] = 51' 2>/dev/null | wc -l)" 20
check_eq "AH: nothing was unreachable" \
	"$(tcpdump -n -r "$WORK/ah.pcap" 'icmp[0] == 3 or icmp6[0] == 1 or icmp6[0] == 4' 2>/dev/null | wc -l)" 0

# ESP in UDP: the port's socket delivers.
GW_ALG=aes128gcm16 GW_KEY_BYTES=20
for x in a b; do gw_stop $x; done
new_keys
check "gateways come up, ESP in UDP" gateways_with 'df = clear' 'encap = yes' || exit 1
check "tunnel works in UDP" tunnel_works || exit 1
capture_on udp
carries "ESP in UDP"
backwards "ESP in UDP"
# A non-ESP marker in fragments: IKE, for a socket that is not the worker's.
ike=$(gw_reason b ike_closed) up=$(gw_reason b reassemble)
in_ns link /usr/bin/python3 - "$mac" <<'END'
import sys
from scapy.all import IP, UDP, Ether, Raw, fragment, sendp
p = IP(src="192.0.2.1", dst="192.0.2.2", id=4720) / UDP(sport=4500, dport=4500) / Raw(b"\0" * 2000)
for f in fragment(p, 1400):
    sendp(Ether(dst=sys.argv[1]) / f, iface="lb", verbose=0)
END
sleep 0.3
check_eq "IKE on port 4500 in fragments goes up, and not to the worker" \
	"$(gw_reason b reassemble) $(gw_reason b ike_closed)" "$((up + 2)) $ike"
capture_off
check_gt "UDP: the capture saw fragments" "$(fragments_in "$WORK/udp.pcap")" 30
check_eq "UDP: nothing was unreachable" \
	"$(tcpdump -n -r "$WORK/udp.pcap" 'icmp[0] == 3 or icmp6[0] == 1 or icmp6[0] == 4' 2>/dev/null | wc -l)" 0

# With xipsecd dead nobody takes what the stack would put together: it does not go up.
gw_kill b all
capture_on dead
in_ns red-a ping -n -c 3 -i 0.2 -W 1 -M 'do' -s 1472 10.2.0.2 >/dev/null 2>&1
capture_off
check_gt "dead: fragments came" "$(fragments_in "$WORK/dead.pcap")" 4
check_gt "dead: and were dropped" "$(gw_reason b no_worker)" 2
check_eq "dead: nothing was unreachable" \
	"$(tcpdump -n -r "$WORK/dead.pcap" 'icmp[0] == 3 or icmp6[0] == 1 or icmp6[0] == 4' 2>/dev/null | wc -l)" 0
