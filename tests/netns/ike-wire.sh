#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Messages by hand to xipsec-iked, by strangers, by a peer that is half-way, and by one that has shown
# who it is: other versions, payloads that lie about their lengths, numbers that nobody waits for,
# fragments of nothing (tests/lib/tools/ikewire.py lists them). Each has the answer that it should, to
# the octet, or none, and moves the counters that it should and no other. Then noise: memory does not
# grow, the log does not either, and who is honest gets in.
#
#	gw-b, written in Python, 192.0.2.2 === gw-a 192.0.2.1
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

IKE_START=none
WIRE=$LIB/tools/ikewire.py
NOISE=20000

# ask COMMAND...: of the peer; its lines are ours.
ask() { in_ns gw-b /usr/bin/python3 -B "$WIRE" "$@"; }
ends() { echo 192.0.2.1 192.0.2.2; }
vici() { echo "$WORK/run-a/charon.vici"; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$(ike_child_pid a)/status"; }
lines() { ike_log a | wc -l; }

# of_form REASON NUMBER: so many packets ended so.
of_form() { [ "$(gw_reason a "$1")" -eq "$2" ]; }

gw_config a
check "the gateway comes up" eval 'gw_attach a >/dev/null && gw_start a && ike_start a' || exit 1
pid=$(ike_child_pid a)

# shellcheck disable=SC2046 # two words
ask $(ends) "$(vici)" "$IKE_PSK_a" || FAILED=$((FAILED + 1))
check "it says who is refused, and what each side wants" ike_said a \
	'192.0.2.2.*we refuse its IKE_SA_INIT: no proposal chosen; it offers .*; we take aes128gcm16-prfsha256-x25519'
check "… and what it could not read" ike_said a 'its INFORMATIONAL request cannot be read: critical payload 200 is unknown'

other=$(gw_reason a no_policy)
# shellcheck disable=SC2046
check "what is too short for anything" ask short $(ends)
check "a keepalive is one" until_true 5 of_form nat_keepalive 1
check "the rest of it is as any plaintext" until_true 5 of_form no_policy $((other + 6))

before=$(rss) said=$(lines)
# shellcheck disable=SC2046
ask noise $(ends) "$(vici)" "$IKE_PSK_a" $NOISE || FAILED=$((FAILED + 1))
after=$(rss)
echo "# RSS of the child, KiB: before $before, after $after; lines of log: $(($(lines) - said))"
check "memory does not grow" test $((after - before)) -lt 2048
check "nor does the log: a line for each 20 of them at most" test $(($(lines) - said)) -lt $((NOISE / 20))
check "its lines can be read" eval '! ike_log a | LC_ALL=C grep -q "[^[:print:][:blank:]]"'
check_eq "it is the same process" "$(ike_child_pid a)" "$pid"
