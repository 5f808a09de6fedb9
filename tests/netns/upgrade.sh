#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Upgrades without traffic: from one ABI to another and back, hooks replaced and never empty, a
# failing upgrade changes nothing, and a mix that a crash left is taken over.
#
#	[ ns: red0=red1  black0=black1 ]	one namespace, nobody else
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
OLD=$BUILD/xipsec
NEW=$BUILD/next/xipsec # the same source, built with another XIPSEC_ABI
NS=xup$$
WORK=$(mktemp -d /tmp/xipsec-upgrade-XXXXXX)
PINS=$WORK/bpffs/pins

. tests/lib/check.sh

watcher=
# shellcheck disable=SC2317
clean_up()
{
	trap - EXIT
	[ -z "$watcher" ] || kill "$watcher" 2>/dev/null
	ns "$OLD" -c "$WORK/conf" detach --all >/dev/null 2>&1
	ip netns del "$NS" 2>/dev/null
	umount "$WORK/bpffs" 2>/dev/null
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

ns() { nsenter --net=/run/netns/"$NS" "$@"; }
old() { ns "$OLD" -c "$WORK/conf" "$@" >"$WORK/out" 2>&1; }
new() { ns "$NEW" -c "$WORK/conf" "$@" >"$WORK/out" 2>&1; }
field() { "$1" status --json && jq -r "$2" "$WORK/out"; }
xdp_of() { ns bpftool -j net show dev "$1" | jq -r '.[0].xdp[0].id // empty'; }
hooks() { field "$1" '[.interfaces[] | select(.role != "none") | .xdp.prog_id, .tc.prog_id, .tc_in.prog_id] | unique | join(" ")'; }
states() { bpftool -j map show pinned "$PINS/sa_state" | jq .id; }
generations() { (cd "$PINS" && echo gen-*); }

if [ "$(id -u)" != 0 ]; then
	echo "skip upgrade: needs root (namespaces, bpf)"
	exit 0
fi
[ -x "$OLD" ] || {
	not_ok "upgrade: $OLD is not built: make"
	exit 1
}
if [ ! -x "$NEW" ]; then
	echo "skip upgrade: $NEW is not built: make variants"
	exit 0
fi
mkdir "$WORK/bpffs" && mount -t bpf bpf "$WORK/bpffs" && ip netns add "$NS" || exit 1
cat >"$WORK/conf" <<-END
	datapath {
		pin_dir = $PINS
		run_dir = $WORK/run
		state_dir = $WORK/state
		exempt = red1, black1
	}
	policies {
		net-net {
			action = protect
			local = 10.1.0.0/16
			remote = 10.2.0.0/16
		}
	}
END
ns ip link add red0 type veth peer name red1
ns ip link add black0 type veth peer name black1
for dev in lo red0 red1 black0 black1; do ns ip link set "$dev" up; done

old attach black0 --role unprotected
check "attach with the old build" old attach red0 --role protected
check "the old build is safe" old status
was=$(hooks old)

# ---------------------------------------------------------------- to the new ABI
check "the new build knows the pins are not its own" [ "$(field new .attached)" = false ]
check "and does not call what is enforced unsafe" [ "$(field new .safe)" = true ]
check "reload refuses another version's pins" grep -q "another version" <(ns "$NEW" -c "$WORK/conf" reload 2>&1)

# Looks all the time: a hook must never be empty.
(
	while :; do
		for dev in red0 black0; do
			[ -n "$(xdp_of $dev)" ] || echo "$dev" >>"$WORK/gap"
		done
	done
) &
watcher=$!
check "attach of the new build upgrades unasked" new attach red0 --role protected
check "every program is another one" [ -z "$(comm -12 <(tr ' ' '\n' <<<"$was") <(hooks new | tr ' ' '\n'))" ]
check "all five hooks are there" [ "$(hooks new | wc -w)" = 5 ]
check "the new ABI rules" [ "$(field new .pinned_abi)" = 1000 ]
check "one generation is left" [ "$(generations)" = gen-2 ]
check "the new build is safe" new status
check "its policies are filled" [ "$(field new .rules)" = 1 ]

# ---------------------------------------------------------------- and back
check "the old build takes over again" old attach --all --upgrade
check "the old ABI rules" [ "$(field old ".pinned_abi == .abi and .abi != 1000")" = true ]
check "one generation is left after the way back" [ "$(generations)" = gen-3 ]
states=$(states)
check "same ABI, asked for" old attach --all --upgrade
check "the states of SAs stay in their map" [ "$(states)" = "$states" ]
check "the generation of the policies goes on" [ "$(field old .spd_generation)" -ge 2 ]
kill "$watcher" && wait "$watcher" 2>/dev/null
watcher=
check "no hook was ever empty" [ ! -e "$WORK/gap" ]

# ---------------------------------------------------------------- an upgrade that fails
was=$(hooks old)
generation=$(field old .generation)
broken_policies()
{
	sed 's/remote = .*/&\n\t}\n\tp2 {\n\t\taction = perhaps/' "$WORK/conf" >"$WORK/conf.bad"
	! ns "$NEW" -c "$WORK/conf.bad" attach --all --upgrade >"$WORK/out" 2>&1
}
# 17 x 17 pairs are 289 rules.
too_many_rules()
{
	local nets

	nets=$(seq -s, -f '10.%.0f.0.0/16' 1 17)
	sed "s|local = .*|local = $nets|; s|remote = .*|remote = $nets|; s|datapath {|&\n\tmax_rules = 288|" \
		"$WORK/conf" >"$WORK/conf.bad"
	! ns "$NEW" -c "$WORK/conf.bad" attach --all --upgrade >"$WORK/out" 2>&1
}
check "an upgrade with a broken config is refused" broken_policies
check "an upgrade with too many rules is refused" too_many_rules
check "nothing has changed" [ "$(hooks old) $(field old .generation)" = "$was $generation" ]

# ---------------------------------------------------------------- what a crash leaves
# One hook of a generation that has no pins, the others of the current one.
rm -rf "${PINS:?}"
old attach red0 --role protected
check "after a cleared bpffs all four hooks are of one generation" \
	[ "$(field old '[.interfaces[] | select(.role != "none") | .xdp.current, .tc.current, .tc_in.current] | all')" = true ]
check "and the states of SAs are found by the programs" [ "$(states)" = "$states" ]
mkdir "$PINS/gen-99"
check "a half-built generation is swept at the next upgrade" new attach --all --upgrade
check "only one generation is left" [ "$(generations | wc -w)" = 1 ]
check "detach by the other build" old detach --all
check "nothing is left" [ ! -e "$PINS" ]
[ $FAILED -eq 0 ]
