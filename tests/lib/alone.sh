# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2317 # called by name
# One namespace and nobody else: the client is driven by hand in it; sourced. Gives WORK (the config is
# $WORK/conf, its pins are below $WORK/bpffs), NS, XIPSEC, ns and xipsec; alone_begin makes namespace and
# bpffs. At the end all goes, the process `daemon` too.
set -u
cd "$(dirname "$0")/../.." || exit 1
SELF=$(basename "$0" .sh)
BUILD=$(realpath "${BUILD:-build}")
XIPSEC=${XIPSEC:-$BUILD/xipsec}
NS=x${SELF:0:2}$$
WORK=$(mktemp -d "/tmp/xipsec-$SELF-XXXXXX")

. tests/lib/check.sh

daemon=
clean_up()
{
	trap - EXIT
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null
	ns "$XIPSEC" -c "$WORK/conf" detach --all >/dev/null 2>&1
	ip netns del "$NS" 2>/dev/null
	umount "$WORK/bpffs" 2>/dev/null
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

ns() { nsenter --net=/run/netns/"$NS" "$@"; }
xipsec() { ns "$XIPSEC" -c "$WORK/conf" "$@" >"$WORK/out" 2>&1; }

alone_begin()
{
	if [ "$(id -u)" != 0 ]; then
		echo "skip $SELF: needs root (namespaces, bpf)"
		exit 0
	fi
	[ -x "$XIPSEC" ] || {
		not_ok "$SELF: $XIPSEC is not built: make"
		exit 1
	}
	mkdir "$WORK/bpffs" && mount -t bpf bpf "$WORK/bpffs" && ip netns add "$NS" || exit 1
}
