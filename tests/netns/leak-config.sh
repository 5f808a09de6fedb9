#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The policies change under load: reloads, a broken file, a policy that goes away and comes back.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"

reload_often()
{
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		gw a reload && gw b reload || return
	done
}

broken_config()
{
	cp "$WORK/gw-a.conf" "$WORK/good.conf"
	printf 'policies {\n\tnet4 { action = bypas }\n' >"$WORK/gw-a.conf"
	! gw a reload
	local status=$?
	cp "$WORK/good.conf" "$WORK/gw-a.conf"
	return $status
}

# No policy at all means DISCARD, never a pass.
without_policy()
{
	cp "$WORK/gw-a.conf" "$WORK/good.conf"
	sed '/^policies {/,$d' "$WORK/good.conf" >"$WORK/gw-a.conf"
	gw a reload || return
	sleep 0.5
	load_stands || return
	cp "$WORK/good.conf" "$WORK/gw-a.conf"
	gw a reload
}

leak_begin || exit 1
leak_act "10 reloads on both gateways" reload_often
leak_act "reload of a broken config is refused" broken_config
leak_act "reload without any policy, and back" without_policy
leak_end
