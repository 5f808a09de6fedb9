#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
# A router on the black side says "too big" of what gw-a has just sent, ESP or AH, whole or cut: the
# path MTU of that SA goes down and red-a is told. The same about what nobody sent moves nothing.
#
#	red-a --- gw-a ===[the link: says it]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

cat >"$WORK/says.py" <<'END'
import sys
from scapy.all import ICMP, IP, Ether, ICMPv6PacketTooBig, IPv6, Raw, conf, sendp
conf.verb = 0
family, protocol, mtu, forged, mac = int(sys.argv[1]), *map(int, sys.argv[2:5]), sys.argv[5]
sock = conf.L2listen(iface="la", filter="ip%s proto %d" % ("6" if family == 6 else "", protocol))
print("listening", flush=True)
while True:
    frame = sock.recv()
    frame = bytes(frame) if frame else b""
    if frame[6:12].hex(":") == mac:
        break
quote = bytearray(frame[14:14 + 100])
at = {4: 20, 6: 40}[family] + {50: 4, 51: 8, 44: 12}[protocol]
number = int.from_bytes(quote[at:at + 4], "big") + forged
quote[at:at + 4] = (number & 0xffffffff).to_bytes(4, "big")
if family == 4:
    error = IP(src="192.0.2.9", dst="192.0.2.1") / ICMP(type=3, code=4, nexthopmtu=mtu)
else:
    error = IPv6(src="2001:db8::9", dst="2001:db8::1") / ICMPv6PacketTooBig(mtu=mtu)
sendp(Ether(dst=mac, src="02:00:00:00:00:09") / error / Raw(bytes(quote)), iface="la")
END

# says FAMILY PROTOCOL MTU FORGED COMMAND...: the error, about the first such packet that the command
# makes gw-a send; FORGED is added to the sequence number that it quotes.
says()
{
	local mac said
	mac=$(ip -n "$TOPO-gw-a" -j link show blk0 | jq -r '.[0].address')
	rm -f "$WORK/says.log"
	spawn link "$WORK/says.log" timeout 15 /usr/bin/python3 "$WORK/says.py" "$1" "$2" "$3" "$4" "$mac"
	said=$PID
	until_true 10 grep -q listening "$WORK/says.log"
	shift 4
	"$@" >/dev/null 2>&1
	reap "$said"
}

# What red-a has been told before is forgotten.
ping_big()
{
	in_ns red-a ip -"$1" route flush cache
	in_ns red-a ping -"$1" -n -c 1 -W 1 -M 'do' -s "$2" "$3"
}

# mtu_told FAMILY DST: what red-a is told about a packet that fits a link of 1500 bytes, and no 1400.
mtu_told()
{
	in_ns red-a ip -"$1" route flush cache
	in_ns red-a ping -"$1" -n -c 2 -i 0.2 -W 1 -M 'do' -s 1370 "$2" 2>&1 |
		sed -n 's/.*mtu *= *\([0-9]*\).*/\1/p' | head -n 1
}

# restart ALGORITHM KEY_BYTES LINE [LINE-OUT]: both gateways, with SAs that have learnt nothing.
restart()
{
	local x
	for x in a b; do
		[ -z "${GW_PID[$x]:-}" ] || gw_stop $x
	done
	GW_ALG=$1 GW_KEY_BYTES=$2 GW_SA_LINES=$3
	new_keys
	for x in a b; do
		gw_config $x
		sed -i "s/^\([ \t]*\)direction = out/&\n\1${4:-}/" "$WORK/gw-$x.conf"
		[ -n "${attached:-}" ] || gw_attach $x >"$WORK/attach-$x.log" 2>&1 || return
		gw_start $x || return
	done
	attached=1
	tunnel_works
}

# Headers and padding between the path's 1400 bytes and the inner packet, IPv4 and IPv6.
lowers()
{
	local what=$1 protocol=$2 inner4=$3 inner6=$4
	says 4 "$protocol" 1400 77777 ping_big 4 1300 10.2.0.2
	check_eq "$what: a number that was not sent is not believed" "$(mtu_told 4 10.2.0.2)" ''
	says 4 "$protocol" 1400 0 ping_big 4 1390 10.2.0.2
	check_eq "$what: IPv4, red-a is told what fits" "$(mtu_told 4 10.2.0.2)" "$inner4"
	check_eq "$what: the IPv6 SA is another" "$(mtu_told 6 fd02::2)" ''
	says 6 "$protocol" 1400 0 ping_big 6 1370 fd02::2
	check_eq "$what: IPv6, red-a is told what fits" "$(mtu_told 6 fd02::2)" "$inner6"
}

check "gateways come up, ESP" restart aes128gcm16 20 '' || exit 1
lowers ESP 50 $(((1400 - 20 - 32) / 4 * 4 - 2)) $(((1400 - 40 - 32) / 4 * 4 - 2))
check_eq "two were believed" "$(gw_reason a pmtu_learned)" 2
check_eq "one was not" "$(gw_reason a pmtu_ignored)" 1

check "gateways come up, AH" restart sha256 32 'protocol = ah' || exit 1
lowers AH 51 $((1400 - 20 - 28)) $((1400 - 40 - 32))
check_eq "two more were believed" "$(gw_reason a pmtu_learned)" 4

# Sealed whole and cut: over IPv6 nobody under way cuts it again.
check "gateways come up, DF clear" restart aes128gcm16 20 '' 'df = clear' || exit 1
says 6 44 1400 0 ping_big 6 1452 fd02::2
check_eq "an error about the first fragment is believed" "$(gw_reason a pmtu_learned)" 5
spawn link "$WORK/tcpdump.log" tcpdump -i br0 -n -U --immediate-mode -w "$WORK/cut.pcap"
until_true 5 grep -q 'listening on' "$WORK/tcpdump.log"
in_ns red-a ip -6 route flush cache
check "what is cut comes through" in_ns red-a ping -6 -n -c 3 -i 0.2 -W 1 -M 'do' -s 1452 fd02::2
sleep 0.3
end_pid "$PID"
tcpdump -n -r "$WORK/cut.pcap" -e 'ip6 proto 44 and src 2001:db8::1' -w "$WORK/cut-a.pcap" 2>/dev/null
check_gt "fragments were seen" "$(tcpdump -n -r "$WORK/cut-a.pcap" 2>/dev/null | wc -l)" 5
check_eq "none that does not fit" "$(tcpdump -n -r "$WORK/cut-a.pcap" 'greater 1415' 2>/dev/null | wc -l)" 0

age_is() { bpftool map dump pinned "/sys/fs/bpf/$TOPO-a/globals" | grep -q "\"pmtu_age\": $1$"; }
check "the programs know how long that is believed" until_true 5 age_is 600
sed -i 's/^\([ \t]*\)workers = /\1pmtu_age = 1h\n&/' "$WORK/gw-a.conf"
check "a reload with pmtu_age" gw a reload
check "the programs know that too" until_true 5 age_is 3600
