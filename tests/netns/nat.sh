#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# ESP in UDP (RFC 3948): both families end to end; then a NAT between the gateways that maps gw-a to
# another address and port under load: the answers follow, nothing goes in the clear, and packets
# that are old or not authentic move nobody, wherever they come from. Over IPv4, then over IPv6.
#
#	red-a --- gw-a 10.99.0.1 --- la [NAT] br0 [capture] lb --- gw-b 192.0.2.2 --- red-b
#	               fd99::1               192.0.2.254 port 30000,     2001:db8::2
#	                                     then 192.0.2.253 port 31000; 2001:db8::254, ::253
. "$(dirname "$0")/../lib/scenario.sh"

GW_SA_LINES="encap = yes"

# over FAMILY: where all stand, and how nft calls what it has of it.
over()
{
	FAMILY=$1
	if [ "$FAMILY" = 4 ]; then
		A=10.99.0.1 B=192.0.2.2 NAT=192.0.2.254 NEXT=192.0.2.253 ELSEWHERE=192.0.2.77 IP=ip ICMP=icmp
	else
		A=fd99::1 B=2001:db8::2 NAT=2001:db8::254 NEXT=2001:db8::253 ELSEWHERE=2001:db8::77 IP=ip6 ICMP=icmpv6
	fi
}

udp_both()
{
	gateways_up && tunnel_works
}

# Without connection tracking, which not every kernel here has: each way is written down. What is
# still sent to the old place is for the NAT itself then: it must not answer, in the clear.
nat_set()
{
	in_ns link nft -f - <<-END
		table $IP nat
		delete table $IP nat
		table $IP nat {
			chain out {
				type filter hook postrouting priority 100
				$IP saddr $A udp sport 4500 $IP saddr set $1 udp sport set $2
			}
			chain in {
				type filter hook prerouting priority -300
				$IP daddr $1 udp dport $2 $IP daddr set $A udp dport set 4500
			}
			chain own {
				type filter hook output priority 0
				$ICMP type destination-unreachable drop
			}
		}
	END
}

nat_up()
{
	ip -n "$TOPO-link" link set la nomaster
	net_sysctl link net.ipv6.conf.all.disable_ipv6=0 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.ipv4.conf.all.send_redirects=0
	ip -n "$TOPO-link" addr add 10.99.0.254/24 dev la
	ip -n "$TOPO-link" addr add fd99::254/64 dev la nodad
	for last in 254 253; do
		ip -n "$TOPO-link" addr add 192.0.2.$last/24 dev br0
		ip -n "$TOPO-link" addr add 2001:db8::$last/64 dev br0 nodad
	done
	ip -n "$TOPO-gw-a" addr flush dev blk0 scope global
	ip -n "$TOPO-gw-a" addr add 10.99.0.1/24 dev blk0
	ip -n "$TOPO-gw-a" addr add fd99::1/64 dev blk0 nodad
	ip -n "$TOPO-gw-a" route replace default via 10.99.0.254
	ip -n "$TOPO-gw-a" -6 route replace default via fd99::254
	ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 via 10.99.0.254
	ip -n "$TOPO-gw-b" route replace 10.1.0.0/16 via 192.0.2.254
}

# Where gw-b takes its peer to be: of its outbound SA, and of its inbound one.
peer()
{
	gw b sa list --json | jq -r '[.[] | select(.name == "ba4") | .dst, .dst_port] +
		[.[] | select(.name == "ab4") | .src, .src_port] | map(tostring) | join(" ")'
}

peer_is() { [ "$(peer)" = "$1 $2 $1 $2" ]; }

moved()
{
	jq -se --arg a "$1" --argjson p "$2" --arg old "$NAT" 'any(.event == "mapping" and .src == $a and .src_port == $p
		and .old_src == $old and .old_src_port == 30000)' "$WORK/monitor-b"
}

dst_seq() { gw b sa list --json | jq '.[] | select(.name == "ba4") | .sequence'; }

if ! check "ESP in UDP over IPv4 and IPv6" udp_both; then exit 1; fi
of_workers check_gt "it came as ESP in UDP" "$(gw_reason b steer_udp_in)" 5
check_eq "and not as plain ESP" "$(gw_reason b steer_in)" 0
gw_stop a
gw_stop b

# From here on the SAs of gateways with a NAT between them.
gw_sas()
{
	local GW_SA_LINES

	if [ "$1" = a ]; then
		GW_SA_LINES="encap = yes"
		gw_sa ab4 net4 out $A $B "$SPI_AB4" "$KEY_AB4"
		gw_sa ba4 net4 in $B $A "$SPI_BA4" "$KEY_BA4"
	else
		GW_SA_LINES="encap = yes${NL}src_port = 30000"
		gw_sa ab4 net4 in $NAT $B "$SPI_AB4" "$KEY_AB4"
		GW_SA_LINES="encap = yes${NL}dst_port = 30000"
		gw_sa ba4 net4 out $B $NAT "$SPI_BA4" "$KEY_BA4"
	fi
}
NL='
'

gw_ready() { [ -n "$(gw_workers "$1")" ] && [ "$(gw_sa_count "$1")" = 2 ]; }

# It moves, and is followed; what is old or forged moves nobody.
moves()
{
	local before old false sent mac

	over "$1"
	unset KEY_AB4
	gw_config a
	gw_config b
	nat_set $NAT 30000
	check "IPv$1: gw-a starts behind the NAT" gw_start a
	check "IPv$1: gw-b starts" gw_start b
	check "IPv$1: it works through the NAT" until_true 5 ping4 a 2
	check_eq "IPv$1: the peer is where the config says" "$(peer)" "$NAT 30000 $NAT 30000"
	spawn gw-b "$WORK/monitor-b" "$XIPSEC" -c "$WORK/gw-b.conf" monitor --events
	until_true 2 capture_start "$WORK/nat$1.pcap" 0
	load_start 1000 200
	check "IPv$1: load flows in both directions" load_moves 10
	before=$(dst_seq)

	nat_set $NEXT 31000
	check "IPv$1: the NAT maps it elsewhere: the peer is followed" until_true 5 peer_is $NEXT 31000
	check "IPv$1: and traffic goes on, both ways" load_moves 10
	check "IPv$1: the event tells it" until_true 2 moved $NEXT 31000
	check_gt "IPv$1: sequence numbers go on" "$(dst_seq)" "$before"

	mac=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')
	load_stop
	capture_stop
	capture_verdict -k "$SPI_AB4" -k "$SPI_BA4"
	check_eq "IPv$1: 0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
	check_eq "IPv$1: no nonce was used twice" "$REPEATED" 0
	check_gt "IPv$1: the load went by as ESP" "$ESP" 500
	check_eq "IPv$1: nothing was delivered twice or corrupt" \
		"$(load_field ab duplicates) $(load_field ba duplicates) $(load_field ab corrupt) $(load_field ba corrupt)" \
		"0 0 0 0"

	old=$(($(gw_reason b replay) + $(gw_reason b replay_old)))
	false=$(gw_reason b icv)
	sent=$(in_ns link /usr/bin/python3 "$LIB/tools/packets.py" elsewhere "$WORK/nat$1.pcap" br0 "$mac" $ELSEWHERE $B 7777)
	check_gt "IPv$1: old packets from elsewhere were sent" "${sent:-0}" 100
	sent=$(in_ns link /usr/bin/python3 "$LIB/tools/packets.py" elsewhere "$WORK/nat$1.pcap" br0 "$mac" $ELSEWHERE $B 7777 100000)
	sleep 0.5
	check_gt "IPv$1: they are replays" "$(($(gw_reason b replay) + $(gw_reason b replay_old)))" $((old + 50))
	check_gt "IPv$1: forged ones fail their check" "$(gw_reason b icv)" $((false + 50))
	check_eq "IPv$1: and nobody moved" "$(peer)" "$NEXT 31000 $NEXT 31000"
	check "IPv$1: the tunnel works" ping4 b 2
	check_eq "IPv$1: a reload leaves the peer where it is" "$(gw b reload >/dev/null 2>&1; peer)" "$NEXT 31000 $NEXT 31000"
	check "IPv$1: and the tunnel works" ping4 b 2
}

nat_up
moves 4
# One keepalive: 20 s of silence.
kept_alive() { [ "$(gw_reason a keepalive_sent)" -gt 0 ] && [ "$(gw_reason b nat_keepalive)" -gt 0 ]; }
check "keepalives while it is silent, dropped at the other end" until_true 40 kept_alive
for x in a b; do gw_stop $x; done
moves 6
