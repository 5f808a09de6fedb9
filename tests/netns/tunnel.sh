#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# What goes in comes out: ping, TCP and UDP with the hosts' default offloads (partial checksums),
# compared by hash; TTL, DSCP and ECN; with both algorithms and both crypto backends.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

SLOW=${XIPSEC_SLOW:-1} # this machine is as many times slower: less to carry, more time for it

# transfer FROM TO ADDR: 20 MB of random bytes over TCP; the hashes must agree.
transfer()
{
	local from=$1 to=$2 addr=$3 port=7100

	[ -s "$WORK/random" ] || head -c $((20000000 / SLOW)) /dev/urandom >"$WORK/random"
	rm -f "$WORK/received" # or the last transfer's "listening" is seen
	spawn "red-$to" "$WORK/received" /usr/bin/python3 -c '
import hashlib, socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("listening", file=sys.stderr, flush=True)
c = s.accept()[0]
h = hashlib.sha256()
while d := c.recv(1 << 20):
    h.update(d)
print(h.hexdigest())' "$addr" $port
	local receiver=$PID
	until_true 5 grep -q listening "$WORK/received"
	in_ns "red-$from" timeout $((30 * SLOW)) /usr/bin/python3 -c '
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=int(sys.argv[4])) as c:
    c.sendall(open(sys.argv[3], "rb").read())' "$addr" $port "$WORK/random" $((10 * SLOW)) || {
		end_pid "$receiver"
		return 1
	}
	reap "$receiver"
	[ "$(tail -n 1 "$WORK/received")" = "$(sha256sum "$WORK/random" | cut -d' ' -f1)" ]
}

# The load's receiver compares every byte and knows every number.
udp_both_ways()
{
	rm -f "$WORK/load-ab" "$WORK/load-ba" # of the load before
	load_start 2000 "$1"
	until_true 3 load_beyond $((2000 / SLOW)) $((2000 / SLOW))
	load_stop
	[ "$(load_field ab corrupt)$(load_field ba corrupt)" = 00 ] &&
		[ "$(load_field ab duplicates)$(load_field ba duplicates)" = 00 ] &&
		[ "$(load_field ab received)" -gt $((2000 / SLOW)) ] && [ "$(load_field ba received)" -gt $((2000 / SLOW)) ]
}

carries()
{
	check "$1: ping over IPv4" ping4 a 3
	check "$1: ping over IPv6" ping6 b 3
	check "$1: TCP a to b, hashes agree" transfer a b 10.2.0.2
	check "$1: TCP b to a, hashes agree" transfer b a 10.1.0.2
	check "$1: TCP over IPv6, hashes agree" transfer a b fd02::2
	check "$1: UDP of 40 bytes both ways, no byte changed" udp_both_ways 40
	check "$1: UDP of 1300 bytes both ways, no byte changed" udp_both_ways 1300
}

again()
{
	local x
	for x in a b; do
		gw_stop $x
		gw $x detach --all >/dev/null 2>&1
	done
	new_keys
	gateways_up && tunnel_works
}

# One datagram with TTL 33 and TOS 0x2b (DSCP 10, ECN CE): what stands outside, what comes out.
headers()
{
	capture_start "$WORK/outer.pcap" 0 esp
	local outer=$CAPTURE_PID
	spawn red-b "$WORK/inner.txt" tcpdump -i rb0 -n -v -l --immediate-mode -c 1 udp port 1234
	local inner=$PID
	until_true 5 grep -q 'listening on' "$WORK/inner.txt"
	in_ns red-a /usr/bin/python3 "$LIB/tools/packets.py" dscp ra0 10.1.0.1 0x2b 33 10.2.0.2
	sleep 0.5
	end_pid "$inner"
	CAPTURE_PID=$outer
	capture_stop
}

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
carries "${GW_ALG:-aes128gcm16}"

headers
outer=$(tcpdump -nvr "$WORK/outer.pcap" 2>/dev/null | head -n 1)
of_workers check "outer header: DSCP and ECN are copied" grep -q 'tos 0x2b' <<<"$outer"
check "outer header: DF is set" grep -q 'DF' <<<"$outer"
check "inner header: TTL went down by one in each gateway" grep -q 'ttl 31' "$WORK/inner.txt"
check "inner header: TOS is untouched" grep -q 'tos 0x2b' "$WORK/inner.txt"

# The path of red-b as red-a sees it: a packet that ends in gw-a is answered by gw-a.
in_ns red-a ping -n -c 1 -W 1 -t 1 10.2.0.2 >"$WORK/ttl.txt" 2>&1
check "TTL 1: gateway answers time exceeded" grep -qi 'time to live exceeded' "$WORK/ttl.txt"

if [ "${XIPSEC_ENGINE:-}" = xfrm ]; then
	skip "backends: of engine afxdp (docs/engines.md)"
	exit
fi
GW_ALG=aes256gcm16 GW_BACKEND=openssl
check "aes256gcm16 with OpenSSL: comes up" again && carries "aes256gcm16 with OpenSSL"
GW_ALG=aes128gcm16 GW_BACKEND=ipsec-mb
if grep -qw aes /proc/cpuinfo; then
	check "aes128gcm16 with ipsec-mb: comes up" again && check "ipsec-mb: TCP" transfer a b 10.2.0.2
else
	skip "aes128gcm16 with ipsec-mb: this CPU has no AES instructions"
fi
