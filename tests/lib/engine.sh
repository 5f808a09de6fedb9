# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
# The engine xfrm: ends the scenario, counted as skipped, where the kernel has no ESP; what has to be
# true of a gateway that uses it. Sourced after scenario.sh.

in_ns gw-a ip xfrm state add src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x9 reqid 9 \
	auth-trunc 'hmac(sha256)' 0x11 128 enc 'ecb(cipher_null)' '' 2>/dev/null || {
	skip "$(basename "$0" .sh): Linux $(uname -r) has no ESP: make test-vm ONLY=engine-xfrm"
	exit 0
}
in_ns gw-a ip xfrm state flush
# Emulated processors have AES, and nobody loads what uses it.
[ -z "${XIPSEC_VM:-}" ] || modprobe -q aesni_intel

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
	local receiver limit=$((60 * ${XIPSEC_SLOW:-1}))
	head -c 2000000 /dev/urandom >"$WORK/random"
	rm -f "$WORK/received"
	spawn "red-b" "$WORK/received" timeout $limit /usr/bin/python3 -c '
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
	in_ns "red-a" timeout $limit /usr/bin/python3 -c '
import socket, sys
with socket.create_connection(("10.2.0.2", 7100), timeout=int(sys.argv[2])) as c:
    c.sendall(open(sys.argv[1], "rb").read())' "$WORK/random" $((limit - 10))
	reap "$receiver"
	[ "$(tail -n 1 "$WORK/received")" = "$(sha256sum "$WORK/random" | cut -d" " -f1)" ]
}

# worker_reason X NAME: packets that workers counted under that reason.
worker_reason() { gw "$1" status --json | jq --arg n "$2" '.reasons[] | select(.name == $n) | .worker_packets'; }

# Whole it does not fit into ESP, and it may be cut.
big()
{
	in_ns "red-$1" ping -n -c 3 -i 0.2 -W 2 -s 1472 -M dont "10.$([ "$1" = a ] && echo 2 || echo 1).0.2"
}

carries()
{
	local copies
	copies=$(worker_reason a no_sa) # a start over a dead xipsecd's SAs gives it a few
	check "$1: ping over IPv4" ping4 a 3
	check "$1: ping over IPv6" ping6 b 3
	check "$1: TCP, hashes agree" sha_over_tcp
	check "$1: more than the MTU" big a
	check "$1: more than the MTU, from the other side" big b
	check_gt "$1: it came as fragments of ESP" "$(gw_reason b reassemble)" 3
	check "$1: the kernel's counters are told" until_true 5 counts a
	check_eq "$1: the listing says who seals" "$(sa_field a ab4 engine) $(sa_field a ab4 backend)" '"xfrm" "kernel"'
	check_gt "$1: red marks for the kernel" "$(gw_reason a xfrm_out)" 3
	check_gt "$1: black lets its ESP pass" "$(gw_reason a xfrm_in)" 3
	check_gt "$1: what it opened was compared with the policies" "$(gw_reason a xfrm_opened)" 3
	check_gt "$1: the guard knows its ESP" "$(gw_reason a esp_own)" 3
	check_eq "$1: no worker of gw-a sealed a packet" "$(gw_reason a sealed)" 0
	check_eq "$1: none got a copy of what the kernel opens" "$(worker_reason a no_sa)" "$copies"
}

# A peer on kernel XFRM, in gw-b.
# Where a packet is dropped on its way out, ping tries until it is not.
host_answers()
{
	local i
	for i in 1 2 3 4 5 6 7 8; do
		in_ns gw-a timeout 3 ping -n -c 1 -W 1 192.0.2.2 >/dev/null && return
	done
	return 1
}

# What its kernel has of us: a word of `ip xfrm state`.
theirs() { in_ns gw-b ip xfrm state | grep -q "$1"; }
