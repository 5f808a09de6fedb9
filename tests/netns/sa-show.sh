#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# What `xipsec sa list` shows is what the config said of an SA: protocol, UDP, options, limits, tunnel;
# as text and as JSON. Nothing has to run: the SADB has it.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

GW_WINDOW=1024
gw_config a
config=$WORK/gw-a.conf
cat >"$WORK/more.conf" <<END
	full {
		child = net4
		direction = out
		src = 192.0.2.1
		dst = 192.0.2.9
		spi = 0x2001
		algorithm = aes256ctr-sha512
		key = $(random_hex 100)
		fresh_key = yes
		encap = yes
		src_port = 4501
		df = copy
		dscp = 46
		ecn = no
		ttl = 17
		tfc_padding = mtu
		dummies = 5
		rekey_time = 1h
		life_time = 2h
		rekey_bytes = 1g
		life_bytes = 18446744073709551615
		life_packets = 4294967296
		inactivity = 5m
	}
	signed {
		child = net4
		direction = in
		src = 192.0.2.9
		dst = 192.0.2.1
		spi = 0x2002
		protocol = ah
		algorithm = sha256
		key = $(random_hex 32)
		fresh_key = yes
	}
	nat {
		child = net4
		direction = in
		src = 192.0.2.8
		dst = 192.0.2.1
		spi = 0x2004
		algorithm = null-sha256
		key = $(random_hex 32)
		fresh_key = yes
		encap = yes
		follow = no
	}
	routed {
		if_id = 7
		direction = out
		src = 2001:db8::1
		dst = 2001:db8::9
		spi = 0x2003
		algorithm = null-sha384
		key = $(random_hex 48)
		fresh_key = yes
		flow_label = copy
		tfc_padding = 1400
	}
END
chmod 0600 "$WORK/more.conf"
sed -i -e "/^sas {/a include $WORK/more.conf" \
	-e '0,/interfaces {/s//tunnels { ipsec7 { if_id = 7 } }\n&/' "$config"

all_there() { [ "$(gw_sa_count a)" = 8 ]; }
# shown NAME FILTER: the SA as JSON has what the filter says.
shown() { jq -e ".[] | select(.name == \"$1\") | $2" "$WORK/sa.json" >"$WORK/jq.txt"; }

check "the config is good" gw a config check
check "attach" gw_attach a
gw_spawn a
if ! check "xipsecd takes all 8 SAs" until_true 10 all_there; then exit 1; fi
gw a sa list --json >"$WORK/sa.json"
gw a sa list >"$WORK/sa.txt"

check "UDP with its ports" shown full '.protocol == "esp" and .encap and .src_port == 4501 and .dst_port == 4500'
check "who is followed" shown nat '.encap and .follow == false'
check "and that AH follows nobody" shown signed '.follow == false'
check "nor does what is sealed" shown full 'has("follow") | not'
check "what is sealed how" shown full \
	'.df == "copy" and .dscp == 46 and .ecn == false and .flow_label == "zero" and .ttl == 17 and .tfc_padding == "mtu" and .dummies == 5'
check "limits, 64 bits of them" shown full \
	'.limits == {"rekey_time": 3600, "life_time": 7200, "rekey_bytes": 1073741824, "life_bytes": 18446744073709551615, "rekey_packets": 0, "life_packets": 4294967296, "inactivity": 300}'
check "the biggest number is written in full" grep -q '"life_bytes": *18446744073709551615' "$WORK/sa.json"
check "AH with its algorithm" shown signed '.protocol == "ah" and .algorithm == "sha256" and .src_port == null'
check "inbound: nothing of sealing" shown signed '(has("df") or has("ttl") or has("dummies")) | not'
check "a tunnel is its child" shown routed '.if_id == 7 and .child == "ipsec7"'
check "flow label, padding to a size" shown routed '.flow_label == "copy" and .tfc_padding == 1400 and .dscp == "copy"'
check "defaults as such" shown ab4 \
	'.protocol == "esp" and (.encap | not) and .df == "set" and .ecn and .ttl == 64 and .tfc_padding == 0 and .if_id == 0 and .limits.life_time == 0'
check "text: UDP" grep -q '^    in UDP, port 4501 -> 4500$' "$WORK/sa.txt"
check "text: who is followed" grep -q \
	'^    in UDP, port 4500 -> 4500, a peer that moves is not followed$' "$WORK/sa.txt"
check "text: sealing" grep -q \
	'^    sealed with df copy, dscp 46, no ecn, ttl 17, padding to the mtu, 5 dummies a second$' "$WORK/sa.txt"
check "text: limits" grep -q '^    limits: rekey at 3600 s, end at 7200 s, rekey at 1073741824 bytes, end at 18446744073709551615 bytes, end at 4294967296 packets, inactivity 300 s$' "$WORK/sa.txt"
check "text: AH" grep -q '192.0.2.9 -> 192.0.2.1, ah, SPI 0x00002002, tunnel, sha256, ' "$WORK/sa.txt"
check "what hides was counted nowhere yet" shown full '.tfc_bytes == 0 and .dummy_packets == 0 and .dummy_bytes == 0'
check_eq "text: nor is it told" "$(grep -c hidden "$WORK/sa.txt")" 0
check "text: tunnel" grep -q '^routed: outbound, child ipsec7, if_id 7, ' "$WORK/sa.txt"
check_eq "text: defaults are not told" "$(grep -c 'sealed with' "$WORK/sa.txt")" 2
