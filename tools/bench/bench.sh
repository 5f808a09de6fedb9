#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# make bench. One worker on one core; the generator, and with it the receive side of the gateway's
# red interface, on the other. Each variant has namespaces of its own and stands ready all the time;
# they take turns, ROUNDS times, and the medians are compared.
#
#	gen-V  gen0 --- red0  gw-V  blk0 --- sink0  sink-V		V: aes, null, reflect
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
BENCH=$BUILD/bench/xipsec-bench
ROUNDS=${ROUNDS:-5}
WARMUP_MS=${WARMUP_MS:-400}
MEASURE_MS=${MEASURE_MS:-1000}
TOPO=xb$$
VARIANTS='aes null reflect'
NODES=
for v in $VARIANTS; do NODES="$NODES gen-$v gw-$v sink-$v"; done

if [ "$(id -u)" != 0 ]; then
	echo 'bench: needs root: sudo make bench' >&2
	exit 1
fi
. tests/lib/topology.sh
. tests/lib/tap.sh
. tests/lib/gateway.sh
TOPO_NODES=$NODES
trap 'trap - EXIT; topology_down' EXIT
trap 'exit 130' INT TERM

RED_MAC=02:00:00:00:00:02 SINK_MAC=02:00:00:00:00:04
CORES=$(nproc)
WORKER_CORE=$((CORES > 1 ? 1 : 0))

fail()
{
	echo "bench: FAIL: $*" >&2
	exit 1
}

variant_topology()
{
	local v=$1 node

	for node in gen-"$v" gw-"$v" sink-"$v"; do
		ip netns add "$TOPO-$node" || return
		net_sysctl "$node" net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
		ip -n "$TOPO-$node" link set lo up
	done
	veth gen-"$v" gen0 gw-"$v" red0 && veth gw-"$v" blk0 sink-"$v" sink0 || return
	ip -n "$TOPO-gw-$v" link set red0 address $RED_MAC
	ip -n "$TOPO-sink-$v" link set sink0 address $SINK_MAC
	link_up gen-"$v" gen0
	link_up gw-"$v" red0
	link_up gw-"$v" blk0
	link_up sink-"$v" sink0
	# The interface that the generator's program is attached to; it stays down.
	ip -n "$TOPO-gen-$v" link add spare0 type veth peer name spare1
	net_sysctl gw-"$v" net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
	ip -n "$TOPO-gw-$v" addr add 10.1.0.1/24 dev red0
	ip -n "$TOPO-gw-$v" addr add 192.0.2.1/24 dev blk0
	ip -n "$TOPO-gw-$v" route add 10.2.0.0/16 via 192.0.2.2
	ip -n "$TOPO-gw-$v" neigh replace 192.0.2.2 lladdr $SINK_MAC dev blk0 nud permanent
}

# gateway VARIANT XIPSECD: one tunnel, one worker, pinned.
gateway()
{
	local v=$1

	XIPSECD=$2
	new_keys
	gw_config a
	: >"$WORK/gw-$v.conf"
	chmod 600 "$WORK/gw-$v.conf"
	sed "s,/$TOPO-a\$,/$TOPO-$v,; s,/run-a\$,/run-$v,; s,/state-a\$,/state-$v," \
		"$WORK/gw-a.conf" >"$WORK/gw-$v.conf"
	gw_attach "$v" >"$WORK/attach-$v.log" 2>&1 || {
		cat "$WORK/attach-$v.log" >&2
		fail "xipsec attach ($v)"
	}
	gw_start "$v" >&2 || fail "xipsecd ($v)"
	for pid in $(gw_workers "$v"); do
		taskset -a -p -c $WORKER_CORE "$pid" >/dev/null
	done
}

# measure VARIANT FRAME_BYTES: packets a second that reach the sink.
measure()
{
	local v=$1 bytes=$2 rate seconds
	seconds=$(awk -v w="$WARMUP_MS" -v m="$MEASURE_MS" 'BEGIN { print (w + m) / 1000 + 0.3 }')

	spawn gen-"$v" "$WORK/gen-$v.log" taskset -c 0 "$BENCH" generate gen0 spare0 $RED_MAC "$bytes" "$seconds"
	rate=$(in_ns sink-"$v" "$BENCH" sink sink0 "$WARMUP_MS" "$MEASURE_MS") || fail "sink ($v)"
	reap "$PID" || {
		cat "$WORK/gen-$v.log" >&2
		fail "generator ($v)"
	}
	[ "${rate%% *}" -gt 0 ] || fail "nothing came through ($v, $bytes bytes): $(why_nothing "$v")"
	echo "${rate%% *}" >>"$WORK/rate-$v-$bytes"
}

why_nothing()
{
	[ "$1" != reflect ] || return
	gw "$1" status --json | jq -r '[.. | objects | select((.kind? == "drop") and (.packets? // 0) > 0)
		| "\(.name) \(.packets)"] | join(", ")'
}

median() { sort -n "$WORK/rate-$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# row NAME FRAME_BYTES OURS OTHER OTHER_NAME
row()
{
	local ours other
	ours=$(median "$3-$2") other=$(median "$4-$2")
	awk -v name="$1" -v bytes="$2" -v ours="$ours" -v other="$other" -v other_name="$5" 'BEGIN {
		printf "%-18s %7.3f Mpps %7.3f Gbit/s   %7.3f Mpps  %-24s %5.2f\n", name, ours / 1e6,
			ours * bytes * 8 / 1e9, other / 1e6, other_name, ours / other }' >&2
	jq -n --arg name "$1" --argjson ours "$ours" --argjson other "$other" --arg other_name "$5" \
		'{name: $name, unit: "packets/s", ours: $ours, other: $other, other_name: $other_name,
		ratio: ($ours / $other)}'
}

bpffs_mount
for v in $VARIANTS; do
	variant_topology "$v" || fail "topology ($v)"
done
gateway aes "$BUILD/xipsecd"
gateway null "$BUILD/bench/null/xipsecd"
spawn gw-reflect "$WORK/reflect.log" taskset -c $WORKER_CORE "$BENCH" reflect red0 blk0 $SINK_MAC

for round in $(seq "$ROUNDS"); do
	[ ! -t 2 ] || printf 'round %d of %d\r' "$round" "$ROUNDS" >&2
	for bytes in 64 1400; do
		for v in $VARIANTS; do
			[ "$v-$bytes" = reflect-1400 ] || measure "$v" "$bytes"
		done
	done
done

echo "# frames of 64 and 1400 bytes at the gateway's red interface (Ethernet header to end of packet, no FCS), UDP" >&2
echo "# in one flow; Mpps as they arrive behind the black one, Gbit/s of those red frames; $CORES cores, one worker" >&2
[ "$CORES" -gt 1 ] || echo '# one core only: generator and worker share it' >&2
printf '%-18s %12s %14s   %12s  %-24s %5s\n' row ours '' other '' ratio >&2
{
	row gateway-64 64 aes null 'crypto off'
	row gateway-1400 1400 aes null 'crypto off'
	row gateway-reflector 64 null reflect 'minimal AF_XDP reflector'
} | jq -s . >"$BUILD/bench/report.json"
echo "# written: $BUILD/bench/report.json" >&2
