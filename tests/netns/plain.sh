#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
# The ground under all scenarios, with no product in it: the topology routes, the capture between
# the gateways sees plaintext, the load counts what it should.
#
#	red-a --- gw-a --- [capture] --- gw-b --- red-b		(plain routing, nothing attached)
. "$(dirname "$0")/../lib/scenario.sh"

check "topology: IPv4 is routed" ping4 a 2
check "topology: IPv6 is routed" ping6 b 2
check "capture: positive control, deliberate plaintext on the link is seen" capture_positive_control

capture_start "$WORK/plain.pcap"
load_start 2000 200
check "load: datagrams arrive in both directions" load_moves
load_stop
check "capture: loses nothing at the load's rate" capture_stop
capture_verdict >/dev/null
check_gt "capture: the load in the clear between the gateways is seen as such" "$MARKED" 50
check_eq "load: nothing is corrupt" "$(load_field ab corrupt),$(load_field ba corrupt)" 0,0

# The detector of repeated nonces must detect: the same ESP header twice, under two SPIs of one key.
printf '\324\303\262\241\002\000\004\000\0\0\0\0\0\0\0\0\377\377\0\0\001\0\0\0' >"$WORK/twice.pcap"
for spi in '\020\001' '\020\002'; do
	printf '\0\0\0\0\0\0\0\0\062\0\0\0\062\0\0\0%b\010\0E\0\0\044\0\0\0\0@2\0\0\300\0\002\001\300\0\002\002\0\0%b\0\0\0\007\0\0\0\0\0\0\0\007' \
		'\1\1\1\1\1\1\2\2\2\2\2\2' "$spi" >>"$WORK/twice.pcap"
done
CAPTURE_FILE=$WORK/twice.pcap
capture_verdict >/dev/null
check_eq "pcapcheck: two keys, one IV is no repetition" "$ESP,$REPEATED" 2,0
capture_verdict -k 0x1001,0x1002 >/dev/null
check_eq "pcapcheck: one key, one IV is a repetition" "$ESP,$REPEATED" 2,1
