#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# What it costs to load connections: Debian's swanctl loads N of them (10000; each with one child), for LIMIT
# seconds at most (600). Prints what one of them took, in ms, where so many were loaded before: wall time, and the
# CPU of xipsecd and of xipsec-iked's processes in a table on stderr, rows of JSON on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
N=${N:-10000}
LIMIT=${LIMIT:-600}
AT=${AT:-500 1000 2000 5000 10000}
WINDOW=400
TOPO=xc$$

. tools/bench/begin.sh
TOPO_NODES='gw-a'

fail()
{
	echo "bench: FAIL: $*" >&2
	tail -n 5 "$WORK"/*.log >&2
	exit 1
}

# Of all processes of one, in ms.
cpu_ms()
{
	local pid
	for pid in $1 $(pgrep -P "$1"); do cat "/proc/$pid/task/"*/schedstat; done |
		awk '{ ns += $1 } END { printf "%.0f", ns / 1e6 }'
}

conn()
{
	printf 'c%05d {\nlocal_addrs = 192.0.2.1\nremote_addrs = 203.0.113.%d\nproposals = aes128gcm16-prfsha256-x25519\n' \
		"$1" $((1 + $1 % 250))
	printf 'local {\nauth = psk\nid = hub.example.org\n}\nremote {\nauth = psk\nid = c%05d.example.org\n}\n' "$1"
	printf 'children {\nnet {\nlocal_ts = 10.1.0.0/16\nremote_ts = 10.%d.%d.0/24\n' $((2 + $1 / 250)) $(($1 % 250))
	printf 'esp_proposals = aes128gcm16-x25519\n}\n}\n}\n'
}

# Lines of swanctl, each with the time, and CPU so far where one is due.
stamp()
{
	local n=0 line from=$EPOCHREALTIME
	while read -r line; do
		[[ $line == "loaded connection"* ]] || {
			echo "# $line"
			continue
		}
		n=$((n + 1))
		case " $MARKS " in *" $n "*)
			echo "$n $(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')" \
				"$(cpu_ms "${GW_PID[a]}") $(cpu_ms "${IKED_PID[a]}")" ;;
		esac
	done
}

WORK=$(mktemp -d)
ip netns add "$TOPO-gw-a" || fail netns
ip -n "$TOPO-gw-a" link set lo up
for dev in blk0 red0; do
	ip -n "$TOPO-gw-a" link add $dev type veth peer name "p$dev"
	ip -n "$TOPO-gw-a" link set "p$dev" up
	ip -n "$TOPO-gw-a" link set $dev up
done
ip -n "$TOPO-gw-a" addr add 192.0.2.1/24 dev blk0
ip -n "$TOPO-gw-a" addr add 10.1.0.1/16 dev red0
(
	umask 077
	mkdir -p "$WORK/creds-a"
	cat >"$WORK/gw-a.conf" <<-END
		datapath {
			workers = 1
			pin_dir = /sys/fs/bpf/$TOPO-a
			run_dir = $WORK/run-a
			state_dir = $WORK/state-a
			interfaces {
				blk0 { role = unprotected }
				red0 { role = protected }
			}
		}
		iked {
			credentials = $WORK/creds-a
		}
	END
	{
		echo 'connections {'
		for ((i = 0; i < N; i++)); do conn $i; done
		echo '}'
	} >"$WORK/swanctl.conf"
)
gw_attach a >"$WORK/attach.log" 2>&1 || fail "xipsec attach: $(cat "$WORK/attach.log")"
spawn gw-a "$WORK/xipsecd.log" "$XIPSECD" -c "$WORK/gw-a.conf"
GW_PID[a]=$PID
until_true 10 gw_ready a || fail xipsecd
spawn gw-a "$WORK/iked.log" "$IKED" -c "$WORK/gw-a.conf"
IKED_PID[a]=$PID
until_true 10 in_ns gw-a swanctl --stats --uri "unix://$WORK/run-a/charon.vici" >/dev/null || fail xipsec-iked

MARKS=
for at in $AT; do [ "$at" -gt "$N" ] || MARKS+=" $((at - WINDOW)) $at"; done
in_ns gw-a timeout "$LIMIT" stdbuf -oL swanctl --load-conns --file "$WORK/swanctl.conf" \
	--uri "unix://$WORK/run-a/charon.vici" 2>&1 | stamp >"$WORK/stamps"
awk -v w=$WINDOW '
	/^#/ { print "bench: " $0 > "/dev/stderr"; next }
	{ t[$1] = $2; d[$1] = $3; k[$1] = $4
	  if (($1 - w) in t) {
		printf "%6d loaded: one more %.2f ms; CPU: xipsecd %.2f ms, xipsec-iked %.2f ms; all so far %.1f s\n", $1,
			($2 - t[$1 - w]) * 1000 / w, ($3 - d[$1 - w]) / w, ($4 - k[$1 - w]) / w, $2 > "/dev/stderr"
		printf "{\"name\":\"conn-load-%d\",\"unit\":\"ms\",\"ours\":%.3f}\n", $1, ($2 - t[$1 - w]) * 1000 / w
	  } }' "$WORK/stamps"
again=$EPOCHREALTIME
in_ns gw-a timeout "$LIMIT" swanctl --load-conns --file "$WORK/swanctl.conf" \
	--uri "unix://$WORK/run-a/charon.vici" >"$WORK/again" 2>&1 &&
	awk -v a="$again" -v b="$EPOCHREALTIME" 'BEGIN { printf "all of them again, as they are: %.2f s\n", b - a }' >&2
exit 0
