#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Two demos at once, one of them with an iperf3 that never ends: the one passes, the other says why it
# does not, and nothing is left of either.
set -u
cd "$(dirname "$0")/../.." || exit 1
WORK=$(mktemp -d /tmp/xipsec-test.XXXXXX)
. tests/lib/tap.sh
demos=
clean_up()
{
	trap - EXIT
	for pid in $demos; do kill -TERM "$pid" 2>/dev/null; done
	# shellcheck disable=SC2086
	[ -z "$demos" ] || wait $demos 2>/dev/null
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ "$(id -u)" != 0 ]; then
	skip "demo: needs root (namespaces, bpf)"
	exit 0
fi
mkdir "$WORK/bin"
cat >"$WORK/bin/iperf3" <<-END
	#!/bin/sh
	[ "\$1" = -c ] || exec $(command -v iperf3) "\$@"
	exec sleep 1000
END
chmod 755 "$WORK/bin/iperf3"
SECONDS_EACH=1 tests/demo.sh >"$WORK/good" 2>&1 &
good=$!
PATH=$WORK/bin:$PATH SECONDS_EACH=1 tests/demo.sh >"$WORK/hangs" 2>&1 &
hangs=$! demos="$good $!"
check "a demo passes while another runs" wait $good
demos=$hangs
check "its last line is the verdict" grep -qx 'demo: PASS' "$WORK/good" || note <"$WORK/good"
wait $hangs
check_eq "one whose load never ends fails" $? 1
demos=
check "and says so" grep -qx 'demo: FAIL: TCP load: iperf3 did not end within 16 s' "$WORK/hangs" || note <"$WORK/hangs"
left=$(find /run/netns /sys/fs/bpf -maxdepth 1 \( -name "xipsec-demo-$good-*" -o -name "xipsec-demo-$hangs-*" \))
check_eq "nothing is left of them" "$left" ""

begun() { [ -n "$(find /run/netns -maxdepth 1 -name "xipsec-demo-$1-*")" ]; }

# interrupt SECONDS: after its first namespace is there; Ctrl-C goes to the whole group of processes.
interrupt()
{
	env --default-signal=INT setsid tests/demo.sh >"$WORK/cut" 2>&1 &
	local pid=$!
	demos=$pid
	for _ in $(seq 200); do begun $pid || sleep 0.1; done
	sleep "$1"
	kill -INT -- -$pid
	wait $pid
	local status=$?
	demos=
	left=$(find /run/netns /sys/fs/bpf -maxdepth 1 -name "xipsec-demo-$pid-*")
	[ $status -eq 1 ] && [ -z "$left" ] && [ "$(tail -n 1 "$WORK/cut")" = 'demo: FAIL: it was interrupted' ]
}
for seconds in 0.2 2.3 5; do
	check "Ctrl-C after $seconds s: says so, and leaves nothing" interrupt $seconds || note <"$WORK/cut"
done
[ "$FAILED" -eq 0 ]
