#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# An SA that one end has lost: ESP comes that nobody can open, the peer is told (INVALID_SPI on the IKE
# SA, RFC 7296 1.5), rekeys, and the tunnel carries traffic again without anybody's doing.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

lost() { ! ping4 a 1; }
inbound() { gw b sa list --json | jq -r '.[] | select(.child == "peer/net4" and .direction == "in") | .name'; }

if ! ike_up; then
	not_ok "the gateways did not start"
	exit 1
fi
check "the tunnel carries" until_true 10 ping4 a 1
sleep 11 # a young SA might be one that its peer is about to know
name=$(inbound)
check "gw-b loses the SA that it receives by ($name)" gw b sa delete "$name"
check "a's packets are lost" lost
check "gw-a is told of the SPI" until_true 15 ike_said a 'the peer says: INVALID_SPI'
check "and rekeys" until_true 5 ike_said a 'the peer does not know its SPI'
check "the tunnel carries again" until_true 10 ping4 a 1
