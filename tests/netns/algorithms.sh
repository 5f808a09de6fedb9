#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# A tunnel with an algorithm of each kind, libipsec-mb in one gateway and OpenSSL in the other:
# workers run them inside their sandbox, and xipsec sa says which library does.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

# Bytes of cipher key, salt and integrity key.
ALGS='chacha20poly1305:36 aes256ccm8iiv:35 aes128-sha256:48 aes256-sha512:96 aes128ctr-sha384:68
	aes256gmac:36 null-sha256:32 aes128gcm16iiv:20'
declare -A BACKEND=([a]=ipsec-mb [b]=openssl)
grep -qw aes /proc/cpuinfo || BACKEND[a]=openssl

up()
{
	local x

	for x in a b; do
		GW_BACKEND=${BACKEND[$x]}
		gw_config $x
		gw_attach $x >"$WORK/attach-$x.log" 2>&1 && gw_start $x || return
	done
}

down()
{
	local x

	for x in a b; do
		gw_stop $x
		gw $x detach --all >/dev/null 2>&1
	done
}

# A worker says it within a tick of getting its SAs.
all_run_by()
{
	gw "$1" sa list --json | jq -e --arg b "${BACKEND[$1]}" --arg a "$GW_ALG" \
		'length == 4 and all(.backend == $b and .status == "live" and .algorithm == $a)'
}

for entry in $ALGS; do
	GW_ALG=${entry%:*}
	for name in $KEY_NAMES; do
		printf -v "$name" %s "$(random_hex "${entry#*:}")"
	done
	if check "$GW_ALG: gateways come up" up; then
		check "$GW_ALG: ping both ways, IPv4 and IPv6" tunnel_works
		check "$GW_ALG: 1328 bytes" in_ns red-a ping -n -c 2 -i 0.2 -W 1 -s 1300 10.2.0.2
		check "$GW_ALG: run by ${BACKEND[a]} in a" until_true 3 all_run_by a
		check "$GW_ALG: run by ${BACKEND[b]} in b" until_true 3 all_run_by b
	fi
	down
done
