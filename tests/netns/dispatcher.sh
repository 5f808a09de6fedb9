#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Sharing an interface with another XDP program (xdp-filter) through libxdp's dispatcher: both live
# on, whoever came first; ours enforces, also while it is upgraded; detach takes only ours away.
# Where the kernel or libxdp cannot do that: ours is alone, which is told, and another's program is
# refused in words, never replaced. In both, when our XDP program is gone, TC judges what comes in.
#
#	[ ns A: black0 192.0.2.1 ] === [ ns B: black1 192.0.2.2, 192.0.2.3 ]
#
# Policy: ICMP is bypassed, all else dropped. xdp-filter drops what comes from 192.0.2.3.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
XIPSEC=${XIPSEC:-$BUILD/xipsec}
A=xda$$
B=xdb$$
WORK=$(mktemp -d /tmp/xipsec-dispatcher-XXXXXX)
PINS=/sys/fs/bpf/xdp # libxdp's

. tests/lib/check.sh

daemon=
load=
# shellcheck disable=SC2317
clean_up()
{
	trap - EXIT
	[ -z "$load" ] || kill "$load" 2>/dev/null
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null
	nsa "$XIPSEC" -c "$WORK/conf" detach --all >/dev/null 2>&1
	nsa xdp-filter unload black0 >/dev/null 2>&1
	nsa ip link set dev black0 xdp off 2>/dev/null
	clear_pins
	ip netns del "$A" 2>/dev/null
	ip netns del "$B" 2>/dev/null
	umount "$WORK/bpffs" 2>/dev/null
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

nsa() { nsenter --net=/run/netns/"$A" "$@"; }
nsb() { nsenter --net=/run/netns/"$B" "$@"; }
xipsec() { nsa "$XIPSEC" -c "$WORK/conf" "$@" >"$WORK/out" 2>&1; }
main_id() { nsa bpftool -j net show dev black0 | jq -r '.[0].xdp[0].id // empty'; }
main_name() { bpftool -j prog show id "$(main_id)" 2>/dev/null | jq -r '.name // empty'; }
kind() { xipsec status --json; jq -r '.interfaces[] | select(.name == "black0").xdp.kind' "$WORK/out"; }
current() { xipsec status --json; jq -r '.interfaces[] | select(.name == "black0").xdp.current' "$WORK/out"; }
# What libxdp says that runs there, in order.
order() { nsa xdp-loader status black0 | awk '$1 == "=>" { printf "%s ", $3 }'; }
ping_from() { nsb ping -q -c 2 -i 0.2 -W "${XIPSEC_SLOW:-1}" -I "$1" 192.0.2.1 >/dev/null 2>&1; }
filter() { nsa xdp-filter load black0 -f ipv4 -p allow >"$WORK/out" 2>&1 && nsa xdp-filter ip -m src 192.0.2.3 >>"$WORK/out" 2>&1; }
filters() { ! ping_from 192.0.2.3; }
# UDP that got as far as the stack: XDP did not stop it.
# shellcheck disable=SC2016
udp_in() { nsa awk '/^Udp: [0-9]/ { print $2 + $3 }' /proc/net/snmp; }
send_udp() { for _ in 1 2 3 4 5; do nsb bash -c 'echo plaintext >/dev/udp/192.0.2.1/9999' 2>/dev/null; done; }
# until_so COMMAND...: within ten seconds, of a machine that is slow as many times more.
until_so()
{
	for _ in $(seq $((50 * ${XIPSEC_SLOW:-1}))); do
		"$@" && return
		sleep 0.2
	done
	return 1
}
nothing_waits() { xipsec status --json; jq -e '.confirm == "none"' "$WORK/out" >/dev/null; }
runs() { xipsec sa list; }
empty() { [ "$(order)" = "" ]; }
came_in() { [ "$(udp_in)" -gt "$1" ]; }
udp_stops()
{
	local before
	before=$(udp_in)
	send_udp
	[ "$(udp_in)" = "$before" ]
}
enforces() { ping_from 192.0.2.2 && udp_stops; }
# The gate behind XDP, taken off by force: for the control alone.
gate_off() { nsa tc filter del dev black0 ingress 2>/dev/null || nsa bpftool net detach tcx_ingress dev black0; }
closed_without_xdp()
{
	local before
	check "$1: told as unsafe" expect 6 "XDP program xipsec_black is missing" status
	before=$(reason no_policy)
	check "$1: bypassed traffic passes, plaintext does not" enforces
	check "$1: what was dropped has its reason" [ "$(reason no_policy)" -gt "$before" ]
}
# explains REASON POLICY OPTION...: of a packet that comes in
explains()
{
	xipsec explain --dir in --dev black0 --src 192.0.2.2 --dst 192.0.2.1 "${@:3}" --json &&
		jq -e --arg reason "$1" --arg policy "$2" \
			'.reason == $reason and "\(.policy.rule.policy)" == $policy' "$WORK/out" >/dev/null
}
reason() { xipsec status --json; jq ".reasons[] | select(.name == \"$1\").packets" "$WORK/out"; }
clear_pins()
{
	local index id
	index=$(nsa cat /proc/net/dev_snmp6/black0 2>/dev/null | awk '$1 == "ifIndex" { print $2 }')
	id=$(main_id)
	[ -z "$index" ] || [ -z "$id" ] || rm -rf "$PINS/dispatch-$index-$id"
}

if [ "$(id -u)" != 0 ]; then
	echo "skip dispatcher: needs root (namespaces, bpf)"
	exit 0
fi
for tool in xdp-filter xdp-loader; do
	command -v $tool >/dev/null || {
		echo "skip dispatcher: $tool is not installed: make deps"
		exit 0
	}
done
[ "$(stat -f -c %T /sys/fs/bpf)" = bpf_fs ] || {
	echo "skip dispatcher: no bpffs at /sys/fs/bpf, where libxdp keeps its pins"
	exit 0
}
[ -x "$XIPSEC" ] || {
	not_ok "dispatcher: $XIPSEC is not built: make"
	exit 1
}
mkdir "$WORK/bpffs" && mount -t bpf bpf "$WORK/bpffs" && ip netns add "$A" && ip netns add "$B" || exit 1
cat >"$WORK/conf" <<-END
	datapath {
		pin_dir = $WORK/bpffs/pins
		run_dir = $WORK/run
		state_dir = $WORK/state
	}
	policies {
		ping {
			action = bypass
			proto = icmp
		}
	}
END
nsa ip link add black0 type veth peer name black1 netns "$B"
nsa ip addr add 192.0.2.1/24 dev black0
nsb ip addr add 192.0.2.2/24 dev black1
nsb ip addr add 192.0.2.3/24 dev black1
nsa ip link set lo up
nsa ip link set black0 up
nsb ip link set black1 up
before=$(udp_in)
ping_from 192.0.2.2
send_udp
check "control: without ours plaintext comes in" until_so came_in "$before"

# ---------------------------------------------------------------- another's plain program
cat >"$WORK/other.bpf.c" <<-'END'
	#include <linux/bpf.h>
	__attribute__((section("xdp"), used)) int other_prog(struct xdp_md *ctx) { return XDP_PASS; }
	char _license[] __attribute__((section("license"), used)) = "GPL";
END
clang -target bpf -O2 -g -I"/usr/include/$(gcc -print-multiarch)" -c "$WORK/other.bpf.c" \
	-o "$WORK/other.o"
nsa ip link set black0 xdp obj "$WORK/other.o" sec xdp
id=$(main_id)
check "another's plain program is refused, --dispatcher or not" \
	expect 1 "not replaced" attach black0 --role unprotected --dispatcher
check "it is still there" [ "$(main_id)" = "$id" ]
nsa ip link set dev black0 xdp off

# ---------------------------------------------------------------- what can this kernel do?
filter || {
	not_ok "xdp-filter can be loaded"
	exit 1
}
id=$(main_id)
check "xdp-filter filters" filters
joined=0
xipsec attach black0 --role unprotected || joined=$?
if [ $joined -ne 0 ]; then
	case $(main_name) in
	xdp_dispatcher) check "joining is refused with the reason" grep -qF "xdp-tools 1.5.5" "$WORK/out" ;;
	*) check "xdp-filter, alone there, is refused" grep -qF "not replaced" "$WORK/out" ;;
	esac
	check "xdp-filter was not touched" [ "$(main_id)" = "$id" ]
	check "and filters" filters
	check "no pins were left by that" [ ! -e "$WORK/bpffs/pins" ]
	nsa xdp-filter unload black0 >/dev/null 2>&1
	for how in "" --dispatcher; do
		# shellcheck disable=SC2086
		check "attach $how: ours is alone, and that is announced" \
			expect 0 "only XDP program there" attach black0 --role unprotected $how
		check "attach $how: it enforces" enforces
		check "attach $how: its kind" [ "$(kind)" = native ]
		check "attach $how: detach" expect 0 "detached" detach black0
	done
	check "alone on purpose" expect 0 "attached as unprotected" attach black0 --role unprotected --no-dispatcher
	check "that is nothing to announce" [ "$(grep -c "no dispatcher" "$WORK/out")" = 0 ]
	nsa ip link set dev black0 xdp off
	closed_without_xdp "taken off by somebody"
	check "attach mends it" expect 0 "attached as unprotected" attach black0 --role unprotected
	check "and it enforces" enforces
	check "detach" expect 0 "detached" detach black0
	echo "skip dispatcher: Linux $(uname -r) with this libxdp does not run ours in a dispatcher"
	[ $FAILED -eq 0 ]
	exit
fi

# ---------------------------------------------------------------- after xdp-filter
check "joined xdp-filter: status says dispatcher" [ "$(kind)" = dispatcher ]
check "it is the current program" [ "$(current)" = true ]
check "status is safe" expect 0 "dispatcher" status
check "both are there, ours first" [ "$(order)" = "xipsec_black xdpfilt_alw_ip " ]
check "the policies were not emptied by that" \
	[ "$(xipsec policy --json; jq '.rules | length' "$WORK/out")" = 1 ]
check "ours enforces" enforces
check "xdp-filter filters what ours passes" filters
check "explain: what passes, by its rule" explains bypass_in ping --proto icmp
check "explain: what does not" explains no_policy null --proto udp --dport 9999
check "attaching twice" expect 4 "attached already" attach black0 --role unprotected

# ---------------------------------------------------------------- upgrade
id=$(main_id)
before=$(udp_in)
nsenter --net=/run/netns/"$B" bash -c 'while :; do echo plaintext >/dev/udp/192.0.2.1/9999; done' 2>/dev/null &
load=$!
check "upgrade under load" expect 0 "attached as unprotected" attach --all --upgrade
check "upgrade, not confirmed" expect 0 "taken back in 2 s" attach --all --upgrade --confirm 2
check "it is taken back" until_so nothing_waits
check "no plaintext came in meanwhile" [ "$(udp_in)" = "$before" ]
kill "$load" && wait "$load" 2>/dev/null
load=
check "the dispatcher was replaced" [ "$(main_id)" != "$id" ]
check "ours is there once" [ "$(order)" = "xipsec_black xdpfilt_alw_ip " ]
check "it is the current program after the roll-back" [ "$(current)" = true ]
check "ours enforces after that" enforces
check "xdp-filter filters after that" filters

# ---------------------------------------------------------------- detach
check "detach" expect 0 "detached" detach black0
check "xdp-filter is left" [ "$(order)" = "xdpfilt_alw_ip " ]
check "and filters alone" filters
nsa xdp-filter unload black0 >/dev/null 2>&1
check "nothing is left" [ -z "$(main_id)" ]

# ---------------------------------------------------------------- before xdp-filter
check "unasked" expect 0 "in libxdp's dispatcher" attach black0 --role unprotected
check "status says dispatcher" [ "$(kind)" = dispatcher ]
check "ours enforces alone" enforces
filter
check "xdp-filter came after: both are there" [ "$(order)" = "xipsec_black xdpfilt_alw_ip " ]
check "ours is still the current one" [ "$(current)" = true ]
check "ours enforces beside it" enforces
check "xdp-filter filters beside it" filters
nsa xdp-filter unload black0 >/dev/null 2>&1
check "xdp-filter went: ours is left" [ "$(order)" = "xipsec_black " ]
check "and enforces" enforces

# ---------------------------------------------------------------- its pins are cleared
nsenter --net=/run/netns/"$A" "$BUILD/xipsecd" -c "$WORK/conf" >"$WORK/xipsecd.log" 2>&1 &
daemon=$!
check "xipsecd runs" until_so runs
clear_pins
check "cleared pins with xipsecd: ours lives on" [ "$(kind)" = dispatcher ]
check "and enforces with its pins cleared" enforces
check "an upgrade goes over to the plain way" expect 0 "XDP native, TC" attach --all --upgrade
check "and it enforces" enforces
kill "$daemon" && wait "$daemon"
daemon=
xipsec detach black0
check "again in a dispatcher" expect 0 "in libxdp's dispatcher" attach black0 --role unprotected
clear_pins
check "cleared pins without xipsecd: the dispatcher passes everything" until_so empty
closed_without_xdp "cleared pins without xipsecd"
gate_off
before=$(udp_in)
send_udp
check "control: without the gate behind XDP plaintext comes in" until_so came_in "$before"
check "attach puts both back" expect 0 "XDP native, TC" attach black0 --role unprotected
check "and ours enforces again" enforces
check "detach after that" expect 0 "detached" detach black0
check "nothing is left after that" [ -z "$(main_id)" ]
check "once more in a dispatcher" expect 0 "in libxdp's dispatcher" attach black0 --role unprotected
clear_pins
until_so empty
nsenter --net=/run/netns/"$A" "$BUILD/xipsecd" -c "$WORK/conf" >"$WORK/xipsecd.log" 2>&1 &
daemon=$!
mended() { [ "$(kind)" = native ]; }
check "xipsecd mends it at its start" until_so mended
check "and ours enforces" enforces
kill "$daemon" && wait "$daemon"
daemon=
check "detach the last" expect 0 "detached" detach --all

# ---------------------------------------------------------------- a dead dispatcher is ours to take
check "in a dispatcher once more" expect 0 "in libxdp's dispatcher" attach black0 --role unprotected
clear_pins
until_so empty
check "detach takes what is left of it" expect 0 "detached" detach black0
check "nothing is left of it" [ -z "$(main_id)" ]

# ---------------------------------------------------------------- alone
check "both ways at once are refused" expect 2 "not both" attach black0 --role unprotected --dispatcher --no-dispatcher
check "alone, as asked for" expect 0 "XDP native, TC" attach black0 --role unprotected --no-dispatcher
check "its kind" [ "$(kind)" = native ]
nsa ip link set dev black0 xdp off
closed_without_xdp "taken off by somebody"
check "attach: alone again, as was said before" expect 0 "XDP native, TC" attach black0 --role unprotected
check "an upgrade keeps it so" expect 0 "XDP native, TC" attach --all --upgrade
nsa ip link set dev black0 xdp off
check "--dispatcher takes that back" expect 0 "in libxdp's dispatcher" attach black0 --role unprotected --dispatcher
check "an upgrade to alone, with nobody else in it" expect 0 "XDP native, TC" attach --all --upgrade --no-dispatcher
check "detach in the end" expect 0 "detached" detach --all
check "nothing is left in the end" [ -z "$(main_id)" ]
[ $FAILED -eq 0 ]
