#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# make bench-vm, inside the guest: instructions a packet of gateways, each in a namespace of its own
# with the same way in (live frames, as if red0 had received them) and out (a TAP that nobody reads).
# They take turns; medians. Writes $RESULTS/rows.json, a list of rows.
#
#	live frames -> red0  gw-V  blk0 -> TAP		V: drop reset redirect forward xfrm wg ours veth
#
# drop ends in red0: what the source costs; reset, too, and writes headers before, as the source of
# forward, xfrm and wg must. veth is ours with a veth for blk0.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
BENCH=$BUILD/bench/xipsec-bench
ROUNDS=${XIPSEC_BENCH_ROUNDS:-3}
BURSTS=${XIPSEC_BENCH_BURSTS:-8}
missed=''
TOPO=xv$$
VARIANTS='drop reset redirect forward xfrm wg ours veth'
SIZES='64 1400'
NODES='peer-wg sink-veth'
for v in $VARIANTS; do NODES="$NODES gw-$v"; done
. tests/lib/topology.sh
. tests/lib/tap.sh
. tests/lib/gateway.sh
# shellcheck disable=SC2034 # topology.sh reads it
TOPO_NODES=$NODES
trap 'trap - EXIT; topology_down' EXIT
trap 'exit 130' INT TERM

KEY=0x$(random_hex 20)
BLACK_MAC=02:00:00:00:00:03 NEXT_MAC=02:00:00:00:00:04
ESP_BYTES=$((20 + 8 + 8 + 2 + 16)) # IPv4, ESP, IV, trailer, ICV

fail()
{
	echo "bench: FAIL: $*" >&2
	exit 1
}

# Interfaces and routes of gateway V; blk0 is there already.
node_up()
{
	local v=$1
	ip -n "$TOPO-gw-$v" link add red0 type veth peer name red1
	ip -n "$TOPO-gw-$v" link add spare0 type veth peer name spare1
	ip -n "$TOPO-gw-$v" link set blk0 address $BLACK_MAC
	for i in red0 red1 blk0; do ip -n "$TOPO-gw-$v" link set $i up; done
	net_sysctl "gw-$v" net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
	ip -n "$TOPO-gw-$v" addr add 10.1.0.1/24 dev red0 &&
		ip -n "$TOPO-gw-$v" addr add 192.0.2.1/24 dev blk0 &&
		ip -n "$TOPO-gw-$v" neigh replace 192.0.2.2 lladdr $NEXT_MAC dev blk0 nud permanent &&
		ip -n "$TOPO-gw-$v" route add 10.2.0.0/16 via 192.0.2.2
}

node_new()
{
	ip netns add "$TOPO-$1" || return
	net_sysctl "$1" net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ip -n "$TOPO-$1" link set lo up
}

# The first frames that leave are read, and told in $WORK/tap-V: length, protocol.
tap_new()
{
	spawn "gw-$1" "$WORK/tap-$1" "$BENCH" tap blk0 1
	until_true 5 ip -n "$TOPO-gw-$1" link show blk0 &&
		ip -n "$TOPO-gw-$1" link set blk0 txqueuelen 4 &&
		in_ns "gw-$1" tc qdisc replace dev blk0 root noqueue
}

xfrm_up()
{
	grep -q 'rfc4106-gcm-aesni' /proc/crypto || modprobe aesni_intel || return
	ip -n "$TOPO-gw-xfrm" xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001 reqid 1 \
		mode tunnel aead 'rfc4106(gcm(aes))' "$KEY" 128 replay-window 0 &&
		ip -n "$TOPO-gw-xfrm" xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out \
			tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel &&
		grep -q 'rfc4106-gcm-aesni' /proc/crypto # not table code, nor what another would have
}

# The way to the peer, which answers behind wv0 alone; then into the TAP. Anew for each turn: the guest's
# clock jumps while nobody runs, and keys are young for two minutes.
wg_handshake()
{
	ip -n "$TOPO-gw-wg" route replace 192.0.2.2/32 dev wv0 src 192.0.2.1 &&
		in_ns gw-wg ping -n -c 3 -W 20 -I 10.1.0.1 10.2.0.1 >"$WORK/wg-ping" &&
		ip -n "$TOPO-gw-wg" route replace 192.0.2.2/32 dev blk0 src 192.0.2.1
}

wg_up()
{
	local gw=$TOPO-gw-wg peer=$TOPO-peer-wg
	modprobe wireguard || return
	(umask 077 && wg genkey >"$WORK/wg-gw" && wg genkey >"$WORK/wg-peer") || return
	ip -n "$gw" link add wv0 type veth peer name wv1 netns "$peer"
	ip -n "$gw" link set wv0 up
	ip -n "$peer" link set wv1 up
	ip -n "$peer" addr add 192.0.2.2/24 dev wv1
	ip -n "$gw" link add wg0 type wireguard && ip -n "$peer" link add wg0 type wireguard || return
	in_ns gw-wg wg set wg0 private-key "$WORK/wg-gw" listen-port 51820 \
		peer "$(wg pubkey <"$WORK/wg-peer")" allowed-ips 10.2.0.0/16 endpoint 192.0.2.2:51820
	in_ns peer-wg wg set wg0 private-key "$WORK/wg-peer" listen-port 51820 \
		peer "$(wg pubkey <"$WORK/wg-gw")" allowed-ips 10.1.0.0/16
	ip -n "$peer" addr add 10.2.0.1/16 dev wg0
	ip -n "$gw" link set wg0 up
	ip -n "$peer" link set wg0 up
	ip -n "$peer" route add 10.1.0.0/16 dev wg0
	ip -n "$gw" route replace 10.2.0.0/16 dev wg0
	wg_handshake
}

# ours_up VARIANT
ours_up()
{
	local v=$1 generic=
	gw_config a
	: >"$WORK/gw-$v.conf"
	chmod 600 "$WORK/gw-$v.conf"
	sed "s,/$TOPO-a\$,/$TOPO-$v,; s,/run-a\$,/run-$v,; s,/state-a\$,/state-$v," "$WORK/gw-a.conf" >"$WORK/gw-$v.conf"
	# A TAP's XDP has no room for metadata, which outbound packets do not need: they leave by it.
	[ "$v" = veth ] || generic=--generic
	if ! gw "$v" attach red0 >"$WORK/attach-$v.log" 2>&1 ||
		! gw "$v" attach $generic blk0 >>"$WORK/attach-$v.log" 2>&1; then
		cat "$WORK/attach-$v.log" >&2
		return 1
	fi
	gw_start "$v" >&2
}

setup()
{
	local v
	bpffs_mount
	for v in $NODES; do node_new "$v" || fail "namespace $v"; done
	for v in $VARIANTS; do
		case $v in
		veth) veth gw-veth blk0 sink-veth sink0 && link_up sink-veth sink0 ;;
		*) tap_new "$v" ;;
		esac || fail "blk0 of $v"
		node_up "$v" || fail "interfaces of $v"
	done
	spawn sink-veth "$WORK/sink" "$BENCH" sink sink0 0 100000000 $$
	xfrm_up || fail "kernel XFRM"
	wg_up || fail "WireGuard: $(cat "$WORK/wg-ping")"
	ours_up ours || fail "xipsecd (ours)"
	ours_up veth || fail "xipsecd (veth)"
}

program()
{
	case $1 in
	drop | reset) echo "$1" ;;
	redirect) echo redirect:blk0 ;;
	forward | xfrm | wg) echo pass ;;
	*) echo attached ;;
	esac
}

# What blk0 of V has taken: dropped by the TAP, or sent by the veth.
left()
{
	ip -n "$TOPO-gw-$1" -s -j link show blk0 | jq '.[0].stats64.tx | .packets + .dropped'
}

# turn VARIANT BYTES: one measurement; all that came in must have gone out.
turn()
{
	local v=$1 said before after came
	if [ "$v" = wg ] && ! wg_handshake; then
		missed="$missed $v-$2"
		return
	fi
	before=$(left "$v")
	if ! said=$(in_ns "gw-$v" "$BENCH" insn red0 spare0 "$(program "$v")" "$2" "$BURSTS"); then
		missed="$missed $v-$2"
		return
	fi
	after=$(left "$v")
	case $v in
	drop | reset) came=0 ;;
	redirect) came=$((${said#* } / 16)) ;; # a full TAP drops sixteen frames of XDP, and counts one
	*) came=${said#* } ;;
	esac
	if [ $((after - before)) -lt "$came" ]; then
		echo "# $v, $2 bytes: $came packets came in, $((after - before)) went out" >&2
		missed="$missed $v-$2"
	fi
	echo "${said% *}" >>"$WORK/turns-$v-$2"
	echo "# $v $2: ${said% *}" >&2
}

# What stands on the wire is ESP, and as long from both.
same_bytes()
{
	local v
	for v in xfrm ours; do
		[ "$(head -n 1 "$WORK/tap-$v")" = "$((64 + ESP_BYTES)) 50" ] ||
			fail "$v sent '$(head -n 1 "$WORK/tap-$v")', expected '$((64 + ESP_BYTES)) 50' (bytes, protocol)"
	done
	[ "$(head -n 1 "$WORK/tap-forward")" = '64 17' ] || fail "forward sent $(head -n 1 "$WORK/tap-forward")"
	[ "$(awk '{ print $2; exit }' "$WORK/tap-wg")" = 17 ] || fail "WireGuard sent $(cat "$WORK/tap-wg")"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
cost() { median <"$WORK/turns-$1-$2"; }

# row NAME OURS OTHER OTHER_NAME
row()
{
	jq -n --arg name "$1" --argjson ours "$2" --argjson other "$3" --arg other_name "$4" \
		'{name: $name, unit: "instructions", ours: ($ours * 10 | round / 10), other: ($other * 10 | round / 10),
		other_name: $other_name, ratio: ($ours / $other * 1000 | round / 1000)}'
}

rows()
{
	local n=$1 v source redirect forward xfrm wg ours veth
	for v in redirect forward xfrm wg ours veth; do
		case $v in
		forward | xfrm | wg) source=reset ;;
		*) source=drop ;;
		esac
		declare "$v=$(awk -v a="$(cost "$v" "$n")" -v b="$(cost "$source" "$n")" 'BEGIN { print a - b }')"
	done
	row "vm-insn-$n" "$(jq -n "$ours - $redirect")" "$(jq -n "$xfrm - $forward")" 'kernel XFRM, what encryption adds'
	row "vm-insn-$n-veth" "$(jq -n "$veth - $redirect")" "$(jq -n "$xfrm - $forward")" 'the same, AF_XDP TX over veth'
	row "vm-insn-$n-gateway" "$ours" "$xfrm" 'kernel XFRM, the whole gateway'
	row "vm-insn-$n-wireguard" "$ours" "$wg" 'kernel WireGuard, the whole gateway'
	row "vm-insn-$n-plain" "$redirect" "$forward" 'plain XDP redirect, plain forwarding'
}

"$BENCH" insn-check 50000000 50000000 || fail "the clock does not count instructions"
! "$BENCH" insn-check 51000000 50000000 2>/dev/null || fail "two instructions in a hundred are not seen"
setup
for v in $VARIANTS; do turn "$v" 64; done
for v in $VARIANTS; do rm "$WORK/turns-$v-64"; done # only to warm up
missed=''
for _ in $(seq "$ROUNDS"); do
	for n in $SIZES; do
		for v in $VARIANTS; do turn "$v" "$n"; done
	done
done
same_bytes
[ -z "$missed" ] || fail "not measured:$missed"
for n in $SIZES; do rows "$n"; done | jq -s . >"$RESULTS/rows.json" || fail 'no rows'
{
	uname -r
	awk '/^driver.*rfc4106-gcm/ { print $3 }' /proc/crypto
	gw ours sa list --json | jq -r '.[0] | "\(.algorithm) \(.backend)"'
} >"$RESULTS/about"
cat "$RESULTS/about" "$RESULTS/rows.json"
