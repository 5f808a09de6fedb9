#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An independent judge: tshark, given the keys, decrypts what we send and verifies every ICV, for IPv4
# and IPv6, both key lengths; and it does refuse when a bit is turned.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
# shellcheck disable=SC2034 # settings that the sourced files read
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/tshark.sh"

# One bit of the last ICV byte of every packet.
turn_a_bit()
{
	/usr/bin/python3 -c '
import sys
from scapy.all import rdpcap, wrpcap, Ether
out = []
for frame in rdpcap(sys.argv[1]):
    raw = bytearray(bytes(frame))
    raw[-1] ^= 1
    out.append(Ether(bytes(raw)))
wrpcap(sys.argv[2], out)' "$1" "$2"
}

round()
{
	local what=$1
	capture_start "$WORK/esp.pcap" 0 esp
	ping4 a 5 >/dev/null
	ping6 a 5 >/dev/null
	# Odd lengths show whether the padding is right.
	for size in 1 2 3 5 700 1300; do
		in_ns red-a ping -n -c 1 -W 1 -s $size 10.2.0.2 >/dev/null
		in_ns red-a ping -n -c 1 -W 1 -s $size fd02::2 >/dev/null
	done
	check "$what: capture lost nothing" capture_stop
	direction "$what, IPv4 a to b" "$WORK/esp.pcap" "$SPI_AB4" ip.dst 10.2.0.2
	direction "$what, IPv4 b to a" "$WORK/esp.pcap" "$SPI_BA4" ip.dst 10.1.0.2
	direction "$what, IPv6 a to b" "$WORK/esp.pcap" "$SPI_AB6" ipv6.dst fd02::2
	direction "$what, IPv6 b to a" "$WORK/esp.pcap" "$SPI_BA6" ipv6.dst fd01::2
}

if ! command -v tshark >/dev/null; then
	skip "tshark is not installed: make deps"
	exit 0
fi
if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
round aes128gcm16
turn_a_bit "$WORK/esp.pcap" "$WORK/bad.pcap"
check_eq "control: tshark finds fault with a turned bit" \
	"$(judge "$WORK/bad.pcap" "$SPI_AB4" esp.icv_good | grep -c '^1$')" 0

for x in a b; do
	gw_stop $x
	gw $x detach --all >/dev/null 2>&1
done
GW_ALG=aes256gcm16
new_keys
check "aes256gcm16: gateways come up" gateways_up && check "aes256gcm16: tunnel works" tunnel_works && round aes256gcm16
