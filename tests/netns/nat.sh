#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# ESP in UDP (RFC 3948): both families end to end; then a NAT between the gateways that maps gw-a to
# another address and port under load: the answers follow, nothing goes in the clear, and packets
# that are old or not authentic move nobody, wherever they come from.
#
#	red-a --- gw-a 10.99.0.1 --- la [NAT] br0 [capture] lb --- gw-b 192.0.2.2 --- red-b
#	                                     192.0.2.254 port 30000, then 192.0.2.253 port 31000
. "$(dirname "$0")/../lib/scenario.sh"

GW_SA_LINES="encap = yes"

udp_both()
{
	gateways_up && tunnel_works
}

# Without connection tracking, which not every kernel here has: each way is written down. What is
# still sent to the old place is for the NAT itself then: it must not answer, in the clear.
nat_set()
{
	in_ns link nft -f - <<-END
		table ip nat
		delete table ip nat
		table ip nat {
			chain out {
				type filter hook postrouting priority 100
				ip saddr 10.99.0.1 udp sport 4500 ip saddr set $1 udp sport set $2
			}
			chain in {
				type filter hook prerouting priority -300
				ip daddr $1 udp dport $2 ip daddr set 10.99.0.1 udp dport set 4500
			}
			chain own {
				type filter hook output priority 0
				icmp type destination-unreachable drop
			}
		}
	END
}

nat_up()
{
	ip -n "$TOPO-link" link set la nomaster
	ip -n "$TOPO-link" addr add 10.99.0.254/24 dev la
	for last in 254 253; do
		ip -n "$TOPO-link" addr add 192.0.2.$last/24 dev br0
	done
	net_sysctl link net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0
	ip -n "$TOPO-gw-a" addr flush dev blk0
	ip -n "$TOPO-gw-a" addr add 10.99.0.1/24 dev blk0
	ip -n "$TOPO-gw-a" route replace default via 10.99.0.254
	ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 via 10.99.0.254
	ip -n "$TOPO-gw-b" route replace 10.1.0.0/16 via 192.0.2.254
	nat_set 192.0.2.254 30000
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
	jq -se --arg a "$1" --argjson p "$2" 'any(.event == "mapping" and .src == $a and .src_port == $p
		and .old_src == "192.0.2.254" and .old_src_port == 30000)' "$WORK/monitor-b"
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
		gw_sa ab4 net4 out 10.99.0.1 192.0.2.2 "$SPI_AB4" "$KEY_AB4"
		gw_sa ba4 net4 in 192.0.2.2 10.99.0.1 "$SPI_BA4" "$KEY_BA4"
	else
		GW_SA_LINES="encap = yes${NL}src_port = 30000"
		gw_sa ab4 net4 in 192.0.2.254 192.0.2.2 "$SPI_AB4" "$KEY_AB4"
		GW_SA_LINES="encap = yes${NL}dst_port = 30000"
		gw_sa ba4 net4 out 192.0.2.2 192.0.2.254 "$SPI_BA4" "$KEY_BA4"
	fi
}
NL='
'

gw_ready() { [ -n "$(gw_workers "$1")" ] && [ "$(gw_sa_count "$1")" = 2 ]; }

unset KEY_AB4
gw_config a
gw_config b
nat_up
check "gw-a: starts behind the NAT" gw_start a
check "gw-b: starts" gw_start b
check "it works through the NAT" until_true 5 ping4 a 2
check_eq "the peer is where the config says" "$(peer)" "192.0.2.254 30000 192.0.2.254 30000"
spawn gw-b "$WORK/monitor-b" "$XIPSEC" -c "$WORK/gw-b.conf" monitor --events
until_true 2 capture_start "$WORK/nat.pcap" 0
load_start 1000 200
check "load flows in both directions" load_moves 10
before=$(dst_seq)

nat_set 192.0.2.253 31000
check "the NAT maps it elsewhere: the peer is followed" until_true 5 peer_is 192.0.2.253 31000
check "and traffic goes on, both ways" load_moves 10
check "the event tells it" until_true 2 moved 192.0.2.253 31000
check_gt "sequence numbers go on" "$(dst_seq)" "$before"

MAC_B=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')
load_stop
capture_stop
capture_verdict -k "$SPI_AB4" -k "$SPI_BA4"
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "no nonce was used twice" "$REPEATED" 0
check_gt "the load went by as ESP" "$ESP" 500
check_eq "nothing was delivered twice or corrupt" \
	"$(load_field ab duplicates) $(load_field ba duplicates) $(load_field ab corrupt) $(load_field ba corrupt)" \
	"0 0 0 0"

old=$(($(gw_reason b replay) + $(gw_reason b replay_old)))
false=$(gw_reason b icv)
sent=$(in_ns link /usr/bin/python3 "$LIB/tools/packets.py" elsewhere "$WORK/nat.pcap" br0 "$MAC_B" 192.0.2.77 192.0.2.2 7777)
check_gt "old packets from elsewhere were sent" "${sent:-0}" 100
sent=$(in_ns link /usr/bin/python3 "$LIB/tools/packets.py" elsewhere "$WORK/nat.pcap" br0 "$MAC_B" 192.0.2.77 192.0.2.2 7777 100000)
sleep 0.5
check_gt "they are replays" "$(($(gw_reason b replay) + $(gw_reason b replay_old)))" $((old + 50))
check_gt "forged ones fail their check" "$(gw_reason b icv)" $((false + 50))
check_eq "and nobody moved" "$(peer)" "192.0.2.253 31000 192.0.2.253 31000"
check "the tunnel works" ping4 b 2
check_eq "a reload leaves the peer where it is" "$(gw b reload >/dev/null 2>&1; peer)" \
	"192.0.2.253 31000 192.0.2.253 31000"
check "and the tunnel works" ping4 b 2

# One keepalive: 20 s of silence.
kept_alive() { [ "$(gw_reason a keepalive_sent)" -gt 0 ] && [ "$(gw_reason b nat_keepalive)" -gt 0 ]; }
check "keepalives while it is silent, dropped at the other end" until_true 40 kept_alive
