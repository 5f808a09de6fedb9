#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
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

# Deleted and added again: the kernel opens to the last.
receiver
capture_start "$WORK/replay.pcap" 0 esp
SPOKEN=$(send)
check "the SA is deleted" gw b sa delete ab4
capture_stop || not_ok "the capture lost packets"
check "and added again" gw b sa add ab4
check "the tunnel goes on" until_true 5 ping4 a 1
again "deleted and added"
exit 0
