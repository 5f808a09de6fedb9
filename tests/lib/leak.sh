# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# The frame of every leak test: a capture between the gateways, a load in both directions that never
# stops, then acts of violence; at the end nothing was in the clear and no nonce was used twice.

# Brings everything up. Fails (and has said so) if there is nothing to test. LOAD_PPS and LOAD_SIZE, if
# set, are the load's.
leak_begin()
{
	check "positive control: plaintext on the link is seen" capture_positive_control || return
	check "gateways come up" gateways_up || return
	check "tunnel carries IPv4 and IPv6" tunnel_works || return
	capture_start "$WORK/leak.pcap" || {
		not_ok "capture: does not start"
		return 1
	}
	load_start "${LOAD_PPS:-3000}" "${LOAD_SIZE:-200}"
	check "load flows in both directions" load_moves
}

# leak_act WHAT COMMAND...: something happens under load; it must work, and the load must flow again.
leak_act()
{
	local what=$1
	shift
	check "$what: done" "$@"
	if check "$what: traffic flows again" load_moves 10; then
		return
	fi
	local x
	for x in a b; do
		gw $x status 2>&1 | grep -E ' drop |UNSAFE|xipsecd' | note
	done
	return 1
}

# leak_end [PCAPCHECK OPTIONS...]
leak_end()
{
	local carried
	load_stop
	check "capture: lost nothing" capture_stop
	capture_verdict "$@"
	check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
	check_eq "no nonce was used twice" "$REPEATED" 0
	carried=$(($(load_field ab received) + $(load_field ba received)))
	check_gt "the load went by as ESP" "$ESP" $((1000 / ${XIPSEC_SLOW:-1}))
	check "all that arrived of it, $carried datagrams" test "$ESP" -ge "$carried"
	check_eq "nothing was delivered twice or corrupt" \
		"$(load_field ab duplicates) $(load_field ba duplicates) $(load_field ab corrupt) $(load_field ba corrupt)" \
		"0 0 0 0"
}
