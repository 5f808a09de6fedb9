#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# `xipsec explain` and the packets themselves: each frame is explained first, then sent, and the
# counter that moves is that of the reason explained. What is explained writes nothing.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

GW_POLICIES='
	clear {
		action = bypass
		local = 10.0.0.0/8
		remote = 10.0.0.0/8
		proto = udp
		remote_port = 7009
	}
	closed {
		action = discard
		local = 10.0.0.0/8
		remote = 10.0.0.0/8
		proto = udp
		remote_port = 7010
	}
	voice {
		action = discard
		local = 10.1.0.0/16
		remote = 10.2.0.0/16
		dscp = ef
	}
	moving {
		action = discard
		proto = mobility-header
		mh_type = 5
		direction = out
	}
	nobody {
		action = protect
		local = 10.1.0.0/16
		remote = 10.2.9.0/24
	}'
FRAMES=$LIB/tools/explain_frames.py

mac_of() { ip -n "$TOPO-$1" -j link show "$2" | jq -r ".[0].address"; }
explain() { gw a explain "$@"; }
counters() { gw a status --json | jq -c '[.reasons[] | {key: .name, value: .program_packets}] | from_entries'; }

# moved BEFORE AFTER: names of the reasons that grew, but for what hosts say to find each other.
moved() { jq -nr --argjson a "$1" --argjson b "$2" \
	'[$b | to_entries[] | select(.value > $a[.key]) | .key] - (if $ENV.WITH_LINK == "1" then ["nd"] else ["nd", "arp"] end) | join(" ")'; }

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi

# frames WHERE DIR DEV MAC NODE IFACE: explains all, then sends one after the other.
frames()
{
	local where=$1 dir=$2 dev=$3 mac=$4 node=$5 iface=$6 n=0 name before after

	/usr/bin/python3 "$FRAMES" write "$where" "$WORK/$where.pcap" "$mac" >"$WORK/$where.names"
	check "$where: frames are made" test -s "$WORK/$where.names"
	explain --dir "$dir" --dev "$dev" --pcap "$WORK/$where.pcap" --json >"$WORK/$where.json"
	check_eq "$where: every frame is explained" "$(wc -l <"$WORK/$where.json")" "$(wc -l <"$WORK/$where.names")"
	while IFS= read -r name; do
		n=$((n + 1))
		before=$(counters)
		in_ns "$node" /usr/bin/python3 "$FRAMES" send "$WORK/$where.pcap" "$iface" $n </dev/null
		after=$(counters)
		WITH_LINK=$([ "$name" != ARP ] || echo 1)
		check_eq "$where: $name" "$(moved "$before" "$after")" "$(sed -n ${n}p "$WORK/$where.json" | jq -r .reason)"
	done <"$WORK/$where.names"
}

# Every map that is pinned, each in a file below $1. worker_stats is left out: idle workers write it.
state()
{
	local pin
	mkdir "$1"
	for pin in "/sys/fs/bpf/$TOPO-a"/current/*; do
		[ "${pin##*/}" != worker_stats ] || continue
		bpftool map dump pinned "$pin" >"$1/${pin##*/}" 2>&1 || true
	done
}

# Nobody answers, and nobody is asked who does: one packet, one counter.
in_ns link ip link set lb down
for there in 192.0.2.2 2001:db8::2; do
	in_ns gw-a ip neigh replace $there lladdr "$(mac_of gw-b blk0)" dev blk0 nud permanent
done
for there in 10.1.0.77 10.1.0.2 fd01::2; do
	in_ns gw-a ip neigh replace $there lladdr "$(mac_of red-a ra0)" dev red0 nud permanent
done

export WITH_LINK=
frames red out red0 "$(mac_of gw-a red0)" red-a ra0
frames black in blk0 "$(mac_of gw-a blk0)" link br0
frames guard out blk0 "$(mac_of gw-b blk0)" gw-a blk0
check_gt "many different reasons were seen" "$(cat "$WORK"/*.json | jq -r .reason | sort -u | wc -l)" 14

# What is told beside the reason.
explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.0.2 --json >"$WORK/one.json"
check_eq "a ping into the tunnel: reason, rule, line" \
	"$(jq -r '"\(.reason) \(.policy.rule.policy) \(.policy.rule.action)"' "$WORK/one.json")" "steer_out net4 protect"
check_eq "its line is that of the policy in the config" \
	"$(sed -n "$(jq .policy.rule.line "$WORK/one.json")p" "$WORK/gw-a.conf" | tr -d '\t {')" net4
check_eq "its SA" "$(jq -r '"\(.sa.name) \(.sa.spi) \(.sa.dst) \(.sa.engine)"' "$WORK/one.json")" "ab4 0x00001001 192.0.2.2 afxdp"
check_eq "its worker" "$(jq -r '"\(.worker.worker) \(.worker.socket) \(.worker.pid)"' "$WORK/one.json")" "0 true $(gw_workers a)"
check_eq "its route" "$(jq -r '"\(.route.interface) \(.route.role)"' "$WORK/one.json")" "blk0 unprotected"
explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.9.9 --proto tcp --dport 80 >"$WORK/text"
check "in words: the reason" grep -q 'no_sa_out (drop)' "$WORK/text"
check "in words: what to do" grep -q 'to do .*xipsecd running' "$WORK/text"
check "in words: the place in the config" grep -q "nobody ($WORK/gw-a.conf:[0-9]*): protect" "$WORK/text"
check_eq "ESP by its SPI" "$(explain --dir in --dev blk0 --src 192.0.2.2 --dst 192.0.2.1 --spi 0x1002 --json | jq -r '"\(.reason) \(.sa.name)"')" "steer_in ba4"
check_eq "forwarded plaintext at the guard" \
	"$(explain --dir out --dev blk0 --from red0 --src 10.1.0.2 --dst 10.2.0.2 --json | jq -r .reason)" plaintext_out
check_eq "a later fragment by options" \
	"$(explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.0.2 --proto udp --frag later --json | jq -r '"\(.reason) \(.policy.maybe.policy)"')" "frag_opaque clear"
explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.0.2 --proto udp --frag later >"$WORK/text"
check "its first fragment would tell" grep -q 'none of this packet was seen' "$WORK/text"
explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.0.2 --proto gre --frag later >"$WORK/text"
check_eq "the rule of another is certain, and no first fragment is asked for" \
	"$(grep -c 'steer_out' "$WORK/text") $(grep -c 'none of this packet' "$WORK/text")" "1 0"
rule_of() { explain --dir out --dev red0 "$@" --json | jq -r '"\(.reason) \(.policy.rule.policy) \(.parsed.dscp)"'; }
own() { explain --dir out --dev blk0 --src 192.0.2.1 --dst 192.0.2.2 --proto udp "$@"; }
check_eq "IKE of this host: it passes by its socket" "$(own --sport 500 --dport 500 --json | jq -r '"\(.reason) \(.passes_as_ike)"')" "no_policy true"
check_eq "4500, too" "$(own --sport 4500 --dport 4500 --json | jq .passes_as_ike)" true
check_eq "other ports do not" "$(own --sport 501 --dport 500 --json | jq .passes_as_ike)" false
check_eq "nor forwarded ones" "$(own --from red0 --sport 500 --dport 500 --json | jq .passes_as_ike)" false
own --sport 500 --dport 500 >"$WORK/text"
check_eq "in words: how it passes, and what to do" "$(grep -c 'xipsecd opened.*ike_out' "$WORK/text") $(grep -c "to do .*nothing, if it is IKE's" "$WORK/text")" "1 1"
check_eq "TTL 0 is TTL 0" "$(explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.0.2 --ttl 0 --json | jq .parsed.hop_limit)" 0
check_eq "of IPv6, too" "$(explain --dir out --dev red0 --src fd01::2 --dst fd02::2 --ttl 0 --json | jq .parsed.hop_limit)" 0
check_eq "not said, it is 64" "$(jq .parsed.hop_limit "$WORK/one.json")" 64
explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.0.2 >"$WORK/text"
check_eq "what a worker decides is not asked, and said so" "$(grep -c 'not asked: .*MTU.*TTL' "$WORK/text")" 1
explain --dir in --dev blk0 --src 192.0.2.2 --dst 192.0.2.1 --spi 0x1002 >"$WORK/text"
check_eq "in: nor selectors" "$(grep -c 'not asked: .*selectors' "$WORK/text")" 1
check_eq "DHCP, from no address yet: explained, not a usage error" \
	"$(explain --dir out --dev red0 --src 0.0.0.0 --dst 255.255.255.255 --proto udp --sport 68 --dport 67 --json |
		jq -r .reason)" not_outbound
status=0
explain --dir in --dev blk0 --src 192.0.2.2 --dst 192.0.2.1 --spi 0 >"$WORK/text" 2>&1 || status=$?
check_eq "SPI 0: refused in words" "$status $(grep -c -- '--spi 0: expected 1 to' "$WORK/text")" "2 1"
status=0
explain --dir in --dev blk0 --from red0 --src 192.0.2.2 --dst 192.0.2.1 >"$WORK/text" 2>&1 || status=$?
check_eq "--from of what comes in: refused in words" "$status $(grep -c 'with --dir in that is --dev' "$WORK/text")" "2 1"
check_eq "by its DSCP, by name" "$(rule_of --src 10.1.0.2 --dst 10.2.0.2 --dscp ef)" "discard voice 46"
check_eq "by its DSCP, by number" "$(rule_of --src 10.1.0.2 --dst 10.2.0.2 --dscp 46)" "discard voice 46"
check_eq "by another DSCP" "$(rule_of --src 10.1.0.2 --dst 10.2.0.2 --dscp af11)" "steer_out net4 10"
check_eq "IPv6 by its DSCP" "$(rule_of --src fd01::2 --dst fd02::2 --dscp 63)" "steer_out net6 63"
check_eq "a Mobility Header by its type" "$(rule_of --src fd01::2 --dst fd02::2 --mh-type 5)" "discard moving 0"
check_eq "and by another" "$(rule_of --src fd01::2 --dst fd02::2 --mh-type 6)" "steer_out net6 0"
explain --dir out --dev red0 --src fd01::2 --dst fd02::2 --mh-type 5 --dscp cs6 >"$WORK/text"
check "in words: both" grep -q 'mobility-header type 5, DSCP 48' "$WORK/text"
tshark -r "$WORK/red.pcap" -F pcapng -w "$WORK/red.pcapng" 2>/dev/null
explain --dir out --dev red0 --pcap "$WORK/red.pcapng" --json >"$WORK/ng.json"
check "pcapng says what pcap says" cmp "$WORK/red.json" "$WORK/ng.json"

# Fragments of a capture: a later one goes as its first one, if that is there, two seconds before it at
# most; what is explained is what becomes of them.
/usr/bin/python3 - "$WORK/pieces.pcap" "$(mac_of gw-a red0)" <<'END'
import sys
from scapy.all import IP, UDP, Ether, IPv6, IPv6ExtHdrFragment, Raw, fragment, fragment6, wrpcap

to = Ether(src="02:00:00:00:00:66", dst=sys.argv[2])
data = UDP(sport=5, dport=7009) / Raw(b"x" * 992)
first, later = fragment(to / IP(id=901, src="10.1.0.2", dst="10.2.0.77") / data, fragsize=800)
late = to / IP(id=902, src="10.1.0.2", dst="10.2.0.77", flags="MF") / data, Ether(bytes(later))
late[1][IP].id = 902
del late[1][IP].chksum
alone = Ether(bytes(late[1]))
alone[IP].id = 903
del alone[IP].chksum
frames = [first, later, late[0], late[1], alone]
for frame, time in zip(frames, (10, 10.5, 11, 13.1, 13.2)):
    frame.time = time
wrpcap(sys.argv[1], frames)
END
explain --dir out --dev red0 --pcap "$WORK/pieces.pcap" --json >"$WORK/pieces.json"
check_eq "later fragments: behind the first, too late, without" \
	"$(jq -r '"\(.parsed.fragment) \(.reason) \(.first.packet) \(.first.without)"' "$WORK/pieces.json" | paste -sd,)" \
	"first bypass_out null null,later bypass_out 1 frag_opaque,first bypass_out null null,later frag_opaque null null,later frag_opaque null null"
explain --dir out --dev red0 --pcap "$WORK/pieces.pcap" >"$WORK/text"
before=$(counters)
in_ns red-a /usr/bin/python3 "$FRAMES" send "$WORK/pieces.pcap" ra0 1 2 5 </dev/null
# The two that go are seen twice: where they come in, and by the guard.
went()
{
	[ "$(jq -n --argjson a "$before" --argjson b "$(counters)" \
		'[$b.bypass_out - $a.bypass_out, $b.frag_opaque - $a.frag_opaque] | join(" ")')" = '"4 1"' ]
}
check "and so they go" until_true 5 went
check_eq "in words: as which one, and that there is none" \
	"$(grep -c 'packet 1 is its first fragment: decided as that one; without it frag_opaque' "$WORK/text") $(grep -c 'none of this packet was seen' "$WORK/text")" "1 2"

# Nothing is written.
state "$WORK/before.state"
check_gt "all maps are looked at, the flow cache too" "$(find "$WORK/before.state" -size +0 | wc -l)" 15
for _ in $(seq 20); do explain --dir out --dev red0 --pcap "$WORK/red.pcap" >/dev/null; done
explain --dir in --dev blk0 --pcap "$WORK/black.pcap" >/dev/null
state "$WORK/after.state"
check_eq "the maps are what they were" "$(diff -rq "$WORK/before.state" "$WORK/after.state")" ""

# A capture that holds what no program can be asked about: every packet has its line all the same.
/usr/bin/python3 - "$WORK/red.pcap" "$WORK/odd.pcap" <<'END'
import struct, sys
data = open(sys.argv[1], "rb").read()
head, at, packets = data[:24], 24, []
while at < len(data):
    length = struct.unpack_from("<I", data, at + 8)[0]
    packets.append(data[at:at + 16 + length])
    at += 16 + length
first, last = packets[0], packets[1]
long = struct.pack("<IIII", 0, 0, 64, 65000) + first[16:].ljust(64, b"\0")[:64]
none = struct.pack("<IIII", 0, 0, 0, 60)
open(sys.argv[2], "wb").write(head + first + long + none + last)
END
explain --dir out --dev red0 --pcap "$WORK/odd.pcap" --json >"$WORK/odd.json" 2>"$WORK/err"
check_eq "a capture with two that cannot be: told at its end" "$? $(tail -1 "$WORK/err" | grep -c 'of 2 packets')" "1 1"
check_eq "each packet has its line" "$(jq -r '"\(.packet) \(.unasked)"' "$WORK/odd.json" | paste -sd,)" "1 null,2 true,3 true,4 null"
check_eq "and the last is explained as ever" "$(tail -1 "$WORK/odd.json" | jq -c '[.reason, .parsed]')" "$(sed -n 2p "$WORK/red.json" | jq -c '[.reason, .parsed]')"
check_eq "lengths are told" "$(sed -n 2p "$WORK/odd.json" | jq -c .parsed)" '{"length":65000,"missing":64936}'
explain --dir out --dev red0 --pcap "$WORK/odd.pcap" >"$WORK/text" 2>/dev/null
check_eq "in words, too" "$(grep -c 'cannot be asked' "$WORK/text")" 2

# What a capture lacks: bytes of data, headers; and frames that lack what their IP header says.
/usr/bin/python3 - "$WORK/cut.pcap" "$(mac_of gw-a red0)" <<'END'
import struct, sys
from scapy.all import IP, IPv6, UDP, Ether, Raw

def record(frame, held, length):
    return struct.pack("<IIII", 0, 0, held, length) + frame[:held]

to = Ether(src="02:00:00:00:00:66", dst=sys.argv[2])
port = bytes(to / IP(src="10.1.0.2", dst="10.2.0.77") / UDP(sport=5, dport=7010) / Raw(b"x" * 40))
six = bytes(to / IPv6(src="fd01::2", dst="fd02::77") / UDP(sport=5, dport=9) / Raw(b"x" * 40))
n, n6 = len(port), len(six)
open(sys.argv[1], "wb").write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + b"".join([
    record(port, n, n), record(port, 42, n), record(port, 38, n), record(port, 34, n), record(port, 20, n),
    record(port, 15, n), record(port, n - 1, n - 1), record(six, n6, n6), record(six, 54, n6), record(six, n6 - 9, n6 - 9)]))
END
explain --dir out --dev red0 --pcap "$WORK/cut.pcap" --json >"$WORK/cut.json" 2>"$WORK/err"
check_eq "a capture that lacks headers: all are told, exit 0" "$? $(wc -l <"$WORK/cut.json")" "0 10"
check_eq "each says what it lacks" "$(jq -r '"\(.parsed.missing) \(.parsed.headers_cut) \(.parsed.ip_length) \(.reason)"' "$WORK/cut.json" | paste -sd,)" \
	"0 false 68 discard,40 false 68 discard,44 true 68 malformed_l4,48 true 68 malformed_l4,62 true 68 not_outbound,67 true null malformed_ip4,0 false 68 malformed_ip4,0 false 88 steer_out,48 true 88 malformed_l4,0 false 88 malformed_ip6"
check_eq "and at the end how many" "$(grep -c 'of 5 packets it does not have all headers' "$WORK/err")" 1
explain --dir out --dev red0 --pcap "$WORK/cut.pcap" >"$WORK/text" 2>/dev/null
check_eq "in words: zeros for headers" "$(grep -c 'beware .*has 34 bytes of it' "$WORK/text")" 1
check_eq "in words: shorter than it says" "$(grep -c 'says 68 bytes, the frame has 67 for it' "$WORK/text")" 1
check_eq "in words: IPv6, too" "$(grep -c 'says 88 bytes, the frame has 79 for it' "$WORK/text")" 1

# Mistakes.
explain --dir in --dev red0 --src 10.1.0.2 --dst 10.2.0.2 2>"$WORK/err"
check_eq "in by a protected interface: refused" "$? $(grep -c 'red0 is protected' "$WORK/err")" "1 1"
explain --dir out --dev lo --src 10.1.0.2 --dst 10.2.0.2 2>"$WORK/err"
check_eq "an interface without a role: refused" "$? $(grep -c 'lo has no role' "$WORK/err")" "1 1"
explain --dir out --dev red0 --src 10.1.0.2 2>/dev/null
check_eq "half a packet: usage" $? 2
for bad in '--dscp 64' '--dscp gold' '--mh-type 256' '--mh-type 5 --proto udp'; do
	# shellcheck disable=SC2086 # two words
	explain --dir out --dev red0 --src fd01::2 --dst fd02::2 $bad 2>"$WORK/err"
	check_eq "$bad: usage" "$? $(wc -l <"$WORK/err")" "2 1"
done
explain --dir out --dev red0 --queue 9 --src 10.1.0.2 --dst 10.2.0.2 2>"$WORK/err"
check_eq "a queue that is not there: refused" "$? $(grep -c 'no receive queue 9' "$WORK/err")" "1 1"
head -c 30 "$WORK/red.pcap" >"$WORK/cut.pcap"
explain --dir out --dev red0 --pcap "$WORK/cut.pcap" 2>"$WORK/err"
check_eq "a capture cut short: told" "$? $(wc -l <"$WORK/err")" "1 1"

# With xipsecd dead there is no worker, with a new generation there is a new twin.
twin_id() { bpftool prog show pinned "/sys/fs/bpf/$TOPO-a/current/prog/explain_red" -j | jq .id; }
before=$(twin_id)
gw_stop a
check_eq "xipsecd is dead: no SA" "$(explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.0.2 --json | jq -r '"\(.reason) \(.xipsecd) \(.worker)"')" "no_sa_out false null"
check "upgrade" gw a attach --all --upgrade
check_gt "the twin was replaced" "$(twin_id)" "$before"
check "detach" gw a detach --all
check "the twin is gone" test ! -e "/sys/fs/bpf/$TOPO-a"
explain --dir out --dev red0 --src 10.1.0.2 --dst 10.2.0.2 2>"$WORK/err"
check_eq "nothing is attached: told" "$? $(grep -c 'nothing is attached' "$WORK/err")" "1 1"
