#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An attach that a signal meets half-way is taken back or done, one that is killed is told of and
# mended, and a roll-back leaves nothing on what was made anew or renamed meanwhile.
#
#	[ ns: red0=red1  black0=black1 ]	one namespace, nobody else
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
XIPSEC=${XIPSEC:-$BUILD/xipsec}
NS=xit$$
WORK=$(mktemp -d /tmp/xipsec-interrupted-XXXXXX)

. tests/lib/check.sh

daemon=
signals=--default-signal # a shell without job control has its children ignore INT and QUIT
# shellcheck disable=SC2317
clean_up()
{
	trap - EXIT
	daemon_stop
	ns "$XIPSEC" -c "$WORK/conf" detach --all >/dev/null 2>&1
	ip netns del "$NS" 2>/dev/null
	umount "$WORK/bpffs" 2>/dev/null
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

ns() { nsenter --net=/run/netns/"$NS" "$@"; }
xipsec() { ns "$XIPSEC" -c "$WORK/conf" "$@" >"$WORK/out" 2>&1; }
exits() { local want=$1 got=0; shift; xipsec "$@" || got=$?; [ $got -eq "$want" ]; }
soon() { for _ in $(seq 60); do "$@" && return 0; sleep 0.1; done; return 1; }

xdp_on() { ns ip -j link show "$1" | grep -q '"xdp"'; }
hooks() { ns "$XIPSEC" -c "$WORK/conf" status --json | jq ".interfaces[] | select(.name == \"$1\") | [.xdp.kind, .tc.kind] | map(select(. != \"none\")) | length"; }
attached() { [ "$(hooks "$1")" = 2 ]; }
# Attached, and closed by nftables should it be made anew.
held() { attached "$1" && grep -q "^$1 " "$WORK/run/ifaces" && ns nft list set inet xipsec names | grep -qF "\"$1\""; }
free() { [ "$(hooks "$1")" = 0 ]; }
nothing_left()
{
	free black0 && free red0 && [ ! -e "$WORK/bpffs/pins" ] && [ ! -e "$WORK/run/ifaces" ] &&
		[ ! -e "$WORK/run/confirm" ] && [ -z "$(ns nft list tables)" ]
}
# fault_says IFACE WORDS
fault_says()
{
	xipsec status --json
	jq -r ".interfaces[] | select(.name == \"$1\").fault" "$WORK/out" | grep -qF "$2"
}

make_black()
{
	ns ip link add "$1" type veth peer name black1
	ns ip link set "$1" up
	ns ip link set black1 up
}
make_black_anew()
{
	ns ip link del "$1"
	make_black "$1"
}

daemon_start()
{
	nsenter --net=/run/netns/"$NS" "$BUILD/xipsecd" -c "$WORK/conf" >"$WORK/xipsecd.log" 2>&1 &
	daemon=$!
	soon grep -q "waiting for\|is open" "$WORK/xipsecd.log"
}
daemon_stop()
{
	[ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
	daemon=
}

# attach_half ARGS...: leaves attach --all, process $half, where it wants to tell that black0 is
# attached, and cannot: its stderr is a full pipe. Without the dispatcher: a kernel that takes none would
# be told of before that.
attach_half()
{
	dd if=/dev/zero of="$WORK/full" bs=4096 count=64 oflag=nonblock 2>/dev/null
	env "$signals" nsenter --net=/run/netns/"$NS" "$XIPSEC" -c "$WORK/conf" attach --all --no-dispatcher "$@" 2>&7 &
	half=$!
	soon xdp_on black0
}
let_go() { timeout 1 dd if="$WORK/full" of=/dev/null bs=65536 count=64 iflag=nonblock 2>/dev/null; }

if [ "$(id -u)" != 0 ]; then
	echo "skip interrupted: needs root (namespaces, bpf)"
	exit 0
fi
[ -x "$XIPSEC" ] || {
	not_ok "interrupted: $XIPSEC is not built: make"
	exit 1
}
mkdir "$WORK/bpffs" && mount -t bpf bpf "$WORK/bpffs" && ip netns add "$NS" && mkfifo "$WORK/full" || exit 1
exec 7<>"$WORK/full"
cat >"$WORK/conf" <<-END
	datapath {
		pin_dir = $WORK/bpffs/pins
		run_dir = $WORK/run
		state_dir = $WORK/state
		exempt = red1, black1
		interfaces {
			black0 { role = unprotected }
			red0 { role = protected }
		}
	}
	policies {
		net-net {
			action = protect
			local = 10.1.0.0/16
			remote = 10.2.0.0/16
		}
	}
END
ns ip link set lo up
ns ip link add red0 type veth peer name red1
ns ip link set red0 up
ns ip link set red1 up
make_black black0

# ---------------------------------------------------------------- signals
ns "$XIPSEC" -c "$WORK/conf" attach --all --confirm 1 2>&1 | true
status=${PIPESTATUS[0]}
check "nobody reads what attach says: it is done all the same" [ "$status" -eq 0 ]
check "and taken back in time" soon nothing_left
ns "$XIPSEC" -c "$WORK/conf" attach --all 2>&1 | true
check "nobody reads it, no confirmation: both are attached" held black0
check "and safe" exits 0 status
ns "$XIPSEC" -c "$WORK/conf" detach --all 2>&1 | true
check "nobody reads what detach says: nothing is left" nothing_left

for signal in HUP INT QUIT TERM; do
	attach_half --confirm 60
	kill -"$signal" "$half"
	let_go
	wait "$half" 2>/dev/null
	status=$?
	let_go
	check "SIG$signal half-way ends it" [ $status -eq $((128 + $(kill -l "$signal"))) ]
	check "SIG$signal half-way: nothing is left" nothing_left
done
signals=--ignore-signal=HUP
attach_half
kill -HUP "$half"
let_go
wait "$half"
status=$?
let_go
check "what is ignored does not end it" [ $status -eq 0 ]
check "then black is held" held black0
xipsec detach --all

# ---------------------------------------------------------------- killed
attach_half
kill -KILL "$half"
wait "$half" 2>/dev/null
let_go
check "killed half-way: black is attached, red is not" eval 'attached black0 && free red0'
check "status is unsafe" exits 6 status
check "and names black" fault_says black0 "not on record"
check "attach --all mends it" exits 0 attach --all
check "black is held" held black0
check "red is attached" attached red0
check "then it is safe" exits 0 status
xipsec detach --all

attach_half
kill -KILL "$half"
wait "$half" 2>/dev/null
let_go
daemon_start
check "killed half-way: xipsecd takes in what was done" soon held black0
make_black_anew black0
check "and attaches it when it is made anew" soon held black0
daemon_stop
xipsec detach --all
check "nothing is left of that" nothing_left

# ---------------------------------------------------------------- made anew while it waits
daemon_start
check "attach --confirm" exits 0 attach --all --confirm 60
soon grep -q "is open" "$WORK/xipsecd.log"
make_black_anew black0
check "made anew while it waits: attached" soon held black0
kill -TERM "$(sed -n 's/^pid //p' "$WORK/run/confirm")"
check "taken back: nothing is left, on the new one neither" soon nothing_left
daemon_stop

# ---------------------------------------------------------------- renamed
rename()
{
	ns ip link set "$1" down
	ns ip link set "$1" name "$2"
	ns ip link set "$2" up
}
xipsec attach --all
rename black0 wan0
check "renamed: status is unsafe" exits 6 status
check "and names it" fault_says wan0 "renamed"
check "attach --all takes it in" exits 0 attach --all
check "wan0 is held" held wan0
check "it is safe" exits 0 status
xipsec detach --all
rename wan0 black0

xipsec attach --all
daemon_start
rename black0 wan0
check "renamed beside xipsecd: it follows" soon held wan0
check "and tells" grep -q "wan0, which was black0" "$WORK/xipsecd.log"
check "it is safe" exits 0 status
make_black_anew wan0
check "made anew under its new name: attached" soon held wan0
ns ip link del wan0
make_black black0
check "made anew under its old name: attached" soon held black0
daemon_stop
xipsec detach --all
check "nothing is left in the end" nothing_left
[ "$FAILED" -eq 0 ]
