# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Gateways of the topology: config with random keys, attach, start, kill, read. Sourced after
# topology.sh; needs BUILD. What a scenario may set before gw_config:
#
#	GW_WORKERS GW_BACKEND GW_ALG GW_KEY_BYTES GW_ESN GW_WINDOW GW_FRESH GW_ENGINE[a|b]
#	GW_POLICIES   text of policies that come before the tunnel's
#	GW_SELECTORS  lines added to the tunnel's policies (proto = ..., remote_port = ...)
#	GW_NO_SA      1: no sas {} at all
#	GW_SA_LINES   lines added to every SA (encap = yes, ...)
#	GW_IN_LINES   lines added to every inbound SA (later_fragments = yes)
#	GW_OPTIONS    more options of xipsecd
#
# XIPSEC_ENGINE=xfrm in the environment: both gateways, where the scenario does not say another engine.

XIPSEC=${XIPSEC:-$BUILD/xipsec}
XIPSECD=${XIPSECD:-$BUILD/xipsecd}
declare -A GW_PID GW_ENGINE
if [ "${XIPSEC_ENGINE:-}" = xfrm ]; then
	GW_ENGINE[a]=xfrm GW_ENGINE[b]=xfrm
	GW_ALG=aes128-sha256 GW_KEY_BYTES=48 # a manual AEAD key is never the kernel's
fi

# Outbound on a / on b, IPv4 in IPv4 and IPv6 in IPv6.
# shellcheck disable=SC2034
SPI_AB4=0x1001 SPI_BA4=0x1002 SPI_AB6=0x1003 SPI_BA6=0x1004
KEY_NAMES='KEY_AB4 KEY_BA4 KEY_AB6 KEY_BA6'

random_hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }

new_keys()
{
	local name bytes=${GW_KEY_BYTES:-20}
	[ "${GW_ALG:-aes128gcm16}" = aes128gcm16 ] || bytes=${GW_KEY_BYTES:-36}
	for name in $KEY_NAMES; do
		printf -v "$name" %s "$(random_hex "$bytes")"
	done
}

gw_sa()
{
	local name=$1 child=$2 direction=$3 src=$4 dst=$5 spi=$6 key=$7

	cat <<-END
		$name {
			child = $child
			direction = $direction
			src = $src
			dst = $dst
			spi = $spi
			algorithm = ${GW_ALG:-aes128gcm16}
			key = 0x$key
			esn = ${GW_ESN:-no}
			engine = ${engine:-auto}
			replay_window = ${GW_WINDOW:-1024}
			fresh_key = ${GW_FRESH:-yes}
			${GW_SA_LINES:-}
			$([ "$direction" = out ] || echo "${GW_IN_LINES:-}")
		}
	END
}

# shellcheck disable=SC2153
gw_sas()
{
	local out=out in=in engine=${GW_ENGINE[$1]:-auto}

	[ "$1" = a ] || out=in in=out
	gw_sa ab4 net4 $out 192.0.2.1 192.0.2.2 $SPI_AB4 "$KEY_AB4"
	gw_sa ba4 net4 $in 192.0.2.2 192.0.2.1 $SPI_BA4 "$KEY_BA4"
	gw_sa ab6 net6 $out 2001:db8::1 2001:db8::2 $SPI_AB6 "$KEY_AB6"
	gw_sa ba6 net6 $in 2001:db8::2 2001:db8::1 $SPI_BA6 "$KEY_BA6"
}

gw_policy()
{
	local name=$1 local=$2 remote=$3

	cat <<-END
		$name {
			action = protect
			direction = both
			local = $local
			remote = $remote
			${GW_SELECTORS:-}
		}
	END
}

# gw_config a|b: writes $WORK/gw-X.conf.
gw_config()
{
	local x=$1 n=1 m=2 conf=$WORK/gw-$1.conf

	[ "$x" = a ] || n=2 m=1
	[ -n "${KEY_AB4:-}" ] || new_keys
	(
		umask 077
		cat >"$conf" <<-END
			datapath {
				workers = ${GW_WORKERS:-1}
				backend = ${GW_BACKEND:-auto}
				pin_dir = /sys/fs/bpf/$TOPO-$x
				run_dir = $WORK/run-$x
				state_dir = $WORK/state-$x
				interfaces {
					blk0 { role = unprotected }
					red0 { role = protected }
				}
			}
			policies {
				${GW_POLICIES:-}
				$(gw_policy net4 10.$n.0.0/16 10.$m.0.0/16)
				$(gw_policy net6 fd0$n::/64 fd0$m::/64)
			}
		END
		if [ -z "${GW_NO_SA:-}" ]; then
			printf 'sas {\n%s\n}\n' "$(gw_sas "$x")" >>"$conf"
		fi
	)
}

# gw X SUBCOMMAND...: the client, in that gateway.
gw()
{
	local x=$1
	shift
	in_ns "gw-$x" "$XIPSEC" -c "$WORK/gw-$x.conf" "$@"
}

gw_attach() { gw "$1" attach --all; }

gw_spawn()
{
	local x=$1
	# shellcheck disable=SC2086
	spawn "gw-$x" "$WORK/xipsecd-$x.log.new" "$XIPSECD" -c "$WORK/gw-$x.conf" -v ${GW_OPTIONS:-}
	GW_PID[$x]=$PID
}

gw_sa_count() { gw "$1" sa list --json | jq '[.. | objects | select(has("spi"))] | length'; }

gw_workers() { pgrep -P "${GW_PID[$1]}"; }

gw_ready()
{
	local wanted=4
	[ -z "${GW_NO_SA:-}" ] || wanted=0
	[ -n "$(gw_workers "$1")" ] && [ "$(gw_sa_count "$1")" = $wanted ]
}

# Starts xipsecd and waits until it has its SAs and its workers.
gw_start()
{
	local x=$1

	cat "$WORK/xipsecd-$x.log.new" >>"$WORK/xipsecd-$x.log" 2>/dev/null
	gw_spawn "$x"
	if ! until_true 10 gw_ready "$x"; then
		echo "# xipsecd of gw-$x is not ready after 10 s; its log:"
		tail -n 20 "$WORK/xipsecd-$x.log.new" | note
		return 1
	fi
}

gw_stop() { end_pid "${GW_PID[$1]}" 5; }

# kill -9 of xipsecd and, with `all`, of its workers in the same moment.
gw_kill()
{
	local x=$1 workers=
	[ "${2:-}" != all ] || workers=$(gw_workers "$x")
	# shellcheck disable=SC2086
	kill -KILL "${GW_PID[$x]}" $workers
	reap "${GW_PID[$x]}"
	return 0
}

gw_kill_workers()
{
	# shellcheck disable=SC2046
	kill -KILL $(gw_workers "$1") || return
}

# gw_reason X NAME: packets counted under that reason, programs and workers together.
gw_reason()
{
	gw "$1" status --json | jq --arg n "$2" '[.. | objects
		| if .reason? == $n or .name? == $n then (.packets // 0) else empty end] | add // 0'
}

# gw_beyond a|b REASON NUMBER: more packets than that ended with it.
gw_beyond() { [ "$(gw_reason "$1" "$2")" -gt "$3" ]; }

# pings_lost FILE: of what ping wrote, how many before the last answered one have no answer. Those after
# it may have been under way when it was ended.
pings_lost()
{
	awk -F'icmp_seq=' '/ bytes from .*icmp_seq=/ {
		seq = $2 + 0
		if (!(seq in seen))
			n++
		seen[seq]
		if (seq > last)
			last = seq
	} END { print last ? last - n : "all" }' "$1"
}

# What a failure is looked at with: tap.sh.
look_around()
{
	local x

	for x in a b; do
		[ -s "$WORK/gw-$x.conf" ] || continue
		echo "gw-$x:"
		gw $x status --json | jq -r '[.. | objects | select(.packets? > 0)
			| "\(.reason // .name) \(.packets)"] | join(", ")'
		# shellcheck disable=SC2016 # awk
		in_ns "gw-$x" awk '$1 ~ /^Udp6?(Lite)?[A-Z].*(Err|NoPorts)/ && $2 { print }
			/^Udp: [0-9]/ { print "Udp:", $3, "without port,", $4, "errors" }' /proc/net/snmp /proc/net/snmp6
		ip -n "$TOPO-gw-$x" neigh show
		in_ns "gw-$x" ip -s -o xfrm state | sed 's/0x[0-9a-f]\{20,\}/KEY/g' | cut -c1-600
		in_ns "gw-$x" grep -v '[[:space:]]0$' /proc/net/xfrm_stat
	done 2>&1
}

gateways_up()
{
	local x
	for x in a b; do
		gw_config $x
		if ! gw_attach $x >"$WORK/attach-$x.log" 2>&1; then
			echo "# attach of gw-$x said:"
			note <"$WORK/attach-$x.log"
			return 1
		fi
		gw_start $x || return 1
	done
}

ping4() { in_ns "red-$1" ping -n -c "${2:-3}" -i 0.2 -W 1 "10.$([ "$1" = a ] && echo 2 || echo 1).0.2"; }
ping6() { in_ns "red-$1" ping -n -c "${2:-3}" -i 0.2 -W 1 "fd0$([ "$1" = a ] && echo 2 || echo 1)::2"; }

tunnel_works()
{
	until_true 5 ping4 a 1 && ping4 a 3 && until_true 5 ping6 a 1 && ping6 a 3
}

# ------------------------------------------------------------------ load in both directions

# tally_is FILE NUMBER: a receiver of udpload has had so many.
tally_is()
{
	local received
	read -r received _ <"$1" && [ "$received" = "$2" ]
}

# tally_settles FILE NUMBER: waits until it has had so many, or no more come. One that shares its processor
# with four others is far behind, and some may be lost.
tally_settles()
{
	local before='' now=0
	while [ "$now" != "$2" ] && [ "$now" != "$before" ]; do
		before=$now
		until_true 1 tally_is "$1" "$2"
		read -r now _ <"$1"
	done
}

# load_start [PPS [SIZE]]: numbered, marked datagrams red-a -> red-b and back, until load_stop. Fewer
# where the machine is slow: what is done under load would never come to its end.
load_start()
{
	local pps=$((${1:-4000} / ${XIPSEC_SLOW:-1})) size=${2:-200}

	spawn red-b "$WORK/recv-b.log" "$UDPLOAD" recv 10.2.0.2 7001 "$WORK/load-ab"
	LOAD_PIDS="$PID"
	spawn red-a "$WORK/recv-a.log" "$UDPLOAD" recv 10.1.0.2 7001 "$WORK/load-ba"
	LOAD_PIDS="$LOAD_PIDS $PID"
	until_true 2 test -s "$WORK/load-ab" -a -s "$WORK/load-ba"
	spawn red-a "$WORK/send-a.log" "$UDPLOAD" send 10.2.0.2 7001 "$pps" "$size" 0
	LOAD_PIDS="$PID $LOAD_PIDS"
	spawn red-b "$WORK/send-b.log" "$UDPLOAD" send 10.1.0.2 7001 "$pps" "$size" 0
	LOAD_PIDS="$PID $LOAD_PIDS"
}

load_stop()
{
	local pid
	for pid in $LOAD_PIDS; do
		end_pid "$pid" 2
	done
}

# load_field ab|ba received|duplicates|corrupt|last|late (late: behind one that was sent after it)
load_field()
{
	local received duplicates corrupt last late

	# shellcheck disable=SC2034
	read -r received duplicates corrupt last late <"$WORK/load-$1"
	echo "${!2}"
}

# More datagrams arrive in both directions than when it was called, within SECONDS.
load_moves()
{
	local seconds=${1:-5} ab ba
	ab=$(load_field ab received)
	ba=$(load_field ba received)
	until_true "$seconds" load_beyond $((ab + 50)) $((ba + 50))
}

load_beyond() { [ "$(load_field ab received)" -gt "$1" ] && [ "$(load_field ba received)" -gt "$2" ]; }

# No datagram arrives in either direction for half a second.
load_stands()
{
	local before
	before=$(load_field ab received),$(load_field ba received)
	sleep 0.5
	[ "$before" = "$(load_field ab received),$(load_field ba received)" ]
}
