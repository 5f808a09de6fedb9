#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The running kernel's XFRM as the peer of the worker's own code: see kernel.py. `ip xfrm` tells it
# its SAs; packets go in and out by TUNs. Loads no program of ours. Root.
#
#	kernel.py opens:  espbox ─ our ESP ─> TUN black ─ kernel opens ─> TUN red, or a raw socket
#	kernel.py seals:  raw socket ─ kernel seals ─> TUN black ─ its ESP ─> espbox
set -u
cd "$(dirname "$0")" || exit 1
BUILD=$(realpath "${BUILD:-../../build}")
export BUILD

skip()
{
	echo "skip - kernel: $*"
	exit 0
}

[ "$(id -u)" = 0 ] || skip "needs root (XFRM)"
why=$(/usr/bin/python3 -B -c 'import scapy, cryptography' 2>&1) || skip "${why##*$'\n'}: make deps"
modprobe -q -a aesni_intel tun esp4 esp6 ah4 ah6 2>/dev/null # else AES is done in C, or TUNs not at all
unshare -n ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 \
	auth-trunc 'hmac(sha256)' 0x"$(printf '11%.0s' {1..32})" 128 enc 'ecb(cipher_null)' '' 2>/dev/null ||
	skip "Linux $(uname -r) has no ESP: make test-vm KERNEL=6.12"

status=0 pids=()
for what in opens seals; do
	unshare -n /usr/bin/python3 -B kernel.py "$what" "$@" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || status=1
done
exit $status
