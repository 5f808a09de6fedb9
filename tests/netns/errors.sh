#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
# ICMP errors about what a tunnel for UDP alone carries (RFC 4301 6.2): no rule speaks of ICMP, so they
# go back by the SA of the answer, and the other side lets in what quotes its own. Pings do not.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
GW_SELECTORS='proto = udp'

# refused NODE ADDR: a datagram to a port where nobody listens; the sender is told.
refused()
{
	in_ns "$1" timeout 5 /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9))
s.settimeout(0.5)
for _ in range(6):
    try:
        s.send(b"x" * 100)
        s.recv(1)
    except ConnectionRefusedError:
        sys.exit(0)
    except TimeoutError:
        pass
sys.exit(1)' "$2"
}

check "gateways come up, for UDP alone" gateways_up || exit 1
capture_start "$WORK/errors.pcap" 0 || exit 1
check "port unreachable comes back: IPv4" refused red-a 10.2.0.2
check "and the other way" refused red-b 10.1.0.2
check "IPv6" refused red-a fd02::2
check_gt "gw-b: it went by the tunnel" "$(gw_reason b sealed)" 1
before=$(gw_reason a no_policy)
ping4 a 2 >/dev/null 2>&1 && not_ok "a ping, which no rule speaks of, is answered"
check_gt "a ping is dropped: no_policy" "$(gw_reason a no_policy)" "$((before + 1))"
check_eq "nothing that was opened was refused" "$(($(gw_reason a selector) + $(gw_reason a icmp_quote)))" 0

# Without the SA of the answer it stays here, and nobody is asked for one.
spawn gw-b "$WORK/monitor-b" "$XIPSEC" -c "$WORK/gw-b.conf" monitor
sleep 0.3
check "gw-b: its outbound SA goes" gw b sa delete ba4
before=$(gw_reason b no_policy)
refused red-a 10.2.0.2 && not_ok "an error without an SA came through"
check_gt "it is dropped: no_policy" "$(gw_reason b no_policy)" "$before"
check "told as a drop" jq -se 'any(.[]; .event == "drop" and .reason == "no_policy" and .protocol == 1)' "$WORK/monitor-b"
check_eq "nobody is asked for an SA" "$(jq -s '[.[] | select(.event == "acquire")] | length' "$WORK/monitor-b")" 0
check "capture: lost nothing" capture_stop
capture_verdict
check_eq "nothing in the clear" "$CLEAR" 0
