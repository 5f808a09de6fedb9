# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# How a scenario tells its results: one line each, `ok - what`, `not ok - what: why`,
# `skip - what: why`. tests/run.sh counts them. Lines that begin with # are notes.

FAILED=0

# Notes from standard input.
note() { sed 's/^/# /'; }

ok() { echo "ok - $*"; }

# With the first failure: the state it happened in, if somebody tells it (look_around).
not_ok()
{
	[ $FAILED -gt 0 ] || ! type look_around >/dev/null 2>&1 || look_around | note
	FAILED=$((FAILED + 1))
	echo "not ok - $*"
}

skip() { echo "skip - $*"; }

# check WHAT COMMAND...: in this shell (it may set variables); its output is shown when it fails.
check()
{
	local what=$1
	shift
	if "$@" >"$WORK/check.out" 2>&1; then
		ok "$what"
	else
		tail -n 20 "$WORK/check.out" | note
		not_ok "$what: failed: $*"
		return 1
	fi
}

# check_eq WHAT GOT WANTED
check_eq()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1: got '$2', expected '$3'"
		return 1
	fi
}

# check_gt WHAT GOT LEAST
check_gt()
{
	if [ "$2" -gt "$3" ] 2>/dev/null; then
		ok "$1"
	else
		not_ok "$1: got '$2', expected more than $3"
		return 1
	fi
}

# of_workers CHECK WHAT...: what kernel XFRM does not, or does otherwise, as docs/engines.md says; counted
# as skipped where XIPSEC_ENGINE=xfrm runs a scenario over that engine.
of_workers()
{
	if [ "${XIPSEC_ENGINE:-}" = xfrm ]; then
		skip "$2: of engine afxdp (docs/engines.md)"
	else
		"$@"
	fi
}
