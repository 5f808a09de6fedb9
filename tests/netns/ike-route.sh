#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Routes lead IPv4 into a tunnel that has no SA: the first packet asks for one, IKE makes it, and it is
# bound to the tunnel. IPv6 goes by policies beside it.
#
#	red-a --- gw-a ipsec7 ===[capture]=== ipsec7 gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

# The child net4 is the tunnel's; the connection is as ever.
eval "$(declare -f gw_config | sed '1s/gw_config/gw_config_plain/')"
gw_config()
{
	gw_config_plain "$1"
	sed -i -e 's/^\([ \t]*\)net4 {/&\n\1if_id_in = 7\n\1if_id_out = 7/' \
		-e '0,/^\([ \t]*\)interfaces {/s//\1tunnels { ipsec7 { if_id = 7 } }\n&/' "$WORK/gw-$1.conf"
}

routes_set()
{
	ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 dev ipsec7
	ip -n "$TOPO-gw-b" route replace 10.1.0.0/16 dev ipsec7
}

sas_of_tunnel() { gw "$1" sa list --json | jq '[.[] | select(.if_id == 7 and .status == "live")] | length'; }

check "gateways and daemons come up" ike_up || exit 1
check "routes into the tunnel" routes_set
capture_start "$WORK/route.pcap" 0 || exit 1
check_eq "no SA before there is traffic" "$(sas_of_tunnel a)" 0
check "the first packet asks for it: IPv4 by route" until_true 5 ping4 a 1
check_eq "the tunnel's, one each way, in a" "$(sas_of_tunnel a)" 2
check_eq "and in b" "$(sas_of_tunnel b)" 2
check "and back" ping4 b 3
check "IPv6 by policy" until_true 5 ping6 a 1
check_eq "IKE was asked once" \
	"$(tshark -r "$WORK/route.pcap" -Y 'isakmp.exchangetype == 34 && isakmp.flag_r == 1' 2>/dev/null | wc -l)" 1
check "capture: lost nothing" capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
