#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# The engine xfrm against the other one, and against itself: ping, TCP and UDP under load, counters and
# reasons, policies of the kernel that vanish, an xipsecd that dies. Needs a kernel with ESP (tests/vm).
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"

in_ns gw-a ip xfrm state add src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x9 reqid 9 \
	auth-trunc 'hmac(sha256)' 0x11 128 enc 'ecb(cipher_null)' '' 2>/dev/null || {
	skip "engine-xfrm: Linux $(uname -r) has no ESP: make test-vm ONLY=engine-xfrm"
	exit 0
}
in_ns gw-a ip xfrm state flush

GW_ALG=aes128-sha256 GW_KEY_BYTES=48 GW_ESN=yes

sa_field() { gw "$1" sa list --json | jq "[.. | objects | select(.name? == \"$2\")] | first | .$3"; }

# Counters of gw-a's SAs are the kernel's, a second old at most.
counts()
{
	[ "$(sa_field "$1" ab4 packets)" -ge 3 ] && [ "$(sa_field "$1" ba4 packets)" -ge 3 ] &&
		[ "$(sa_field "$1" ab4 sequence)" -ge 3 ]
}

sha_over_tcp()
{
	local receiver
	head -c 2000000 /dev/urandom >"$WORK/random"
	rm -f "$WORK/received"
	spawn "red-b" "$WORK/received" timeout 60 /usr/bin/python3 -c '
import hashlib, socket
s = socket.create_server(("10.2.0.2", 7100))
print("listening", flush=True)
c = s.accept()[0]
h = hashlib.sha256()
while d := c.recv(1 << 20):
    h.update(d)
print(h.hexdigest())'
	receiver=$PID
	until_true 10 grep -q listening "$WORK/received"
	in_ns "red-a" timeout 60 /usr/bin/python3 -c '
import socket, sys
with socket.create_connection(("10.2.0.2", 7100), timeout=50) as c:
    c.sendall(open(sys.argv[1], "rb").read())' "$WORK/random"
	reap "$receiver"
	[ "$(tail -n 1 "$WORK/received")" = "$(sha256sum "$WORK/random" | cut -d" " -f1)" ]
}

# The load stands still while nobody seals: plaintext in its place is what the capture looks for.
flush_policies()
{
	in_ns gw-a ip xfrm policy flush && sleep 1 && ! load_moves 1
}

restart_a() { gw_stop a && sleep 0.5 && gw_start a; }

carries()
{
	check "$1: ping over IPv4" ping4 a 3
	check "$1: ping over IPv6" ping6 b 3
	check "$1: TCP, hashes agree" sha_over_tcp
	check "$1: the kernel's counters are told" until_true 5 counts a
	check_gt "$1: red marks for the kernel" "$(gw_reason a xfrm_out)" 3
	check_gt "$1: black lets its ESP pass" "$(gw_reason a xfrm_in)" 3
	check_gt "$1: what it opened was compared with the policies" "$(gw_reason a xfrm_opened)" 3
	check_gt "$1: the guard knows its ESP" "$(gw_reason a esp_own)" 3
	check_eq "$1: no worker of gw-a had a packet" "$(gw_reason a sealed)" 0
}

GW_ENGINE[a]=xfrm GW_ENGINE[b]=afxdp
LOAD_PPS=200
leak_begin || exit 1
load_stop
carries "xfrm to afxdp"
load_start 200 200
check "load flows" load_moves
leak_act "restart of gw-a's xipsecd" restart_a
check "without the kernel's policies nothing is carried" flush_policies
check_gt "the guard drops it" "$(gw_reason a plaintext_out)" 10
leak_act "restart of gw-a's xipsecd" restart_a
leak_act "kill -9 of gw-a's xipsecd, start" eval 'gw_kill a && gw_start a'
check "an orderly end" gw_stop a
check_eq "leaves nothing in the kernel" "$(in_ns gw-a ip xfrm state; in_ns gw-a ip xfrm policy)" ""
gw_stop b
GW_ENGINE[b]=xfrm
new_keys
for x in a b; do
	gw_config $x
	check "xfrm to xfrm: gw-$x starts" gw_start $x
done
check "load flows again" load_moves 10
carries "xfrm to xfrm"
leak_end
