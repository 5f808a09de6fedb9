# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# The gateways of the topology as hosts with one interface, blk0; sourced after gateway.sh.

# hosts_policy NAME REMOTE LOCAL
hosts_policy()
{
	printf '%s {\naction = protect\ndirection = both\nlocal = %s\nremote = %s\n}\n' "$1" "$3" "$2"
}

# hosts_config transport|tunnel: writes both configs, with keys of their own.
hosts_config()
{
	local mode=$1 x n m

	new_keys
	for x in a b; do
		n=1 m=2
		[ "$x" = a ] || n=2 m=1
		(
			umask 077
			cat >"$WORK/gw-$x.conf" <<-END
				datapath {
					workers = 1
					pin_dir = /sys/fs/bpf/$TOPO-$x
					run_dir = $WORK/run-$x
					state_dir = $WORK/state-$x
					interfaces {
						blk0 { role = unprotected }
					}
				}
				policies {
					$(hosts_policy net4 192.0.2.$m 192.0.2.$n)
					$(hosts_policy net6 2001:db8::$m 2001:db8::$n)
				}
				sas {
					$(gw_sas $x | sed "s/^\([ \t]*\)esn = .*/&\n\1mode = $mode/")
				}
			END
		)
		ip -n "$TOPO-gw-$x" link del red0 2>/dev/null
	done
	return 0
}

hosts_up()
{
	local x

	for x in a b; do
		gw_attach $x && gw_start $x || return
	done
}

hosts_down()
{
	local x

	for x in a b; do
		gw_stop $x
		gw $x detach --all
	done
}

# host_survives COMMAND...: it happens, and a and b speak again.
host_survives()
{
	"$@" && until_true 10 in_ns gw-a ping -n -c 1 -W 1 192.0.2.2 &&
		until_true 10 in_ns gw-b ping -n -c 1 -W 1 2001:db8::1
}

# While a flood of a's own goes on, so that there is something to leak.
hosts_kill_and_start()
{
	local flood pps=$((2000 / ${XIPSEC_SLOW:-1}))

	spawn gw-a /dev/null "$UDPLOAD" send 192.0.2.2 7002 $pps 100 0
	flood=$PID
	spawn gw-b /dev/null "$UDPLOAD" send 192.0.2.1 7002 $pps 100 0
	gw_kill "$@"
	sleep 0.7 # the gap in which something could leak
	end_pid "$flood"
	end_pid "$PID"
	gw_start "$1"
}

# Nothing of a's arrives at b, ESP or not.
hosts_silent()
{
	in_ns gw-a "$UDPLOAD" send 192.0.2.2 7002 $((1000 / ${XIPSEC_SLOW:-1})) 100 1 >/dev/null
	! in_ns gw-a ping -n -c 2 -i 0.2 -W 1 192.0.2.2
}

hosts_no_tap() { ! ip -n "$TOPO-gw-$1" link show xipsec0; }

# Nothing in the clear in the last capture, and enough ESP.
hosts_verdict()
{
	capture_verdict
	echo "# $VERDICT"
	[ "$((CLEAR + MARKED))" = 0 ] && [ "$REPEATED" = 0 ] && [ "$ESP" -gt $((1000 / ${XIPSEC_SLOW:-1})) ]
}

# A file of so many MB by TCP from one to the other, compared at the other end.
tcp_carries()
{
	local from=$1 to=$2 addr=$3 mb=$4 got=$WORK/tcp.got sum

	spawn "gw-$to" "$got" /usr/bin/python3 "$LIB/tools/tcpsum.py" recv "$addr" 7100
	until_true 3 in_ns "gw-$to" sh -c "ss -Hltn 'sport = :7100' | grep -q ." || return
	sum=$(in_ns "gw-$from" timeout $((60 * ${XIPSEC_SLOW:-1})) /usr/bin/python3 "$LIB/tools/tcpsum.py" send "$addr" 7100 "$mb") || return
	until_true 5 grep -q . "$got"
	[ "$sum" = "$(cat "$got")" ] && [ -n "$sum" ]
}

# Two seconds at a rate: three in four of it must arrive, of a rate that a slow machine does not reach
# three in four of what was sent.
udp_carries()
{
	local rate=$((${HOST_PPS:-2000} / ${XIPSEC_SLOW:-1})) pid sent received duplicates corrupt

	spawn gw-b "$WORK/recv.log" "$UDPLOAD" recv "$1" 7001 "$WORK/udp"
	pid=$PID
	until_true 2 test -s "$WORK/udp" || return
	sent=$(in_ns gw-a "$UDPLOAD" send "$1" 7001 "$rate" "$2" 2)
	tally_settles "$WORK/udp" "$sent"
	end_pid "$pid" 2
	read -r received duplicates corrupt _ <"$WORK/udp"
	echo "# $received of $sent datagrams of $2 bytes, $duplicates twice, $corrupt corrupt"
	[ "$received" -gt $((rate * 3 / 2 / ${XIPSEC_SLOW:-1})) ] && [ "$received" -gt $((sent * 3 / 4)) ] &&
		[ "$duplicates $corrupt" = "0 0" ]
}

# HOST_MB: how much by TCP, megabytes; HOST_PPS: datagrams a second
carries_all()
{
	local addr

	for addr in 192.0.2.2 2001:db8::2; do
		check "$1: ping $addr" until_true 5 in_ns gw-a ping -n -c 1 -W 1 $addr
		check "$1: TCP to $addr, default offloads" tcp_carries a b $addr "${HOST_MB:-20}"
		check "$1: UDP to $addr, short" udp_carries $addr 200
		check "$1: UDP to $addr, long" udp_carries $addr 1300
	done
	check "$1: TCP from b" tcp_carries b a 192.0.2.1 "${HOST_MB:-20}"
}
