#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# 50,000 IKE_SA_INIT requests a second for 20 s from 131,072 addresses that are not theirs, each fit to be
# answered. An honest peer is up within 2 s all the same, an SA that is up does not notice, and memory
# stays bounded; half-open IKE SAs go when their time is over.
#
# Alone: what is too slow here is xipsec, and not the machine.
#
#	red-a --- gw-a ===[bridge: the flood]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

FLOOD=$BUILD/tests/tools/ikeflood
PPS=${PPS:-50000}
SECONDS_OF_IT=${SECONDS_OF_IT:-20}
IKE_START=none

# Strangers are answered: a connection of gw-a is for everybody.
for_everybody()
{
	cat <<-END
		any {
			local_addrs = 192.0.2.1
			remote_addrs = %any
			proposals = aes128gcm16-prfsha256-x25519
			local { auth = psk
				id = gw1.example.org }
			remote { auth = psk
				id = *.road.example.org }
			children { road { local_ts = 10.1.0.0/16
				remote_ts = 10.77.0.0/16 } }
		}
	END
}

config_a()
{
	gw_config a
	for_everybody >"$WORK/any"
	sed -i "/^connections {/r $WORK/any" "$WORK/gw-a.conf"
}

rss() # KiB, of all processes of gw-a's iked
{
	local pid
	for pid in ${IKED_PID[a]} $(pgrep -P "${IKED_PID[a]}"); do cat "/proc/$pid/status"; done |
		awk '/^VmRSS/ { kb += $2 } END { print kb }'
}
counter() { swanctl --counters --raw --uri "unix://$WORK/run-a/charon.vici" | grep -o " $1=[0-9]*" | head -n 1 | cut -d= -f2; }
half_open() { swanctl --stats --raw --uri "unix://$WORK/run-a/charon.vici" | grep -o 'half-open=[0-9]*' | cut -d= -f2; }
few_half_open() { [ "$(half_open)" -lt 8 ]; }

# up_within MS CHILD: gw-b begins; the time that it took is told.
up_within()
{
	local from took
	from=$(date +%s%N)
	gw b up "$2" >"$WORK/out" 2>&1 || { note <"$WORK/out"; return 1; }
	took=$((($(date +%s%N) - from) / 1000000))
	TOOK="${TOOK:-} $took"
	[ $took -le $(($1 * ${XIPSEC_SLOW:-1})) ]
}

gateways_start()
{
	config_a && gw_config b && gw_attach a >/dev/null && gw_attach b >/dev/null && gw_start a && gw_start b &&
		ike_start a && ike_start b
}
check "gateways and daemons come up" gateways_start || exit 1
# Answers to strangers go out, to a MAC that nobody has.
ip -n "$TOPO-gw-a" route add 198.18.0.0/15 via 192.0.2.99
ip -n "$TOPO-gw-a" neigh replace 192.0.2.99 lladdr 02:00:00:00:00:99 dev blk0 nud permanent
check "without a flood" up_within 2000 net4
check "it carries traffic" ping4 a 2
before=$(rss)
mac=$(ip -n "$TOPO-gw-a" -j link show blk0 | jq -r '.[0].address')
spawn link "$WORK/flood" "$FLOOD" la "$mac" 192.0.2.1 "$PPS" "$SECONDS_OF_IT"
flood=$PID
sleep 3
during=$(rss)
check "an honest peer in the flood: another child of it" up_within 2000 net6
gw b down peer >/dev/null 2>&1
check "an honest peer in the flood, from the beginning" up_within 2000 net4
check "its traffic goes through" ping4 b 3
for _ in 1 2 3; do
	gw b down peer >/dev/null 2>&1
	check "and once more" up_within 2000 net4
done
late=$(rss)
check "the child lives" test -n "$(ike_child_pid a)"
half=$(half_open)
check_gt "strangers got as far as being half-open" "$half" 64
check "no more of them than the bound" test "$half" -le 4096
reap "$flood"
echo "# flood: $(cat "$WORK/flood")"
after=$(rss)
echo "# up after ms:$TOOK"
echo "# RSS of xipsec-iked, KiB: before $before, during $during, late $late, after $after; cookies sent: $(counter cookie-sent), refused: $(counter halfopen-refused)"
sent=$(awk '{ print $2 }' "$WORK/flood")
check_gt "the flood was one: requests sent" "$sent" $((PPS * SECONDS_OF_IT * 95 / 100 / ${XIPSEC_SLOW:-1}))
check_gt "cookies were asked for" "$(counter cookie-sent)" $((sent / 10))
check "memory is bounded: 8 MiB more at most" test $((after - before)) -lt 8192 -a $((late - before)) -lt 8192
check "half-open IKE SAs end" until_true 40 few_half_open
check "and the tunnel still works" ping4 a 3
