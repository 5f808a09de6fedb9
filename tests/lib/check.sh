# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Lines of tests that drive the client by hand, without the topology; sourced. Needs WORK, whose file
# `out` holds what the last command said, and counts in FAILED.

FAILED=0

ok() { printf 'ok %s\n' "$1"; }
not_ok()
{
	printf 'not ok %s\n' "$1"
	[ -s "$WORK/out" ] && head -n 15 "$WORK/out" | sed "s/^/# /"
	FAILED=$((FAILED + 1))
}
check()
{
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name"; fi
}
# expect STATUS TEXT ARGS...: exit status and words of xipsec
expect()
{
	local want=$1 text=$2 got=0
	shift 2
	xipsec "$@" || got=$?
	if [ $got -ne "$want" ]; then
		echo "exit status $got, not $want" >>"$WORK/out"
		return 1
	fi
	grep -qF -- "$text" "$WORK/out"
}
