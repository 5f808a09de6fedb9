# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Gateways that are keyed by IKE: after scenario.sh. What a scenario may set before gw_config:
#
#	IKE_PROPOSALS IKE_ESP    proposals
#	IKE_START                start_action (trap)
#	IKE_LINES                lines added to the connection, IKE_CHILD_LINES to each child
#	IKE_CHILDREN             more children
#	IKE_LOCAL IKE_REMOTE     lines of local {} and remote {} beside auth and id
#	IKE_NO_ID                set: local {} has no id
#	IKE_AUTH                 psk (the default) or pubkey
#	IKE_PSK_a IKE_PSK_b      the secret of each side
#	IKE_SECRETS              more sections of secrets {}
#	GW_ENGINE[a|b]           of its children
#	IKE_ADDR                 4 (the default) or 6: over what IKE and ESP go
#	IKE_LOCAL_ADDR IKE_REMOTE_ADDR   others than the topology's

IKED=${IKED:-$BUILD/xipsec-iked}
declare -A IKED_PID
# shellcheck disable=SC2034 # gw_config() reads it by its name
IKE_PSK_a=$(random_hex 16) IKE_PSK_b=$IKE_PSK_a

ike_addr()
{
	if [ "${IKE_ADDR:-4}" = 4 ]; then echo "192.0.2.$1"; else echo "2001:db8::$1"; fi
}

# Of gateway $x.
ike_child()
{
	cat <<-END
		$1 {
			local_ts = $2
			remote_ts = $3
			esp_proposals = ${IKE_ESP:-aes128gcm16-x25519}
			start_action = ${IKE_START:-trap}
			engine = ${GW_ENGINE[$x]:-auto}
			${IKE_CHILD_LINES:-}
		}
	END
}

ike_connections()
{
	local n=$1 m=$2

	cat <<-END
		connections {
			peer {
				local_addrs = ${IKE_LOCAL_ADDR:-$(ike_addr "$n")}
				remote_addrs = ${IKE_REMOTE_ADDR:-$(ike_addr "$m")}
				proposals = ${IKE_PROPOSALS:-aes128gcm16-prfsha256-x25519}
				${IKE_LINES:-}
				local {
					auth = ${IKE_AUTH:-psk}
					${IKE_NO_ID:+# }id = gw$n.example.org
					${IKE_LOCAL:-}
				}
				remote {
					auth = ${IKE_AUTH:-psk}
					id = gw$m.example.org
					${IKE_REMOTE:-}
				}
				children {
					$(ike_child net4 "10.$n.0.0/16" "10.$m.0.0/16")
					$(ike_child net6 "fd0$n::/64" "fd0$m::/64")
					${IKE_CHILDREN:-}
				}
			}
		}
	END
}

# gw_config a|b: as that of gateway.sh, with connections {} and secrets {} for policies and SAs.
gw_config()
{
	local x=$1 n=1 m=2 psk=IKE_PSK_$1

	[ "$x" = a ] || n=2 m=1
	(
		umask 077
		cat >"$WORK/gw-$x.conf" <<-END
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
			}
			iked {
				credentials = $WORK/creds-$x
				${IKE_DAEMON:-}
			}
			$(ike_connections $n $m)
			secrets {
				ike-peer {
					id-1 = gw1.example.org
					id-2 = gw2.example.org
					secret = "${!psk}"
				}
				${IKE_SECRETS:-}
			}
		END
	)
}

# Whatever SAs it has.
gw_ready() { [ -n "$(gw_workers "$1")" ] && gw "$1" sa list --json >/dev/null; }

# ike_spawn a|b [OPTIONS...]
ike_spawn()
{
	local x=$1
	shift
	cat "$WORK/iked-$x.log.new" >>"$WORK/iked-$x.log" 2>/dev/null
	spawn "gw-$x" "$WORK/iked-$x.log.new" "$IKED" -c "$WORK/gw-$x.conf" -v "$@"
	IKED_PID[$x]=$PID
}

ike_ready() { grep -q 'child runs' "$WORK/iked-$1.log.new" && [ -n "$(ike_child_pid "$1")" ]; }

# ike_child_pid X: the process that reads the network.
ike_child_pid() { pgrep -P "${IKED_PID[$1]}" -f 'xipsec-iked: child'; }

ike_start()
{
	ike_spawn "$@"
	if ! until_true 5 ike_ready "$1"; then
		echo "# xipsec-iked of gw-$1 is not ready; its log:"
		tail -n 20 "$WORK/iked-$1.log.new" | note
		return 1
	fi
}

# Ends tunnels too; ike_leave leaves them to the next one.
ike_stop() { end_pid "${IKED_PID[$1]}" 5; }
ike_leave()
{
	kill -USR2 "${IKED_PID[$1]}" && reap "${IKED_PID[$1]}"
	return 0
}

ike_kill()
{
	kill -KILL "${IKED_PID[$1]}" || return
	reap "${IKED_PID[$1]}"
	return 0
}

ike_kill_child() { kill -KILL "$(ike_child_pid "$1")"; }

ike_log() { cat "$WORK/iked-$1.log" "$WORK/iked-$1.log.new" 2>/dev/null; }

# ike_said X PATTERN: a line of its log, since the beginning.
ike_said() { ike_log "$1" | grep -Eq "$2"; }

# How often it had to delete an IKE SA of a peer that said it begins anew, since the beginning.
ike_forgot() { ike_log "$1" | grep -Ec 'deleted: its peer begins anew .INITIAL_CONTACT'; }

ike_up()
{
	gateways_up && ike_start a && ike_start b
}

# ike_sas X [CHILD]: how many live SAs of that child, both directions.
ike_sas()
{
	gw "$1" sa list --json | jq --arg c "${2:-}" \
		'[.[] | select(.child | startswith("peer/" + $c)) | select(.status == "live")] | length'
}

# --- rekeys, as they are seen at gateway a

# Of the newest outbound SA: old inbound ones live on for seconds.
newest_spi() { gw a sa list --json | jq -r '[.[] | select(.direction == "out")] | sort_by(.age) | .[0].spi'; }
spi_is_not() { [ "$(ike_sas a net4)" -ge 2 ] && [ "$(newest_spi)" != "$1" ]; }

# rekeyed COMMAND...: by it; every one of PINGS pings arrives while it happens.
rekeyed()
{
	local before
	before=$(newest_spi)
	in_ns red-a ping -n -c "${PINGS:-20}" -i 0.1 -W 1 10.2.0.2 >"$WORK/ping" &
	"$@" >/dev/null || return
	until_true 10 spi_is_not "$before" || return
	wait $!
	grep -q ' 0% packet loss' "$WORK/ping" || {
		tail -n 3 "$WORK/ping" | note
		return 1
	}
}

ike_tails()
{
	local x
	for x in a b; do
		for log in "$WORK/iked-$x.log" "$WORK/iked-$x.log.new"; do
			[ -s "$log" ] || continue
			echo "# --- $log, last lines"
			tail -n "${1:-25}" "$log" | sed 's/^/# /'
		done
	done
}

scenario_cleanup()
{
	[ "$FAILED" -eq 0 ] || ike_tails 40
	type ike_cleanup >/dev/null 2>&1 && ike_cleanup
	return 0
}
