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
# What each comes to. The list of calls kills (iked/child_sandbox.c); the parent left no file that can be
# read; xipsecd refuses what a restricted connection may not; the parent signs no other message, and has no
# secret for others. Another error would be one of how it was tried, not a refusal.
declare -A ends=([fd_table]=EPERM [sign_any]=EINVAL [mac_other]=EACCES [own_sa]=SUCCEEDED [own_mac]=SUCCEEDED)
for name in open open_any socket connect execve fork kill_parent ptrace_parent readv_parent exec_memory; do
	ends[$name]=killed
done
for name in bypass foreign_sa delete_manual widen borrow wide_sa; do ends[$name]=EPERM; done

# end_of N LOG: SUCCEEDED, the error that it got, "killed" (SIGSYS), or nothing.
end_of()
{
	local got
	got=$(sed -En "s/.*hostile $1 .*(got (.*)|(SUCCEEDED))$/\2\3/p" "$2" | head -n 1)
	if [ -n "$got" ]; then echo "$got"; elif grep -q 'signal 31' "$2"; then echo killed; fi
}

attacks=0
known=$(sed -n 's/^#define HOSTILE_ACTS *//p' "$LIB/../../iked/hostile.h")
for n in $(seq "${known:-0}"); do
	log=$WORK/iked-a.log.new
	ike_spawn a --hostile "$n"
	until_true 8 grep -Eq "hostile $n .*(got|SUCCEEDED)|signal 31" "$log"
	name=$(sed -n "s/.*hostile $n \([a-z_]*\): trying.*/\1/p" "$log" | head -n 1)
	ike_kill a
	attacks=$((attacks + 1))
	got=$(end_of "$n" "$log")
	end=${ends[${name:-none}]:-none}
	[ "$got" = "$end" ] || tail -n 5 "$log" | note
	case $name in
	own_*) # the control: the same words for what is its own
		check_eq "what it may do, it can: $name" "$got" SUCCEEDED
		[ "$name" = own_mac ] || gw a sa delete hostile
		;;
	*)
		case $end in killed) what="the process was killed" ;; *) what="refused, $end" ;; esac
		check_eq "attack $n (${name:-not tried}): $what" "$got" "$end"
		;;
	esac
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
