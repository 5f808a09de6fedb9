#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# What xipsec monitor tells: acquires, limits, silence, drops with their packet; and dummy packets,
# which keep a silent link busy at their rate and end at the receiver.
#
#	red-a --- gw-a ===[capture; replay from here]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

watch()
{
	spawn "gw-$1" "$WORK/monitor-$1" "$XIPSEC" -c "$WORK/gw-$1.conf" monitor
	sleep 0.3
}

# told X FILTER: a line for which jq's FILTER is true has come.
told() { jq -se "any(.[]; $2)" "$WORK/monitor-$1"; }

field() { gw "$1" sa list --json | jq -r ".[] | select(.name == \"$2\") | $3"; }

red_packets() { ip -n "$TOPO-red-b" -j -s link show rb0 | jq '.[0].stats64.rx.packets'; }

# sa_lines X NAME LINES: the SA of the config with lines added, installed anew.
sa_lines()
{
	gw "$1" sa delete "$2"
	sed -i "s/^\t*$2 {/&\n$3/" "$WORK/gw-$1.conf"
	gw "$1" sa add "$2"
}

# new_key NAME: a key of its own for it at both ends; b's is installed anew, a's on the next sa_lines.
new_key()
{
	local key x
	key=0x$(od -An -N 20 -tx1 /dev/urandom | tr -d ' \n')
	for x in a b; do
		sed -i "/^\t*$1 {/,/}/s/^\([ \t]*\)key = .*/\1key = $key/" "$WORK/gw-$x.conf"
	done
	gw b sa delete "$1" && gw b sa add "$1"
}
refused_as_spent() { ! gw a sa add ab4 2>"$WORK/spent" && grep -q 'reached its limit of time: make a new key' "$WORK/spent"; }

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
watch a
watch b

# --- acquire, no SA
check "gw-a: its outbound SA goes" gw a sa delete ab4
ping4 a 3 >/dev/null 2>&1
check "acquire: child and packet" until_true 3 told a '.event == "acquire" and .child == "net4"
	and .src == "10.1.0.2" and .dst == "10.2.0.2" and .protocol == 1'
check "the same packet as a drop" told a '.event == "drop" and .reason == "no_sa_out" and .by == "program"
	and .interface == "red0" and .child == "net4"'
check_eq "one acquire a second, however many packets" \
	"$(jq -s '[.[] | select(.event == "acquire")] | length <= 3' "$WORK/monitor-a")" true
check "gw-b: its inbound SA goes" gw b sa delete ab4
check "gw-a: its outbound SA is back" gw a sa add ab4
for event in deleted added; do
	check "$event: which SA" until_true 3 told a ".event == \"$event\" and .sa == \"ab4\" and .child == \"net4\"
		and .direction == \"out\" and .spi == \"0x00001001\" and .src == \"192.0.2.1\" and .dst == \"192.0.2.2\""
done
ping4 a 2 >/dev/null 2>&1
check "no_sa: SPI, sequence number, addresses, interface" until_true 3 told b '.event == "drop" and
	.reason == "no_sa" and .spi == "0x00001001" and .sequence > 0 and .src == "192.0.2.1" and
	.dst == "192.0.2.2" and .interface == "blk0" and .protocol == 50'
check "gw-b: its inbound SA is back" gw b sa add ab4
check "the tunnel works" until_true 5 ping4 a 1

# --- replay
MAC_B=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')
capture_start "$WORK/replay.pcap" 0 esp
ping4 a 3 >/dev/null
capture_stop
in_ns link /usr/bin/python3 "$LIB/tools/packets.py" replay "$WORK/replay.pcap" lb "$MAC_B" >/dev/null
check "replay: of which SA, which number" until_true 3 told b '.event == "drop" and .reason == "replay" and
	.by == "worker" and .sa == "ab4" and .child == "net4" and .spi == "0x00001001" and .sequence > 0
	and .src == "192.0.2.1" and .inner == false'

# --- authentic or not, and yet nothing to accept
forged() { in_ns link /usr/bin/python3 "$LIB/tools/packets.py" forged "$WORK/replay.pcap" lb "$MAC_B" "$KEY_AB4" "$1"; }
check "a packet with a wrong ICV is sent" forged icv
check "icv: of which SA, which number" until_true 3 told b '.event == "drop" and .reason == "icv" and
	.by == "worker" and .sa == "ab4" and .spi == "0x00001001" and .sequence > 3
	and .src == "192.0.2.1" and .dst == "192.0.2.2" and .inner == false'
check "a packet with wrong padding is sent" forged padding
check "padding: of which SA, which number" until_true 3 told b '.event == "drop" and .reason == "esp_pad" and
	.by == "worker" and .sa == "ab4" and .spi == "0x00001001" and .sequence > 4
	and .src == "192.0.2.1" and .dst == "192.0.2.2" and .inner == false'
check "a packet from elsewhere inside is sent" forged selector
check "selector: of which SA, which number, and what was inside" until_true 3 told b '.event == "drop" and
	.reason == "selector" and .by == "worker" and .sa == "ab4" and .spi == "0x00001001" and .sequence > 5
	and .src == "10.77.0.1" and .dst == "10.2.0.2" and .inner == true'

# --- limits and silence
# Its key is new: limits of time count from when it was first used.
check "ab4 gets a new key" new_key ab4
check "gw-a: an SA with limits" sa_lines a ab4 'rekey_time = 3s\nlife_time = 7s\ninactivity = 1s'
check "the tunnel works" until_true 5 ping4 a 1
check "expire_soft: time" until_true 8 told a '.event == "expire_soft" and .sa == "ab4" and .limit == "time"
	and .direction == "out" and .spi == "0x00001001"'
check "idle" until_true 3 told a '.event == "idle" and .sa == "ab4"'
check "expire_hard: time" until_true 10 told a '.event == "expire_hard" and .sa == "ab4" and .limit == "time"'
check_eq "it is listed as stopped" "$(field a ab4 .status)" stopped
ping4 a 2 >/dev/null 2>&1 && not_ok "a stopped SA carries traffic"
check_gt "what would go by it is dropped (limit)" "$(field a ab4 .drops.limit)" 0
check "gw-a: it goes" gw a sa delete ab4
check "and does not come back with that key" refused_as_spent
check "gw-a: limits of packets" sa_lines a ab6 'rekey_packets = 10\nlife_packets = 20'
in_ns red-a ping -n -c 30 -i 0.05 -W 1 fd02::2 >/dev/null 2>&1
check "expire_hard: packets" until_true 5 told a '.event == "expire_hard" and .sa == "ab6" and .limit == "packets"'
check_eq "each once" "$(jq -s '[.[] | select(.event == "expire_hard")] | length' "$WORK/monitor-a")" 2

# --- dummies; and no limits for a key that has reached its own
sed -i '/life_time = 7s/d' "$WORK/gw-a.conf"
sed -i 's/life_packets = 20/dummies = 20\ntfc_padding = 400/; s/rekey_packets = 10//' "$WORK/gw-a.conf"
gw a sa delete ab6
check "gw-a: an SA with dummies" gw a sa add ab6
until_true 5 ping6 a 1
opened=$(field b ab6 .packets)
passed=$(red_packets)
before=$(field b ab6 '.drops.dummy // 0')
capture_start "$WORK/dummies.pcap" 0 esp
sleep 3
capture_stop
# 400 bytes and a trailer to a multiple of 4, ESP, IV, ICV, IPv6, Ethernet.
tcpdump -r "$WORK/dummies.pcap" -n -tt 'ip6 and greater 490 and less 490' 2>/dev/null >"$WORK/dummies"
frames=$(wc -l <"$WORK/dummies")
check_gt "20 dummies a second, all of one length ($frames in 3 s or more)" "$frames" 40
# The capture goes on while its file is written, so it is the captured time that counts.
most=$(awk 'NR == 1 { first = $1 } { last = $1 } END { print int(1.1 * 20 * (last - first)) + 10 }' "$WORK/dummies")
check_gt "and not more ($frames, $most would be)" "$most" "$frames"
check_gt "the receiver counts them" $(($(field b ab6 '.drops.dummy // 0') - before)) 40
check_eq "none is accepted as a packet" "$(field b ab6 .packets)" "$opened"
check_eq "400 bytes in each, and 2 that fill the block: what a dummy holds has no end of its own" "$(field b ab6 '.dummy_bytes / .dummy_packets')" 402
check_eq "their counter is that of the drops" "$(field b ab6 '.dummy_packets == .drops.dummy')" true
# Padding behind packets is counted apart from them: 400 bytes of which an echo has 104.
padded=$(field b ab6 .tfc_bytes)
in_ns red-a ping -n -c 3 -i 0.1 -W 1 fd02::2 >/dev/null
check_eq "padding behind three packets" $(($(field b ab6 .tfc_bytes) - padded)) $((3 * 296))
gw b sa list >"$WORK/hidden"
check "people are told too" grep -Eq '^    hidden: [0-9]+ bytes of padding, [0-9]+ dummies of [0-9]+ bytes$' "$WORK/hidden"
gw b metrics >"$WORK/page"
metric() { /usr/bin/python3 "$LIB/tools/openmetrics.py" value "$WORK/page" "$1" sa=ab6 direction=in; }
check_eq "and Prometheus" "$(metric xipsec_sa_tfc_bytes_total)" "$(field b ab6 .tfc_bytes)"
check_gt "dummies as well" "$(metric xipsec_sa_dummies_total)" 40
check_eq "and what they carried" "$(metric xipsec_sa_dummy_bytes_total)" $(($(metric xipsec_sa_dummies_total) * 402))
check_gt "nothing of them reaches red" 10 $(($(red_packets) - passed))

# --- the switch
audit_off() { sed -i 's/^\([ \t]*\)workers = /\1audit = no\n&/' "$WORK/gw-a.conf" && gw a reload; }
no_drops_told() { [ "$(jq -s '[.[] | select(.event == "drop")] | length' "$WORK/monitor-a")" = "$told_before" ]; }
refused_in_words() { ! gw a monitor --count 1 2>&1 | tee "$WORK/refused" | grep -q '"event"' && grep -q 'audit = no' "$WORK/refused"; }
check "audit = no" audit_off
told_before=$(jq -s '[.[] | select(.event == "drop")] | length' "$WORK/monitor-a")
dropped=$(gw_reason a no_policy)
in_ns red-a ping -n -c 3 -i 0.2 -W 1 203.0.113.9 >/dev/null 2>&1
ip -n "$TOPO-gw-a" route add 203.0.113.0/24 via 192.0.2.2
in_ns red-a ping -n -c 5 -i 0.2 -W 1 203.0.113.9 >/dev/null 2>&1
check_gt "drops are counted" "$(gw_reason a no_policy)" "$((dropped + 3))"
check "and not told to who listened before" no_drops_told
check "who asks for them is refused, with words" refused_in_words

# --- the end of the sequence numbers: five are left, when the counter in the map is moved there
# patch_seq NUMBER: into what bpftool tells of gw-b's outbound SA.
patch_seq()
{
	local pin=/sys/fs/bpf/$TOPO-b/current/sa_state key value
	key=$(jq -rn --argjson i "$(field b ba6 .index)" '[0, 8, 16, 24 | $i / pow(2; .) | floor % 256] | join(" ")')
	# shellcheck disable=SC2086 # bytes
	value=$(bpftool -j map lookup pinned "$pin" key $key | jq -r --argjson n "$1" '.value |
		.[8:16] = [0, 8, 16, 24, 32, 40, 48, 56 | $n / pow(2; .) | floor % 256] | join(" ")')
	# shellcheck disable=SC2086
	bpftool map update pinned "$pin" key $key value $value
}
# Until xipsecd has seen the number it lets nobody go beyond the old limit.
reserved() { [ "$(field b ba6 .sequence_limit)" = 4294967295 ]; }
check "ba6 carries traffic" until_true 5 ping6 b 1
check "gw-b: five numbers are left" patch_seq 4294967290
check "all that there are, are reserved" until_true 5 reserved
in_ns red-b ping -n -c 10 -i 0.1 -W 1 fd01::2 >/dev/null 2>&1
check "expire_hard: sequence" until_true 5 told b '.event == "expire_hard" and .sa == "ba6" and .limit == "sequence"'
check_eq "it is listed as stopped" "$(field b ba6 .status)" stopped
check_eq "its last number is the last of 32 bits" "$(field b ba6 .sequence)" 4294967295
check_eq "which the peer has opened" "$(field a ba6 .sequence)" 4294967295
check_gt "what would go by it is dropped (seq_end)" "$(field b ba6 '.drops.seq_end // 0')" 3
