#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# IKE set-ups: one initiator program (ike_load.c), many addresses, against xipsec-iked and against Debian's
# strongSwan as they stand ready at the same time; they take turns. Prints rows of JSON on stdout, a
# table on stderr. ROUNDS turns of TURN set-ups each; then up to MANY IKE SAs, each with a child.
#
#	ini-a: xipsec-bench-ike --- gw-a: xipsecd, xipsec-iked
#	ini-b: xipsec-bench-ike --- gw-b: charon, ESP in user space
set -u
cd "$(dirname "$0")/../.." || exit 1
ROUNDS=${ROUNDS:-5}
TURN=${TURN:-400}
MANY=${MANY:-10000}
MANY_SWAN=${MANY_SWAN:-$MANY}
PARALLEL=8
TOPO=xk$$
PSK='load load load load load load 1'

. tools/bench/begin.sh
. tests/lib/charon.sh
LOAD=$BUILD/bench/xipsec-bench-ike
TOPO_NODES='ini-a gw-a ini-b gw-b'
exec {ROWS}>&1 1>&2

fail()
{
	echo "bench: FAIL: $*" >&2
	tail -n 5 "$WORK"/load-*.err "$WORK"/iked.log "$WORK/swan/charon.log" 2>/dev/null >&2
	exit 1
}

pair_topology()
{
	local x=$1 node

	for node in ini-"$x" gw-"$x"; do
		ip netns add "$TOPO-$node" || return
		net_sysctl "$node" net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
			net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
		ip -n "$TOPO-$node" link set lo up
	done
	veth ini-"$x" ini0 gw-"$x" blk0 || return
	ip -n "$TOPO-gw-$x" link add red0 type veth peer name red1
	ip -n "$TOPO-gw-$x" link set red1 up
	link_up gw-"$x" red0
	link_up gw-"$x" blk0
	link_up ini-"$x" ini0
	in_ns ini-"$x" ethtool -K ini0 gro on >/dev/null 2>&1
	ip -n "$TOPO-gw-$x" addr add 10.1.0.1/16 dev red0
	ip -n "$TOPO-gw-$x" addr add 192.0.2.1/24 dev blk0
	ip -n "$TOPO-gw-$x" route add default via 192.0.2.2
	ip -n "$TOPO-ini-$x" addr add 192.0.2.2/24 dev ini0
	# Every address of the initiators is one of this namespace.
	ip -n "$TOPO-ini-$x" route add local 10.64.0.0/16 dev lo
}

# The same words for both: hub psk|cert [LINES of the child]
hub()
{
	local auth=psk

	[ "$1" = psk ] || auth=pubkey
	cat <<-END
		connections {
			hub {
				version = 2
				local_addrs = 192.0.2.1
				remote_addrs = %any
				proposals = aes128gcm16-prfsha256-x25519
				encap = yes
				unique = never
				rekey_time = 0
				local {
					auth = $auth
					id = hub.example.org
					$([ "$1" = psk ] || echo "certs = $WORK/pki/hub.pem")
				}
				remote {
					auth = $auth
					id = *.load.example.org
				}
				children {
					net {
						local_ts = 10.1.0.0/16
						remote_ts = 10.128.0.0/9
						esp_proposals = aes128gcm16
						rekey_time = 0
					}
				}
			}
		}
		secrets {
			ike-load {
				secret = "$PSK"
			}
		}
	END
}

pki()
{
	local p=$WORK/pki

	mkdir -p "$p" "$WORK/creds-a"/{x509,x509ca,private} "$WORK/swan"/{x509ca,private}
	{
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$p/ca.key" &&
			openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$p/hub.key" &&
			openssl req -x509 -new -key "$p/ca.key" -subj '/CN=load CA' -days 30 -out "$p/ca.pem" \
				-addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' &&
			openssl req -new -key "$p/hub.key" -subj '/CN=hub' -out "$p/hub.csr" &&
			printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nsubjectAltName=DNS:hub.example.org\n' >"$p/ext" &&
			openssl x509 -req -in "$p/hub.csr" -CA "$p/ca.pem" -CAkey "$p/ca.key" -CAcreateserial \
				-days 30 -extfile "$p/ext" -out "$p/hub.pem"
	} >"$WORK/pki.log" 2>&1 || return
	chmod 600 "$p"/*.key
	cp "$p/ca.pem" "$WORK/creds-a/x509ca/"
	cp "$p/ca.pem" "$WORK/swan/x509ca/"
	cp -p "$p/hub.key" "$WORK/creds-a/private/"
	cp -p "$p/hub.key" "$WORK/swan/private/"
}

ours_config()
{
	(
		umask 077
		cat >"$WORK/gw-a.conf" <<-END
			datapath {
				workers = 1
				max_sas = 65536
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
			$(hub "$1")
		END
	)
}

ours_start()
{
	ours_config "$1"
	[ -s "$WORK/attach.log" ] || gw_attach a >"$WORK/attach.log" 2>&1 ||
		fail "xipsec attach: $(cat "$WORK/attach.log")"
	spawn gw-a "$WORK/xipsecd.log" "$XIPSECD" -c "$WORK/gw-a.conf"
	GW_PID[a]=$PID
	until_true 10 gw_ready a || fail "xipsecd: $(tail -n 3 "$WORK/xipsecd.log")"
	spawn gw-a "$WORK/iked.log" "$IKED" -c "$WORK/gw-a.conf"
	IKED_PID[a]=$PID
	until_true 10 listed_ours || fail xipsec-iked
}

swan_hub_start()
{
	SWAN_LOG='default = 0'
	# As its documentation advises for many SAs.
	swan_start 'ikesa_table_size = 4096
		ikesa_table_segments = 16' || fail charon
	hub "$1" >"$SWAN/swanctl.conf"
	SWANCTL_DIR=$SWAN swanctl_ --load-all --file "$SWAN/swanctl.conf" --noprompt >"$SWAN/load" 2>&1 ||
		fail "swanctl: $(cat "$SWAN/load")"
}

list_ours() { swanctl --list-sas --uri "unix://$WORK/run-a/charon.vici"; }
list_swan() { swanctl --list-sas --uri "unix://$SWAN/charon.vici"; }
listed_ours() { swanctl --stats --uri "unix://$WORK/run-a/charon.vici"; }

# Who is the responder: processes, one line.
pids()
{
	case $1 in
	ours) echo "${IKED_PID[a]}" && pgrep -P "${IKED_PID[a]}" ;;
	path) echo "${GW_PID[a]}" && pgrep -P "${GW_PID[a]}" ;;
	swan) echo "$SWAN_PID" ;;
	esac
}
# Of all their threads, in ms: utime + stime, in nanoseconds instead of ticks.
cpu_ms()
{
	local pid
	for pid in $(pids "$1"); do cat "/proc/$pid/task/"*/schedstat; done | awk '{ ns += $1 } END { print ns / 1e6 }'
}
rss()
{
	local pid
	for pid in $(pids "$1"); do cat "/proc/$pid/status"; done | awk '/^VmRSS/ { kb += $2 } END { print kb * 1024 }'
}

declare -A IN OUT UP
load_start()
{
	local x=$1 v=$2 args=192.0.2.1 fd

	[ "$3" = psk ] || args="192.0.2.1 $WORK/pki/ca.pem $WORK/pki/ca.key"
	mkfifo "$WORK/in-$v" "$WORK/out-$v"
	# shellcheck disable=SC2086
	nsenter --net="/run/netns/$TOPO-ini-$x" -- "$LOAD" $args <"$WORK/in-$v" >"$WORK/out-$v" 2>"$WORK/load-$v.err" &
	SPAWNED+=($!)
	exec {fd}>"$WORK/in-$v"
	IN[$v]=$fd
	exec {fd}<"$WORK/out-$v"
	OUT[$v]=$fd
	UP[$v]=0
}
load_stop()
{
	local fd=${IN[$1]}
	exec {fd}>&-
	fd=${OUT[$1]}
	exec {fd}<&-
	rm -f "$WORK/in-$1" "$WORK/out-$1"
}
# up V COUNT: that many more, all of them; SECONDS_TAKEN.
up()
{
	local v=$1 n=$2 line

	echo "up $n $PARALLEL" >&"${IN[$v]}"
	read -r -t 600 line <&"${OUT[$v]}" || fail "$v: the initiators say nothing"
	[[ $line == "up $n of $n, "* ]] || fail "$v: $line"
	line=${line#*, }
	TAKEN=${line% s}
	UP[$v]=$((UP[$v] + n))
}

# up_to V COUNT: so many in all, if there are fewer.
up_to() { [ "${UP[$1]}" -ge "$2" ] || up "$1" $(($2 - UP[$1])); }

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# turn V AUTH: TURN set-ups; CPU ms and wall ms of each to $WORK/turns-AUTH-V, the data path's CPU beside.
turn()
{
	local v=$1 before path=0 path_before=0

	before=$(cpu_ms "$v")
	[ "$v" = swan ] || path_before=$(cpu_ms path)
	up "$v" "$TURN"
	sleep 0.1 # what the last answer leaves to be done
	[ "$v" = swan ] || path=$(cpu_ms path)
	awk -v a="$before" -v b="$(cpu_ms "$v")" -v n="$TURN" -v s="$TAKEN" -v p="$path_before" -v q="$path" \
		'BEGIN { print (b - a) / n, s * 1000 / n, (q - p) / n }' >>"$WORK/turns-$2-$v"
}
whole() { awk '{ print $1 + $3 }' "$WORK/turns-$1" | median; }
column() { cut -d' ' -f"$2" "$WORK/turns-$1" | median; }

# row NAME UNIT OURS OTHER OTHER-NAME
row()
{
	jq -cn --arg name "$1" --arg unit "$2" --argjson ours "$3" --argjson other "${4:-null}" --arg other_name "$5" \
		'{name: $name, unit: $unit, ours: $ours, other: $other, other_name: $other_name,
		ratio: (if $other and $ours > 0 then $other / $ours else null end)}' >&"$ROWS"
	printf '%-24s %10.4g %10s %6s  %s\n' "$1" "$3" "${4:+$(printf %.4g "$4")}" \
		"${4:+$(awk -v a="$3" -v b="$4" 'BEGIN { printf "%.2f", (a > 0 ? b / a : 0) }')}" "$2${5:+; $5}"
}
each() { awk -v a="$1" -v b="$2" -v n="$3" 'BEGIN { printf "%d", (b - a) / n }'; }

# seconds COMMAND...: its output in $WORK/listed.
seconds()
{
	local from
	from=$(date +%s.%N)
	"$@" >"$WORK/listed" 2>&1 || fail "$*"
	awk -v a="$from" -v b="$(date +%s.%N)" 'BEGIN { printf "%.3f", b - a }'
}
listed() { grep -c ESTABLISHED "$WORK/listed"; }

kind()
{
	local auth=$1 name=$2 r v order

	ours_start "$auth"
	swan_hub_start "$auth"
	load_start a ours "$auth"
	load_start b swan "$auth"
	declare -A RSS
	for v in ours path swan; do RSS[$v-0]=$(rss $v); done
	for v in ours swan; do up $v 100; done
	if [ "$auth" = psk ]; then
		for r in 1 2 3; do TURN=100 turn ours few; done
	fi
	for r in $(seq "$ROUNDS"); do
		order='ours swan'
		[ $((r % 2)) = 1 ] || order='swan ours'
		for v in $order; do turn "$v" "$auth"; done
	done
	row "ike-$name-cpu" 'ms of CPU a set-up' "$(column "$auth-ours" 1)" "$(column "$auth-swan" 1)" 'strongSwan'
	row "ike-$name-cpu-path" 'ms, with xipsecd and its worker' \
		"$(whole "$auth-ours")" "$(column "$auth-swan" 1)" 'strongSwan with its ESP'
	row "ike-$name-time" 'ms a set-up, 8 at a time' "$(column "$auth-ours" 2)" "$(column "$auth-swan" 2)" 'strongSwan'
	for v in ours swan; do
		up_to $v 1000
	done
	row "ike-$name-rss-1k" 'bytes an IKE SA with a child' "$(each "${RSS[ours-0]}" "$(rss ours)" "${UP[ours]}")" \
		"$(each "${RSS[swan-0]}" "$(rss swan)" "${UP[swan]}")" strongSwan
	[ "$auth" = psk ] || { kind_end; return; }
	many
	kind_end
}

many()
{
	local slow r

	up_to ours $((MANY - 300))
	for r in 1 2 3; do TURN=100 turn ours many; done
	up_to swan "$MANY_SWAN"
	row ike-rss 'bytes an IKE SA with a child, 10k' "$(each "${RSS[ours-0]}" "$(rss ours)" "${UP[ours]}")" \
		"$(each "${RSS[swan-0]}" "$(rss swan)" "${UP[swan]}")" "strongSwan, ${UP[swan]}"
	row ike-rss-path 'the same of xipsecd and worker' "$(each "${RSS[path-0]}" "$(rss path)" "${UP[ours]}")" '' ''
	slow=$(seconds list_ours)
	[ "$(listed)" = "${UP[ours]}" ] || fail "ours lists $(listed) of ${UP[ours]} IKE SAs: $(head -n 3 "$WORK/listed")"
	row ike-list 's to list them, swanctl --list-sas' "$slow" "$(seconds list_swan)" "strongSwan, $(listed)"
	row ike-setup-10k-cpu 'ms of CPU a set-up at 10k' "$(column many-ours 1)" "$(column few-ours 1)" 'at 100'
	row ike-setup-10k-cpu-path 'ms, with xipsecd and its worker' "$(whole many-ours)" "$(whole few-ours)" 'at 100'
	row ike-setup-10k 'ms a set-up at 10k' "$(column many-ours 2)" "$(column few-ours 2)" 'at 100'
}

kind_end()
{
	load_stop ours
	load_stop swan
	# Nobody is told: 10,000 goodbyes are no part of this.
	kill -USR2 "${IKED_PID[a]}" && reap "${IKED_PID[a]}"
	swan_kill
	end_pid "${GW_PID[a]}" 10
}

if swan_missing; then fail 'charon-systemd or swanctl is not installed: make deps'; fi
bpffs_mount
for x in a b; do pair_topology $x || fail "topology ($x)"; done
pki || fail "certificates: $(cat "$WORK/pki.log")"
printf '%-24s %10s %10s %6s\n' '# IKE' ours other ratio
kind psk psk
kind cert ecdsa
