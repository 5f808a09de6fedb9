#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016,SC2034,SC2154 # eval; settings that the sourced files read
# Engine xfrm opens on while xipsecd is dead. What it received then is not accepted again when the next
# xipsecd has made the same SAs anew. Needs a kernel with ESP (tests/vm).
#
#	red-a --- gw-a ===[capture; replay from here]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/replay.sh"
. "$LIB/engine.sh"

# Who compares numbers is the kernel.
replayed() { in_ns gw-b awk '$1 == "XfrmInStateSeqError" { print $2 }' /proc/net/xfrm_stat; }

GW_ENGINE[a]=afxdp GW_ENGINE[b]=xfrm
if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
MAC_B=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')
check_eq "gw-b opens in the kernel" "$(sa_field b ab4 engine)" '"xfrm"'

converse "kill -9"
gw_kill b
start_and_replay "kill -9"

# Deleted while packets come, and added again: the kernel opens to the last. What came later was never
# received, and is no replay.
receiver
capture_start "$WORK/replay.pcap" 0 esp
in_ns red-a "$UDPLOAD" send 10.2.0.2 7001 500 200 2 >/dev/null &
sender=$!
until_true 5 eval '[ "$(received)" -gt 100 ]'
check "the SA is deleted" gw b sa delete ab4
wait $sender
capture_stop || not_ok "the capture lost packets"
before=$(received)
check "and added again" gw b sa add ab4
check "the tunnel goes on" until_true 5 ping4 a 1
in_ns link /usr/bin/python3 "$LIB/tools/packets.py" replay "$WORK/replay.pcap" lb "$MAC_B" >/dev/null
sleep 0.5
check_gt "of what was sent again it takes what it never had" "$(received)" "$before"
check_eq "and nothing twice" "$(load_field ab duplicates)" 0
exit 0
