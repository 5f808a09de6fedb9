#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# make bench. One worker on one core; the generator, and with it the receive side of the gateway's
# red interface, on the other. Each variant has namespaces of its own and stands ready all the time;
# they take turns, ROUNDS times, and the medians are compared.
#
#	gen-V  gen0 --- red0  gw-V  blk0 --- sink0  sink-V		V: aes, null, reflect, asis
#
# reflect sends frames as long as those of aes and null, asis sends them as they came.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
BENCH=$BUILD/bench/xipsec-bench
ROUNDS=${ROUNDS:-5}
WARMUP_MS=${WARMUP_MS:-400}
MEASURE_MS=${MEASURE_MS:-1000}
TOPO=xb$$
VARIANTS='aes null reflect asis'
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

# What ESP adds to the inner packet of 50 bytes in a frame of 64, in front (IPv4 20, ESP 8, IV 8) and
# behind (trailer 2, no padding, ICV 16). Whether it does is measured at the sink.
ESP_HEAD=36 ESP_TAIL=18
declare -A WORKER_PID
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
		WORKER_PID[$v]=$pid
	done
}

# reflector VARIANT HEAD TAIL
reflector()
{
	spawn gw-"$1" "$WORK/$1.log" taskset -c $WORKER_CORE "$BENCH" reflect red0 blk0 $SINK_MAC "$2" "$3"
	WORKER_PID[$1]=$PID
}

# measure VARIANT FRAME_BYTES: a line of what the sink says.
measure()
{
	local v=$1 bytes=$2 rate seconds
	seconds=$(awk -v w="$WARMUP_MS" -v m="$MEASURE_MS" 'BEGIN { print (w + m) / 1000 + 0.3 }')

	spawn gen-"$v" "$WORK/gen-$v.log" taskset -c 0 "$BENCH" generate gen0 spare0 $RED_MAC "$bytes" "$seconds"
	rate=$(in_ns sink-"$v" "$BENCH" sink sink0 "$WARMUP_MS" "$MEASURE_MS" "${WORKER_PID[$v]}") ||
		fail "sink ($v)"
	reap "$PID" || {
		cat "$WORK/gen-$v.log" >&2
		fail "generator ($v)"
	}
	[ "${rate%% *}" -gt 0 ] || fail "nothing came through ($v, $bytes bytes): $(why_nothing "$v")"
	echo "$rate" >>"$WORK/turns-$v-$bytes"
}

why_nothing()
{
	[ "$1" = aes ] || [ "$1" = null ] || return
	gw "$1" status --json | jq -r '[.. | objects | select((.kind? == "drop") and (.packets? // 0) > 0)
		| "\(.name) \(.packets)"] | join(", ")'
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# field TURNS N: median of the sink's Nth number.
field() { cut -d' ' -f"$2" "$WORK/turns-$1" | median; }

# ratios OURS OTHER COLUMN-A COLUMN-B: A / B of the turns side by side, for what disturbs the machine
# disturbs neighbours. Columns 1 to 3 are ours, 4 to 6 the other's.
ratios()
{
	paste -d' ' "$WORK/turns-$1" "$WORK/turns-$2" |
		awk -v a="$3" -v b="$4" '{ print ($b > 0 ? $a / $b : 0) }' | median
}

# row NAME FRAME_BYTES OURS OTHER OTHER_NAME
row()
{
	local ours=$3-$2 other=$4-$2 json

	json=$(jq -n --arg name "$1" --arg other_name "$5" \
		--argjson ours "$(field "$ours" 1)" --argjson other "$(field "$other" 1)" \
		--argjson ratio "$(ratios "$ours" "$other" 1 4)" \
		--argjson ours_cpu_ns "$(field "$ours" 3)" --argjson other_cpu_ns "$(field "$other" 3)" \
		--argjson cpu_ratio "$(ratios "$ours" "$other" 6 3)" \
		'{name: $name, unit: "packets/s", ours: $ours, other: $other, other_name: $other_name,
		ratio: $ratio, ours_cpu_ns: $ours_cpu_ns, other_cpu_ns: $other_cpu_ns, cpu_ratio: $cpu_ratio}') || return
	jq -r '[.name, .ours / 1e6, .other / 1e6, .ratio, .ours_cpu_ns, .other_cpu_ns, .cpu_ratio,
		.other_name] | @tsv' <<<"$json" | awk -F'\t' '{
		printf "%-20s %7.3f %7.3f %6.2f  %7.0f %6.0f %6.2f  %s\n", $1, $2, $3, $4, $5, $6, $7, $8 }' >&2
	printf '%s\n' "$json"
}

bpffs_mount
for v in $VARIANTS; do
	variant_topology "$v" || fail "topology ($v)"
done
gateway aes "$BUILD/xipsecd"
gateway null "$BUILD/bench/null/xipsecd"
reflector reflect $ESP_HEAD $ESP_TAIL
reflector asis 0 0

for round in $(seq "$ROUNDS"); do
	[ ! -t 2 ] || printf 'round %d of %d\r' "$round" "$ROUNDS" >&2
	order=$VARIANTS
	[ $((round % 2)) = 1 ] || order='asis reflect null aes'
	for v in $order; do measure "$v" 64; done
	for v in aes null; do measure "$v" 1400; done
done
[ "$(field null-64 2)" = "$(field reflect-64 2)" ] ||
	fail "the reflector's frames have $(field reflect-64 2) bytes, the gateway's $(field null-64 2): set ESP_HEAD, ESP_TAIL"

cat >&2 <<END
# Frames of 64 and 1400 bytes at the gateway's red interface (Ethernet header to end of packet, no FCS),
# UDP in one flow. Mpps as they arrive behind the black one; CPU ns a packet of the worker, its system calls
# with it. Medians of $ROUNDS turns; a ratio is the median of the turns' ratios. $CORES cores, one worker.
END
[ "$CORES" -gt 1 ] || echo '# one core only: generator and worker share it' >&2
printf '%-20s %7s %7s %6s  %7s %6s %6s\n' '' Mpps other ratio 'CPU ns' other ratio >&2
{
	row gateway-64 64 aes null 'crypto off' &&
		row gateway-1400 1400 aes null 'crypto off' &&
		row gateway-reflector 64 null reflect 'AF_XDP reflector, frames as long' &&
		row gateway-reflector-64 64 null asis 'the same, 64 bytes as they came'
} >"$WORK/rows" || fail 'no report: a turn gave no number'
printf '\n%-44s %7s %7s %6s   ns a packet, one core, memory to memory\n' '' ESP bare ratio >&2
taskset -c $WORKER_CORE "$BENCH-esp" >"$WORK/esp-rows" || fail 'ESP in memory'
echo >&2
echo '# The classifier, ns above an empty program (docs/performance.md)' >&2
taskset -c $WORKER_CORE "$BUILD/tests/prog/bench_spd" >"$WORK/spd-rows" || fail 'the classifier'
echo >&2
BUILD=$BUILD tools/bench/ike.sh >"$WORK/ike-rows" || fail 'IKE'
echo '[]' >"$WORK/vm-rows" # those of `make bench-vm` stay
[ ! -s "$BUILD/bench/report.json" ] ||
	jq 'map(select(.name | startswith("vm-")))' "$BUILD/bench/report.json" >"$WORK/vm-rows"
jq -s 'add' <(jq -s . "$WORK/rows") "$WORK/esp-rows" <(jq -s . "$WORK/spd-rows") \
	<(jq -s . "$WORK/ike-rows") "$WORK/vm-rows" >"$WORK/report" || fail 'no report'
mv "$WORK/report" "$BUILD/bench/report.json" || fail 'no report'
echo "# written: $BUILD/bench/report.json" >&2
