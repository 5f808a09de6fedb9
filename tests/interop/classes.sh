#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Real gateways, one tunnel of each kind that the data path treats in its own way, all at once: ping
# and TCP both ways, libipsec-mb in one gateway and OpenSSL in the other. Then every frame that was
# between them is opened by python3-cryptography, and by Wireshark where it knows the algorithm.
#
#	red-a 10.1.K.2 fd01::K:2 --- gw-a ===[capture]=== gw-b --- red-b 10.2.K.2 fd02::K:2
. "$(dirname "$0")/../lib/scenario.sh"
HERE=$(cd "$(dirname "$0")" && pwd)
TALK_BYTES=100000

# name, algorithm, bytes of its key, protocol, outer family, inner family, UDP, ESN; K is the line
CLASSES=(
	'4in6 aes128gcm16 20 esp 6 4 no no'
	'6in4 aes256gcm16 36 esp 4 6 no yes'
	'4in4-udp aes128gcm16 20 esp 4 4 yes no'
	'6in6-udp aes256-sha256 64 esp 6 6 yes no'
	'4in6-udp chacha20poly1305 36 esp 6 4 yes yes'
	'cbc aes128-sha256 48 esp 4 4 no no'
	'cbc-esn aes256-sha384 80 esp 6 6 no yes'
	'ctr aes256ctr-sha512 100 esp 4 4 no no'
	'chacha chacha20poly1305 36 esp 6 6 no no'
	'ccm aes128ccm16 19 esp 4 4 no no'
	'iiv aes128gcm16iiv 20 esp 6 6 no no'
	'gmac aes256gmac 36 esp 4 4 no yes'
	'null null-sha256 32 esp 6 6 no no'
	'ah sha256 32 ah 4 4 no yes'
	'ah-6in6 aes128gmac 20 ah 6 6 no no'
)
declare -A BACKEND=([a]=ipsec-mb [b]=openssl) KEY
grep -qw aes /proc/cpuinfo || BACKEND[a]=openssl
CIPHER_gcm='AES-GCM with 16 octet ICV [RFC4106]' CIPHER_cbc='AES-CBC [RFC3602]' CIPHER_ctr='AES-CTR [RFC3686]'

black() { [ "$2" = 4 ] && echo "192.0.2.$1" || echo "2001:db8::$1"; }
red() { [ "$3" = 4 ] && echo "10.$1.$2.2" || printf 'fd0%d::%d:2' "$1" "$2"; }
red_net() { [ "$3" = 4 ] && echo "10.$1.$2.0/24" || printf 'fd0%d::%d:0/112' "$1" "$2"; }
spi() { printf '0x%x' $((0x2000 + $1 * 16 + $2)); }

# each COMMAND...: once for each class, its fields as variables.
each()
{
	local k name alg bytes proto outer inner udp esn
	for k in "${!CLASSES[@]}"; do
		read -r name alg bytes proto outer inner udp esn <<<"${CLASSES[k]}"
		"$@"
	done
}

# One SA, from gateway $1 to $2, as gateway $3 sees it.
class_sa()
{
	local from=$1 to=$2 me=$3

	cat <<-END
		$name-$from$to {
			child = $name
			direction = $([ "$me" = "$from" ] && echo out || echo in)
			src = $(black "$from" "$outer")
			dst = $(black "$to" "$outer")
			spi = $(spi "$k" "$from")
			protocol = $proto
			algorithm = $alg
			key = 0x${KEY[$k$from]}
			encap = $udp
			esn = $esn
			fresh_key = yes
		}
	END
}

class_sas() { class_sa 1 2 "$1" && class_sa 2 1 "$1"; }

class_policy()
{
	cat <<-END
		$name {
			action = protect
			direction = both
			local = $(red_net "$1" "$k" "$inner")
			remote = $(red_net $((3 - $1)) "$k" "$inner")
		}
	END
}

# gw_config of lib/gateway.sh with these SAs and policies.
gw_config()
{
	local x=$1 n=1
	[ "$x" = a ] || n=2
	(
		umask 077
		cat >"$WORK/gw-$x.conf" <<-END
			datapath {
				workers = 1
				backend = ${BACKEND[$x]}
				pin_dir = /sys/fs/bpf/$TOPO-$x
				run_dir = $WORK/run-$x
				state_dir = $WORK/state-$x
				interfaces {
					blk0 { role = unprotected }
					red0 { role = protected }
				}
			}
			policies {
				$(each class_policy $n)
			}
			sas {
				$(each class_sas $n)
			}
		END
	)
}

gw_ready()
{
	[ -n "$(gw_workers "$1")" ] && gw "$1" sa list --json |
		jq -e --argjson n $((2 * ${#CLASSES[@]})) 'length == $n and all(.status == "live")'
}

class_keys() { KEY[${k}1]=$(random_hex "$bytes") KEY[${k}2]=$(random_hex "$bytes"); }

class_addresses()
{
	local x n=1
	for x in a b; do
		[ $x = a ] || n=2
		if [ "$inner" = 4 ]; then
			ip -n "$TOPO-gw-$x" addr add "10.$n.$k.1/24" dev red0 2>/dev/null
			ip -n "$TOPO-red-$x" addr add "10.$n.$k.2/32" dev r${x}0 2>/dev/null
		else
			ip -n "$TOPO-red-$x" addr add "$(red $n "$k" 6)/128" dev r${x}0 nodad
		fi
	done
	return 0
}

class_ping()
{
	local own peer
	own=$(red 1 "$k" "$inner") peer=$(red 2 "$k" "$inner")
	check "$name, $alg: ping from a" until_true 5 in_ns red-a ping -n -c 1 -W 1 -I "$own" "$peer"
	check "$name, $alg: ping from b" until_true 5 in_ns red-b ping -n -c 1 -W 1 -s 1 -I "$peer" "$own"
}

class_red() { red "$1" "$k" "$inner"; echo; }
class_pair() { echo "$(red "$1" "$k" "$inner"),$(red $((3 - $1)) "$k" "$inner")"; }

# Two passes: who connects decides whose MSS is clamped.
talk_start()
{
	# shellcheck disable=SC2046
	spawn "red-$1" "$WORK/answer-$1.log" /usr/bin/python3 "$HERE/talk.py" answer $(each class_red "$2")
	until_true 10 answers "$1"
}

answers() { [ "$(wc -l <"$WORK/answer-$1.log")" -eq ${#CLASSES[@]} ]; }

talk()
{
	# shellcheck disable=SC2046
	in_ns "red-$1" timeout 60 /usr/bin/python3 "$HERE/talk.py" ask $TALK_BYTES $(each class_pair "$2") \
		>"$WORK/talk-$1" 2>&1
}

class_talked()
{
	check_eq "$name, $alg: $TALK_BYTES bytes by TCP from a and back" \
		"$(sed -n "s/^$(red 2 "$k" "$inner") //p" "$WORK/talk-a")" ok
	check_eq "$name, $alg: $TALK_BYTES bytes by TCP from b and back" \
		"$(sed -n "s/^$(red 1 "$k" "$inner") //p" "$WORK/talk-b")" ok
}

# What capture.py wants to know; to judges AH's sha256 is null-sha256.
class_rows()
{
	local from full=$alg
	[ "${alg#sha}" = "$alg" ] || full=null-$alg
	for from in 1 2; do
		echo "$(spi "$k" $from) $full $([ "$proto" = ah ] && echo 51 || echo 50) $outer $udp $esn $inner ${KEY[$k$from]}"
	done
}

class_judged()
{
	local from spi packets opened
	for from in 1 2; do
		read -r _ spi packets opened < <(grep "^sa $(spi "$k" $from) " "$WORK/judged")
		check_gt "$name, $alg: packets of gateway $from were seen" "${packets:-0}" 20
		check_eq "$name, $alg: python3-cryptography opens all of gateway $from" "${opened:-0}" "${packets:--}"
	done
}

# Wireshark's table. What it does not know (esn, ccm, chacha, gmac, iiv) has no row.
class_table()
{
	local from key cipher hash=NULL hash_key='' cipher_key
	[ "$esn" = no ] || return 0
	case $alg in
	aes*gcm16) cipher=$CIPHER_gcm ;;
	aes*ctr-sha*) cipher=$CIPHER_ctr ;;
	aes*-sha*) cipher=$CIPHER_cbc ;;
	null-sha*) cipher=NULL ;;
	*) return 0 ;;
	esac
	case $alg in
	*sha256) hash='HMAC-SHA-256-128 [RFC4868]' hash_key=64 ;;
	*sha384) hash='HMAC-SHA-384-192 [RFC4868]' hash_key=96 ;;
	*sha512) hash='HMAC-SHA-512-256 [RFC4868]' hash_key=128 ;;
	esac
	for from in 1 2; do
		key=${KEY[$k$from]}
		cipher_key=${key:0:$((${#key} - ${hash_key:-0}))}
		printf '"IPv%d","%s","%s","%s","%s","%s","%s","%s"\n' "$outer" "$(black $from "$outer")" \
			"$(black $((3 - from)) "$outer")" "$(spi "$k" $from)" "$cipher" "${cipher_key:+0x$cipher_key}" \
			"$hash" "${hash_key:+0x${key: -hash_key}}"
	done
}

class_wireshark()
{
	local from good all
	[ -n "$(class_table)" ] || return 0
	for from in 1 2; do
		good=$(grep -ci "^$(printf '0x%08x' "$(spi "$k" $from)")|1$" "$WORK/wireshark")
		all=$(grep -ci "^$(printf '0x%08x' "$(spi "$k" $from)")|" "$WORK/wireshark")
		check_gt "$name, $alg: wireshark saw gateway $from" "$all" 20
		check_eq "$name, $alg: wireshark verifies all of gateway $from" "$good" "$all"
	done
}

wireshark()
{
	mkdir -p "$WORK/ws"
	each class_table >"$WORK/ws/esp_sa"
	WIRESHARK_CONFIG_DIR=$WORK/ws tshark -n -r "$1" -Y esp -T fields -E 'separator=|' -e esp.spi \
		-e esp.icv_good -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE \
		2>/dev/null >"$WORK/wireshark"
}

judge() { /usr/bin/python3 -B "$HERE/capture.py" "$1" "$WORK/sas" >"$WORK/judged"; }

each class_keys
each class_rows >"$WORK/sas"
check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
check "control: the judge reads that capture" judge "$WORK/control.pcap"
check_gt "control: to the judge it is in the clear" "$(sed -n 's/^clear \([0-9]*\) .*/\1/p' "$WORK/judged")" 4

each class_addresses
check "gateways come up" gateways_up || exit 1
capture_start "$WORK/classes.pcap" 0 || exit 1
each class_ping
check "everybody answers" talk_start a 1 && talk_start b 2
check "a talks to b" talk a 1
check "b talks to a" talk b 2
each class_talked
check "capture lost nothing" capture_stop
check "the judge reads every frame" judge "$WORK/classes.pcap"
each class_judged
check_eq "nothing in the clear" "$(sed -n 's/^clear \([0-9]*\) .*/\1/p' "$WORK/judged")" 0
grep '^#' "$WORK/judged" | head -n 5
if command -v tshark >/dev/null; then
	wireshark "$WORK/classes.pcap"
	each class_wireshark
else
	skip "wireshark: tshark is not installed: make deps"
fi

# The judge must be able to refuse: with the keys of the two directions exchanged it opens nothing.
awk '{key[NR] = $NF; $NF = ""; row[NR] = $0} END {for (i = 1; i <= NR; i++) print row[i] key[i % 2 ? i + 1 : i - 1]}' \
	"$WORK/sas" >"$WORK/sas.wrong" && mv "$WORK/sas.wrong" "$WORK/sas"
check "control: the judge reads with wrong keys" judge "$WORK/classes.pcap"
check_eq "control: with wrong keys it opens nothing" "$(awk '/^sa/ {n += $4} END {print n}' "$WORK/judged")" 0
