#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# make demo: two gateways, the hosts behind them, traffic through the tunnel, and a capture in between
# that says whether anything was in the clear. SECONDS_EACH: how long each load runs (4). KEYS=manual:
# keys of the config instead of IKE.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
set -u
LIB=$(cd "$(dirname "$0")/lib" && pwd)
BUILD=$(realpath "${BUILD:-$LIB/../../build}")
# shellcheck disable=SC2034
TOPO=xipsec-demo-$$ # several may run at once
LOAD_SECONDS=${SECONDS_EACH:-4}
LOAD_LIMIT=$((LOAD_SECONDS + 15 * ${XIPSEC_SLOW:-1}))

if [ "$(id -u)" != 0 ]; then
	echo "demo: FAIL: needs root: sudo make demo"
	exit 1
fi
for left in /run/netns/xipsec-demo-*-gw-a; do
	left=${left#/run/netns/xipsec-demo-} left=${left%-gw-a}
	[ "$left" = '*' ] || kill -0 "$left" 2>/dev/null ||
		echo "demo: note: the demo with pid $left was killed and left namespaces, remove them:" \
			"for n in red-a gw-a link gw-b red-b; do ip netns del xipsec-demo-$left-\$n; done"
done

. "$LIB/topology.sh"
. "$LIB/tap.sh"
. "$LIB/capture.sh"
. "$LIB/gateway.sh"
[ "${KEYS:-ike}" = manual ] || . "$LIB/ike.sh"

WHY='it was interrupted'
exec 3>&1
# At whatever command an interrupt comes, and wherever that writes to: the verdict is for the reader.
finish()
{
	trap - EXIT
	trap '' INT TERM
	exec >&3 2>&3
	[ -z "$WHY" ] || for x in a b; do
		[ -s "$WORK/xipsecd-$x.log.new" ] || continue
		echo "--- last words of xipsecd in gw-$x"
		tail -n 15 "$WORK/xipsecd-$x.log.new" "$WORK/iked-$x.log.new" 2>/dev/null
	done
	topology_down
	if [ -n "$WHY" ]; then
		echo "demo: FAIL: $WHY"
		exit 1
	fi
	echo "demo: PASS"
	exit 0
}
trap finish EXIT
trap 'exit 130' INT TERM

fail()
{
	WHY=$*
	exit 1
}

step() { printf '* %s\n' "$*"; }

# Packets and bytes of all SAs of gw-a: "packets bytes".
sa_totals() { gw a sa list --json | jq -r '[.. | objects | select(has("spi"))]
	| "\(map(.packets) | add) \(map(.bytes) | add)"'; }

# counter PID LABEL: one line that is rewritten while the load runs (a line a second without tty).
counter()
{
	local pid=$1 label=$2 packets bytes last_packets last_bytes end='\n'

	[ ! -t 1 ] || end='\r'
	read -r last_packets last_bytes <<<"$(sa_totals)"
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		read -r packets bytes <<<"$(sa_totals)"
		awk -v l="$label" -v p="$packets" -v dp=$((packets - last_packets)) \
			-v db=$((bytes - last_bytes)) -v end="$end" 'BEGIN {
			printf "  %-4s %12d packets through the tunnel, %8.1f kpps, %6.2f Gbit/s   " end,
				l, p, dp / 1e3, db * 8 / 1e9 }'
		last_packets=$packets last_bytes=$bytes
	done
	[ ! -t 1 ] || echo
	reap "$pid"
}

# load LABEL IPERF-OPTIONS...: both directions at once; its Gbit/s in RATE, 0 when it failed.
load()
{
	local label=$1 out=$WORK/iperf-$1.json status=0
	shift
	spawn red-a "$out" timeout -k 2 "$LOAD_LIMIT" iperf3 -c 10.2.0.2 --bidir -t "$LOAD_SECONDS" --connect-timeout 3000 -J "$@"
	counter "$PID" "$label" || status=$?
	[ $status -ne 124 ] || fail "$label load: iperf3 did not end within $LOAD_LIMIT s"
	RATE=$(jq -r '[.end | .sum_received, .sum_received_bidir_reverse | objects | .bits_per_second]
		| add // 0 | . / 1e9' "$out" 2>/dev/null)
	RATE=${RATE:-0}
	awk -v r="$RATE" 'BEGIN { exit r <= 0 }' ||
		fail "$label load: $(jq -r '.error // "nothing was carried"' "$out" 2>/dev/null)"
}

drops()
{
	gw "$1" status --json | jq -r '[.. | objects
		| select((.kind? == "drop") and (.packets? // 0) > 0) | {name, packets}]
		| group_by(.name) | map("\(.[0].name) \(map(.packets) | add)") | join(", ")
		| if . == "" then "none" else . end'
}

table()
{
	printf '\n%-22s %-8s %12s %16s\n' tunnel SPI packets bytes
	gw a sa list --json | jq -r '.. | objects | select(has("spi"))
		| [.name, (.spi | tostring), .packets, .bytes] | @tsv' |
		while IFS=$'\t' read -r name spi packets bytes; do
			printf '%-22s %-8s %12s %16s\n' "$name" "$spi" "$packets" "$bytes"
		done
	printf '\n%-22s %s Gbit/s\n' 'TCP, both directions' "$(printf %.2f "$TCP_RATE")"
	printf '%-22s %s Gbit/s\n' 'UDP, both directions' "$(printf %.2f "$UDP_RATE")"
	printf '%-22s %s\n' 'drops in gw-a' "$(drops a)" 'drops in gw-b' "$(drops b)"
}

step "topology: red-a --- gw-a ===[capture]=== gw-b --- red-b"
topology_up || fail "the topology could not be made"

# Two captures: one keeps the headers of ESP, to count it; the other all that is not ESP, and must
# not lose a packet.
capture_start "$WORK/esp.pcap" 66 esp || fail "the capture does not start"
ESP_PID=$CAPTURE_PID
capture_start "$WORK/clear.pcap" 128 not esp || fail "the capture does not start"
CLEAR_PID=$CAPTURE_PID

step "attach, policies"
for x in a b; do
	gw_config $x
	gw_attach $x >"$WORK/attach-$x.log" 2>&1 || {
		cat "$WORK/attach-$x.log"
		fail "xipsec attach in gw-$x"
	}
	gw_start $x || fail "xipsecd in gw-$x does not come up"
done
if [ "${KEYS:-ike}" != manual ]; then
	step "IKE: a preshared key; the first packet makes the SAs"
	for x in a b; do
		ike_start $x || fail "xipsec-iked in gw-$x does not come up"
	done
fi

step "ping through the tunnel, IPv4 and IPv6"
until_true 5 ping4 a 1
ping4 a 3 | grep -E '^(64 bytes|rtt)' || fail "ping does not come through"
until_true 5 ping6 a 1
ping6 a 3 | grep -E '^(64 bytes|rtt)' || fail "ping over IPv6 does not come through"

spawn red-b "$WORK/iperf-server.log" iperf3 -s
# Not by connecting: iperf3 takes that for a client, and resets whoever comes while it cleans up.
listens() { in_ns red-b ss -Hltn 'sport = :5201' | grep -q .; }
until_true 3 listens || fail "iperf3 does not listen"
step "TCP, both directions, $LOAD_SECONDS s"
load TCP
TCP_RATE=$RATE
step "UDP, both directions, $LOAD_SECONDS s"
load UDP -u -b 300M -l 1300
UDP_RATE=$RATE

table

CAPTURE_PID=$CLEAR_PID
capture_stop || fail "the capture of plaintext lost packets: no verdict"
capture_verdict -i >"$WORK/verdict" || :
cat "$WORK/verdict"
IN_CLEAR=$((CLEAR + MARKED))
# shellcheck disable=SC2034
CAPTURE_FILE=$WORK/esp.pcap CAPTURE_PID=$ESP_PID
capture_stop >"$WORK/lost"
capture_verdict >"$WORK/verdict" || :
printf '\n%-22s %s ESP packets, %s in the clear, %s nonces used twice\n' 'capture between' "$ESP" \
	"$IN_CLEAR" "$REPEATED"
[ ! -s "$WORK/lost" ] || sed 's/^# /  (of ESP, /; s/$/: it was counted less than was sent)/' "$WORK/lost"

[ "$IN_CLEAR" = 0 ] || fail "$IN_CLEAR packets were in the clear"
[ "$REPEATED" = 0 ] || fail "$REPEATED nonces were used twice"
[ "$ESP" -gt $((1000 / ${XIPSEC_SLOW:-1})) ] || fail "only $ESP ESP packets were seen"
WHY=
exit 0
