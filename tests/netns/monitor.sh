#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# What `xipsec monitor` picks: by reason, by peer; passes in the clear; packets in a capture that tshark
# reads, their reason in the comment. Nothing is asked of the programs once nobody listens.
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
	}'

# listen NAME OPTIONS...: a monitor of gw-a in the background, its lines in $WORK/NAME.
listen()
{
	local name=$1
	shift
	spawn gw-a "$WORK/$name" "$XIPSEC" -c "$WORK/gw-a.conf" monitor "$@"
	LISTENERS="${LISTENERS:-} $PID"
}

has() { jq -se "any(.[]; $2)" "$WORK/$1"; }
lacks() { ! has "$@"; }
udp() { in_ns red-a "$UDPLOAD" send "$1" "$2" 20 200 1 >/dev/null; }
tell() { bpftool -j map dump pinned "/sys/fs/bpf/$TOPO-a/globals" | jq '.[0].formatted.value.tell'; }
asked() { [ "$(tell)" = "$1" ]; }

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
check_eq "nobody listens: nothing is asked of the programs" "$(tell)" 0
listen all
listen reason --reason discard
listen pass --reason bypass_out
listen peer --peer 10.2.0.9
listen child --peer net4
listen text --drops --text
check "passes are asked for" until_true 3 asked 1
listen capture --pcap-out "$WORK/told.pcapng"
check "then packets too" until_true 3 asked 3

udp 10.2.0.2 7009
udp 10.2.0.2 7010
udp 10.2.0.9 7010
gw a sa delete ab4
ping4 a 2 >/dev/null 2>&1
in_ns link /usr/bin/python3 -c '
from scapy.all import *
sendp(Ether(dst="'"$(ip -n "$TOPO-gw-a" -j link show blk0 | jq -r '.[0].address')"'", src="02:00:00:00:00:01") /
	IP(src="192.0.2.9", dst="192.0.2.1", proto=50) / Raw(bytes.fromhex("0000beef00000007") + b"MARK" * 100), iface="br0", verbose=0)'

check "a pass in the clear" until_true 3 has all '.event == "pass" and .reason == "bypass_out" and .dport == 7009
	and .by == "program" and .interface == "red0"'
check "a drop" until_true 3 has all '.event == "drop" and .reason == "discard" and .dport == 7010'
check "an acquire" until_true 3 has all '.event == "acquire" and .child == "net4"'
check "--reason: that reason" has reason '.reason == "discard"'
check "and nothing else" lacks reason '.reason != "discard"'
check "--reason of a pass" has pass '.event == "pass"'
check "and nothing else" lacks pass '.event != "pass"'
check "--peer ADDRESS: its packets" until_true 3 has peer '.dst == "10.2.0.9"'
check "and nobody else's" lacks peer '.dst != "10.2.0.9" and .src != "10.2.0.9"'
check "--peer CHILD: its packets" has child '.child == "net4"'
check "and nobody else's" lacks child '.child != "net4"'
check "--text: a line for people" until_true 3 grep -Eq '^20[0-9TZ:.-]+ drop no_sa blk0 192\.0\.2\.9 -> 192\.0\.2\.1 protocol 50 SPI 0x0000beef number 7 ' "$WORK/text"
check "without other lines" test -z "$(grep -v ' drop ' "$WORK/text")"

comments() { tshark -r "$WORK/told.pcapng" "$@" 2>/dev/null; }
seen() { comments -Y "$1" | grep -q .; }
check "tshark reads the capture" comments
check "the packet that was discarded" until_true 3 seen 'udp.dstport == 7010 && frame.comment contains "discard: policy says discard"'
check "the one that passed" seen 'udp.dstport == 7009 && frame.comment contains "bypass_out"'
check "the ESP of no SA, by its bytes" seen 'esp.spi == 0xbeef && frame contains "MARKMARK" && frame.comment contains "no_sa: "'
check "the child in the comment" seen 'icmp && frame.comment contains "no_sa_out" && frame.comment contains "child net4"'
check "the interface" seen 'udp.dstport == 7010 && frame.interface_name == "red0"'
check_eq "at most 256 bytes, and the true length" \
	"$(comments -Y 'esp.spi == 0xbeef' -T fields -e frame.cap_len -e frame.len | head -n 1)" "$(printf '256\t442')"
check_eq "the time is now" "$(($(date +%s) - $(comments -c 1 -T fields -e frame.time_epoch | cut -d. -f1) < 60))" 1
check_eq "others cannot read it" "$(stat -c %a "$WORK/told.pcapng")" 600

# A worker tells IP packets: what it refuses stands in the same file, which has one link type.
in_ns link /usr/bin/python3 -c '
from scapy.all import *
sendp(Ether(dst="'"$(ip -n "$TOPO-gw-a" -j link show blk0 | jq -r '.[0].address')"'", src="02:00:00:00:00:01") /
	IP(src="192.0.2.2", dst="192.0.2.1", proto=50) / Raw(bytes.fromhex("0000100200ffff07") + b"FORGED" * 20), iface="br0", verbose=0)'
check "a worker's drop is told" until_true 3 has all '.by == "worker" and .reason == "icv"'
check "and stands in the capture" until_true 3 seen 'eth.src == 00:00:00:00:00:00 && ip.src == 192.0.2.2 && esp.spi == 0x1002 && frame.comment contains "icv: "'
check_eq "with its true length, and the made header's" \
	"$(comments -Y 'frame.comment contains "icv: "' -T fields -e frame.len -e ip.len | head -n 1)" "$(printf '162\t148')"
explain_told() { gw a explain --dir in --dev blk0 --pcap "$WORK/told.pcapng" --json >"$WORK/explained" 2>"$WORK/err"; }
check "explain reads the capture" explain_told
check_eq "every packet of it" "$(wc -l <"$WORK/explained")" "$(comments | wc -l)"
check_eq "a worker's, too: as sent to this interface" "$(jq -r 'select(.parsed.spi == "0x00001002") | .reason' "$WORK/explained" | sort -u)" steer_in

for pid in $LISTENERS; do end_pid "$pid" 2; done
check "they have gone: nothing is asked any more" until_true 3 asked 0
gw a monitor --pcap-out - --count 1 >"$WORK/stdout.pcapng" &
waits=$!
until_true 3 asked 3
udp 10.2.0.2 7010
check "--pcap-out -: to standard output" wait $waits
check_eq "nothing but a capture" "$(tshark -r "$WORK/stdout.pcapng" 2>/dev/null | wc -l)" 1
gw a monitor --pcap-out /nowhere/x 2>"$WORK/err"
check_eq "a file that cannot be made: told" "$? $(grep -c 'No such file' "$WORK/err")" "1 1"
for reason in arp nat_keepalive dummy; do
	gw a monitor --reason $reason 2>"$WORK/err"
	check_eq "$reason is not told: usage, and said so" "$? $(grep -c "$reason: .* counted, not told" "$WORK/err")" "2 1"
done
gw a monitor --peer later --count 1 >"$WORK/later" 2>"$WORK/err" &
waits=$!
warned() { grep -q -- '--peer later: neither .*xipsec policy.*waiting' "$WORK/err"; }
check "a child that nothing names yet: told, and what to look at" until_true 3 warned
sed -i 's/^policies {/&\nlater { action = protect\nremote = 10.2.9.0\/24\nchild = later }/' "$WORK/gw-a.conf"
check "it comes by a reload" gw a reload
later() { udp 10.2.9.1 7010; has later '.child == "later"'; }
check "and is told of" until_true 5 later
has_ended() { ! kill -0 $waits 2>/dev/null; }
check "--count 1: then it ends" until_true 3 has_ended
for pair in 'discard --passes' 'bypass_out --drops' 'discard --events'; do
	# shellcheck disable=SC2086 # two words
	gw a monitor --reason $pair 2>"$WORK/err"
	check_eq "--reason $pair: nothing would come: usage" "$? $(grep -c -- "--reason ${pair% *} is told with .*leave ${pair#* } away" "$WORK/err")" "2 1"
done
