#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SAs go and come under load: deletion closes, the same key under another SPI goes on with its
# numbers (the tombstone), detach and attach do not reset them either.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"

delete_and_add()
{
	gw a sa delete ab4 && sleep 0.5 && gw a sa add ab4
}

# Both gateways: ab4 away, another SPI for the same key, ab4 again.
other_spi()
{
	local x
	for x in a b; do gw $x sa delete ab4 || return; done
	# shellcheck disable=SC2034
	SPI_AB4=0x2001
	for x in a b; do
		gw_config $x
		gw $x reload || return
		gw $x sa add ab4 || until_true 3 gw_ready $x || return
	done
}

detach_and_attach()
{
	load_stop
	gw a detach --all && gw a attach --all || return
	gw_stop a
	gw_start a
	load_start 3000 200
}

leak_begin || exit 1
check "sa delete of the outbound SA: done" gw a sa delete ab4
before=$(gw_reason a no_sa_out)
sleep 1
ab=$(load_field ab received)
sleep 0.5
check_eq "without an SA nothing is carried from a to b" "$(load_field ab received)" "$ab"
check_gt "and it is counted as no_sa_out" "$(gw_reason a no_sa_out)" "$before"
leak_act "sa add of the same SA again" gw a sa add ab4
leak_act "sa delete and sa add under load" delete_and_add
leak_act "the same key under another SPI" other_spi
leak_end -k 0x1001,0x2001

# The tap stays on while the guard is taken down on purpose; with no load, nothing can go by.
capture_start "$WORK/leak2.pcap"
# shellcheck disable=SC2034
LOAD_PIDS=
check "detach and attach: done" detach_and_attach
check "detach and attach: traffic flows again" load_moves 10
load_stop
check "capture: lost nothing" capture_stop
check "no nonce of before came again, nothing in the clear" \
	"$PCAPCHECK" -m "$MARKER" -k 0x1001,0x2001 "$WORK/leak.pcap" "$WORK/leak2.pcap"
