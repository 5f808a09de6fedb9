# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# The topology of all namespace tests, of the demo and of the benchmark; sourced, needs TOPO, a prefix
# of its own for each run.
#
#	red-a ra0 --- red0 gw-a blk0 --- la [br0: bridge, no XDP, the capture] lb --- blk0 gw-b red0 --- rb0 red-b
#
#	red-a 10.1.0.2 fd01::2 | gw-a red 10.1.0.1 fd01::1, black 192.0.2.1 2001:db8::1
#	red-b 10.2.0.2 fd02::2 | gw-b red 10.2.0.1 fd02::1, black 192.0.2.2 2001:db8::2
#
# Namespaces are entered with nsenter: `ip netns exec` would hide the pins in /sys/fs/bpf.

WORK=${WORK:-$(mktemp -d /tmp/xipsec-test.XXXXXX)}
chmod 711 "$WORK"
TOPO_NODES='red-a gw-a link gw-b red-b'
SPAWNED=()

in_ns()
{
	local node=$1
	shift
	nsenter --net="/run/netns/$TOPO-$node" -- "$@"
}

# spawn NODE LOG COMMAND...: in the background; its pid in $PID. It is ended by cleanup. LOG is empty
# when it returns: nothing of what an earlier one said there is taken for its word.
spawn()
{
	local node=$1 log=$2
	shift 2
	: >"$log"
	nsenter --net="/run/netns/$TOPO-$node" -- "$@" >"$log" 2>&1 </dev/null &
	PID=$!
	SPAWNED+=("$PID")
}

# The shell's word on a killed child ("Killed  nsenter ...") is kept out of the log.
reap()
{
	wait "$@" 2>/dev/null
}

# end_pid PID [SECONDS]: asks, waits, then insists.
end_pid()
{
	local pid=$1 tries=$((${2:-3} * 20))

	kill -TERM "$pid" 2>/dev/null || return 0
	while [ $tries -gt 0 ] && kill -0 "$pid" 2>/dev/null; do
		sleep 0.05
		tries=$((tries - 1))
	done
	kill -KILL "$pid" 2>/dev/null
	reap "$pid"
	return 0
}

# until_true SECONDS COMMAND...: polls; fails when the time is over, on a machine that is said to be
# XIPSEC_SLOW times slower as many times later.
until_true()
{
	local tries=$(($1 * 10 * ${XIPSEC_SLOW:-1}))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

bpffs_mount()
{
	[ "$(stat -f -c %T /sys/fs/bpf 2>/dev/null)" = bpf_fs ] && return
	echo "# mounting bpffs on /sys/fs/bpf"
	mount -t bpf bpf /sys/fs/bpf
}

# veth NODE-A NAME-A NODE-B NAME-B
veth()
{
	local queues="numrxqueues ${QUEUES:-1} numtxqueues ${QUEUES:-1}"
	# shellcheck disable=SC2086
	ip link add "$2" $queues netns "$TOPO-$1" type veth peer name "$4" $queues netns "$TOPO-$3"
}

net_sysctl()
{
	local node=$1
	shift
	in_ns "$node" sysctl -qw "$@"
}

link_up()
{
	ip -n "$TOPO-$1" link set "$2" mtu "${MTU:-1500}"
	ip -n "$TOPO-$1" link set "$2" up
}

# Black and red interface of gateway a or b, again and again: tests delete and re-create them.
gateway_black_up()
{
	local x=$1 n=1
	[ "$x" = a ] || n=2
	link_up "gw-$x" blk0
	ip -n "$TOPO-gw-$x" addr replace 192.0.2.$n/24 dev blk0
	ip -n "$TOPO-gw-$x" addr replace 2001:db8::$n/64 dev blk0 nodad
	ip -n "$TOPO-gw-$x" route replace 10.$((3 - n)).0.0/16 via 192.0.2.$((3 - n))
	ip -n "$TOPO-gw-$x" route replace fd0$((3 - n))::/64 via 2001:db8::$((3 - n))
}

gateway_red_up()
{
	local x=$1 n=1
	[ "$x" = a ] || n=2
	link_up "gw-$x" red0
	ip -n "$TOPO-gw-$x" addr replace 10.$n.0.1/24 dev red0
	ip -n "$TOPO-gw-$x" addr replace fd0$n::1/64 dev red0 nodad
}

red_host_up()
{
	local x=$1 n=1
	[ "$x" = a ] || n=2
	link_up "red-$x" "r${x}0"
	ip -n "$TOPO-red-$x" addr replace 10.$n.0.2/24 dev "r${x}0"
	ip -n "$TOPO-red-$x" addr replace fd0$n::2/64 dev "r${x}0" nodad
	ip -n "$TOPO-red-$x" route replace default via 10.$n.0.1
	ip -n "$TOPO-red-$x" -6 route replace default via fd0$n::1
}

link_port_up()
{
	ip -n "$TOPO-link" link set "$1" master br0
	link_up link "$1"
	# Frames that XDP redirects into a veth vanish unless its peer polls; GRO makes it poll.
	in_ns link ethtool -K "$1" gro on >/dev/null 2>&1 || true
}

topology_up()
{
	local node x

	bpffs_mount || return
	for node in $TOPO_NODES; do
		ip netns add "$TOPO-$node" || return
		net_sysctl "$node" net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
		ip -n "$TOPO-$node" link set lo up
	done
	net_sysctl link net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	veth red-a ra0 gw-a red0 && veth gw-a blk0 link la && veth gw-b blk0 link lb &&
		veth red-b rb0 gw-b red0 || return
	ip -n "$TOPO-link" link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	ip -n "$TOPO-link" link set br0 mtu "${MTU:-1500}" up
	link_port_up la
	link_port_up lb
	for x in a b; do
		net_sysctl gw-$x net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		gateway_red_up $x
		gateway_black_up $x
		red_host_up $x
	done
}

# Everything this run has made: processes by pid, namespaces, pins, files. Safe to call twice.
topology_down()
{
	local pid node

	for pid in "${SPAWNED[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	for pid in "${SPAWNED[@]}"; do
		end_pid "$pid" 2
	done
	SPAWNED=()
	for node in $TOPO_NODES; do
		[ -e "/run/netns/$TOPO-$node" ] || continue
		for pid in $(ip netns pids "$TOPO-$node" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$TOPO-$node" 2>/dev/null
	done
	rm -rf "/sys/fs/bpf/$TOPO"-*
	if [ -n "${KEEP:-}" ]; then
		echo "# kept: $WORK"
	else
		rm -rf "$WORK"
	fi
}
