#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2153,SC2154 # settings that the sourced files read
# AH and ESP in transport mode behind IPv6 extension headers and IPv4 options, cut on the way: the
# slow path has those headers again, for AH covers them and both carry them along. A peer that is
# written in Python seals (tests/lib/tools/front.py lists the cases).
#
#	link (as gw-a, 192.0.2.1 2001:db8::1) === gw-b blk0 192.0.2.2 2001:db8::2
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/hosts.sh"

# heard NAME [HEADERS...]: the datagram of that case came, unchanged, with those headers.
heard() { grep -qx "$1 good${2:+ $2}" "$WORK/heard"; }
not_heard() { ! grep -q "^$1 " "$WORK/heard"; }

# all_sent PROTO ALGORITHM: the cases, and a moment for the last one.
all_sent()
{
	in_ns link /usr/bin/python3 -B "$LIB/tools/front.py" send lb "$mac" "$SPI_AB4" "$SPI_AB6" \
		"$KEY_AB4" "$KEY_AB6" "$2" "$1" || return
	until_true 5 heard options4
}

# up ALGORITHM KEY_BYTES [LINE]: gw-b alone, a host.
up()
{
	GW_ALG=$1 GW_KEY_BYTES=$2 GW_SA_LINES=${3:-}
	hosts_config transport
	gw_attach b && gw_start b
	spawn gw-b "$WORK/heard" /usr/bin/python3 -B "$LIB/tools/front.py" recv 7200
	reader=$PID
	mac=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')
	until_true 5 in_ns gw-b sh -c 'ss -Hlun "sport = :7200" | grep -q .'
}

down()
{
	end_pid "$reader"
	gw_stop b
	gw b detach --all
}

# What comes with any SA, whole or cut.
comes()
{
	check "$1: the cases were sent" all_sent "$2" "$3"
	check "$1: whole, three headers in front" heard whole 'hop dst route'
	check "$1: cut, none" heard plain
	check "$1: cut, hop-by-hop options" heard hop hop
	check "$1: cut behind the first of three" heard all 'hop dst route'
	check "$1: cut behind the last of three" heard behind 'hop dst route'
	check "$1: IPv4 options" heard options4
	check "$1: an option changed that may" heard mutable hop
	check_eq "$1: the programs counted fragments" "$(gw_reason b reassemble)" 20
	check_eq "$1: none was lost" "$(gw_reason b reassembly_closed)" 0
	check_eq "$1: headers that are too long" "$(gw_reason b ip6_chain)" 1
}

check "AH: host comes up" up sha256 32 'protocol = ah' || exit 1
comes AH 51 null-sha256
check_eq "AH: an option changed that may not, IPv6 and IPv4" "$(gw_reason b icv)" 2
check "AH: and these do not come in" not_heard immutable
check "AH: nor does IPv4" not_heard changed4
check_eq "AH: more than it can cover" "$(gw_reason b ah_front)" 1
check_eq "AH: opened" "$(gw_reason b opened_local)" 7
down >/dev/null 2>&1
check "ESP: host comes up" up aes128gcm16 20 || exit 1
comes ESP 50 aes128gcm16
check "ESP: options are not covered" heard immutable hop
check_eq "ESP: opened" "$(gw_reason b opened_local)" 10
