#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Hostile code in the process that reads the network (a debug build): a policy, a foreign SA, a key, a
# file, a socket, a signature of its own choice: every attack is refused, or ends the process.
#
#	gw-a alone
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
IKED=$BUILD/hostile/xipsec-iked

if [ ! -x "$IKED" ]; then
	skip "ike-hostile: $IKED is not built: make variants"
	exit 0
fi
GW_POLICIES="net4 { action = protect
local = 10.1.77.0/24
remote = 10.2.77.0/24 }"

# shared with somebody else than the connection's peer
IKE_SECRETS="ike-other { id-1 = gw1.example.org
id-2 = gw3.example.org
secret = \"$(random_hex 16)\" }"

gw_config a
# What an attack wants to delete is there: the outbound SA of that policy, with a key of the config.
printf 'sas {\n%s\n}\n' "$(gw_sa ab4 net4 out 192.0.2.1 192.0.2.2 0x1001 "$(random_hex 20)")" >>"$WORK/gw-a.conf"
check "attach" gw_attach a || exit 1
check "xipsecd" gw_start a || exit 1
attacks=0
known=$(sed -n 's/^#define HOSTILE_ACTS *//p' "$LIB/../../iked/hostile.h")
for n in $(seq "${known:-0}"); do
	log=$WORK/iked-a.log.new
	ike_spawn a --hostile "$n"
	until_true 8 grep -Eq "hostile $n .*(got|SUCCEEDED)|signal 31" "$log"
	name=$(sed -n "s/.*hostile $n \([a-z_]*\): trying.*/\1/p" "$log" | head -n 1)
	ike_kill a
	attacks=$((attacks + 1))
	if [ "$name" = own_sa ] || [ "$name" = own_mac ]; then
		# the control: the same words for what is its own
		check "what it may do, it can: $name" grep -q SUCCEEDED "$log"
		[ "$name" = own_mac ] || gw a sa delete hostile
	elif grep -q "SUCCEEDED" "$log"; then
		not_ok "attack $n ($name): succeeded"
	elif [ -z "$name" ]; then
		tail -n 5 "$log" | note
		not_ok "attack $n: was not tried"
	elif grep -q "hostile $n .*got" "$log"; then
		ok "attack $n ($name): refused, $(sed -n "s/.*hostile $n .*got //p" "$log" | head -n 1)"
	elif grep -q 'signal 31' "$log"; then
		ok "attack $n ($name): the process was killed"
	else
		tail -n 5 "$log" | note
		not_ok "attack $n ($name): neither refused nor killed"
	fi
done
check_gt "attacks were tried: $attacks" "$attacks" 20
check_eq "no SA came of it, and none is gone" "$(gw a sa list --json | jq -r '[.[].name] | join(" ")')" ab4

IKED=$BUILD/xipsec-iked
in_ns gw-a timeout 5 "$IKED" -c "$WORK/gw-a.conf" --hostile 1 >"$WORK/release.log" 2>&1
if grep -q 'trying' "$WORK/release.log"; then
	not_ok "the release build runs no hostile code"
else
	ok "the release build runs no hostile code"
fi
