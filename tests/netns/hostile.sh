#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Hostile code inside a worker (a debug build): every attack in its list is refused, or ends the worker.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
XIPSEC=$BUILD/hostile/xipsec
XIPSECD=$BUILD/hostile/xipsecd

if [ ! -x "$XIPSECD" ]; then
	skip "hostile: $BUILD/hostile is not built: make variants"
	exit 0
fi

gw_config a
check "attach" gw_attach a || exit 1
attacks=0
known=$(sed -n 's/^#define HOSTILE_ACTS *//p' "$LIB/../../worker/hostile.h")
for n in $(seq "${known:-0}"); do
	log=$WORK/hostile-$n.log
	spawn gw-a "$log" "$XIPSECD" -c "$WORK/gw-a.conf" -v --hostile "$n"
	GW_PID[a]=$PID
	until_true 5 grep -Eq "hostile $n .*(got|SUCCEEDED)|SIGSYS|signal 31|Bad system call" "$log"
	name=$(sed -n "s/.*hostile $n \([a-z_]*\): trying.*/\1/p" "$log" | head -n 1)
	gw_kill a all 2>/dev/null
	attacks=$((attacks + 1))
	if grep -q "SUCCEEDED" "$log"; then
		not_ok "attack $n ($name): succeeded"
	elif [ -z "$name" ]; then
		tail -n 5 "$log" | note
		not_ok "attack $n: was not tried"
	elif grep -q "hostile $n .*got" "$log"; then
		ok "attack $n ($name): refused, $(sed -n "s/.*hostile $n .*got //p" "$log" | head -n 1)"
	elif grep -Eq 'SIGSYS|signal 31|Bad system call' "$log"; then
		ok "attack $n ($name): the worker was killed"
	else
		tail -n 5 "$log" | note
		not_ok "attack $n ($name): neither refused nor killed"
	fi
done
check_gt "attacks were tried: $attacks" "$attacks" 5

XIPSEC=$BUILD/xipsec XIPSECD=$BUILD/xipsecd
in_ns gw-a timeout 5 "$XIPSECD" -c "$WORK/gw-a.conf" --hostile 1 >"$WORK/release.log" 2>&1
if grep -q 'hostile 1 .*trying' "$WORK/release.log"; then
	not_ok "the release build runs no hostile code"
else
	ok "the release build runs no hostile code"
fi
