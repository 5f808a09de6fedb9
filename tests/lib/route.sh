# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Gateways of which IPv4 is led into an interface of tunnels {}, ipsec7, and IPv6 is protected by policies
# beside it; sourced after scenario.sh. GW_ENGINE is that of the tunnel, too.

# route_config X [tunnels]: IPv4's SAs have the if_id of ipsec7; without `tunnels` neither is there.
# ROUTE_SA_LINES: lines added to these SAs.
route_config()
{
	local x=$1 n=1 m=2 sas

	[ "$x" = a ] || n=2 m=1
	[ -n "${KEY_AB4:-}" ] || new_keys
	sas=$(gw_sas "$x")
	if [ "${2:-}" = tunnels ]; then
		sas=${sas//child = net4/if_id = 7$'\n'${ROUTE_SA_LINES:-}}
	else
		sas=$(echo "$sas" | awk 'BEGIN { RS = "}\n" } !/net4/ { print $0 "}" }')
	fi
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
					red0 { role = protected }
				}
				${2:+tunnels { ipsec7 { if_id = 7
					engine = ${GW_ENGINE[$x]:-afxdp}
				\} \}}
			}
			policies {
				closed { action = discard
					local = 10.0.0.0/8
					remote = 10.0.0.0/8
					proto = udp
					remote_port = 7010
				}
				closed_in { action = discard
					direction = in
					local = 10.0.0.0/8
					remote = 10.0.0.0/8
					proto = udp
					local_port = 7011
				}
				$(gw_policy net6 fd0$n::/64 fd0$m::/64)
			}
			sas {
				$sas
			}
		END
	)
}

# What a user does with such an interface.
routes_set()
{
	local x=$1 n=1 m=2

	[ "$x" = a ] || n=2 m=1
	ip -n "$TOPO-gw-$x" addr replace 10.9.0.$n/30 dev ipsec7
	ip -n "$TOPO-gw-$x" route replace 10.$m.0.0/16 dev ipsec7
}

gateways_start()
{
	local x

	for x in a b; do
		route_config $x tunnels
		gw_attach $x && gw_start $x && routes_set $x || return
	done
}

index_of_tunnel() { ip -n "$TOPO-gw-a" -o link show ipsec7 | cut -d: -f1; }
tunnel_is_there() { ip -n "$TOPO-gw-a" link show ipsec7; }
tunnel_is_gone() { ! tunnel_is_there; }

carries_both() { until_true 5 ping4 a 1 && ping4 a 3 && ping6 a 3; }

# The gateways themselves, from the addresses of their tunnel.
own_carries() { in_ns gw-a ping -n -c 3 -i 0.2 -W 1 10.9.0.2 && in_ns gw-b ping -n -c 3 -i 0.2 -W 1 10.9.0.1; }

# route_tcp MB
route_tcp()
{
	local got=$WORK/tcp.got sum

	spawn red-b "$got" /usr/bin/python3 "$LIB/tools/tcpsum.py" recv 10.2.0.2 7100
	until_true 3 in_ns red-b sh -c "ss -Hltn 'sport = :7100' | grep -q ." || return
	sum=$(in_ns red-a timeout $((60 * ${XIPSEC_SLOW:-1})) /usr/bin/python3 "$LIB/tools/tcpsum.py" send 10.2.0.2 7100 "$1") || return
	until_true 5 grep -q . "$got"
	[ -n "$sum" ] && [ "$sum" = "$(cat "$got")" ]
}

mtu_told() { in_ns red-a ping -n -c 2 -W 1 -M 'do' -s 1472 10.2.0.2 2>&1 | sed -n 's/.*mtu *= *\([0-9]*\).*/\1/p' | head -n 1; }
