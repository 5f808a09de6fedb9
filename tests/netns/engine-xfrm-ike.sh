#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Children of IKE on the engine xfrm: AES-GCM, started by their first packet, rekeyed by either side under
# load, in UDP; an xipsecd that dies. The other gateway uses the other engine. Needs a kernel with ESP
# (tests/vm).
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/leak.sh"
. "$LIB/engine.sh"

GW_ENGINE[a]=xfrm GW_ENGINE[b]=afxdp
LOAD_PPS=200
IKE_CHILD_LINES="rekey_time = 15s
life_time = 120s
rand_time = 5s"

tunnel_works() { ike_start a && ike_start b && until_true 15 ping4 a 1 && until_true 15 ping6 a 1; }
rekeys() { tshark -r "$CAPTURE_FILE" -Y 'isakmp.exchangetype == 36 && isakmp.flag_r == 0' 2>/dev/null | wc -l; }
# Both children beside what IKE_AUTH brings: one CREATE_CHILD_SA is no rekey.
rekeyed() { [ "$(rekeys)" -ge 4 ]; }
engines() { gw a sa list --json | jq -c '[.[].engine] | unique'; }

leak_begin || exit 1
check_eq "gw-a's SAs are the kernel's" "$(engines)" '["xfrm"]'
check_gt "as many are in the kernel" "$(in_ns gw-a ip xfrm state | grep -c 'proto esp')" 3
check "two outbound policies of a family" test "$(in_ns gw-a ip xfrm policy list dir out | grep -c 'mark 0x4a')" -ge 4
check "it is rekeyed under load" until_true 120 rekeyed
check "load still flows" load_moves
check_eq "the new ones are the kernel's too" "$(engines)" '["xfrm"]'
check_gt "red marks for the kernel" "$(gw_reason a xfrm_out)" 100
check_gt "what it opened was compared with the policies" "$(gw_reason a xfrm_opened)" 100
check_eq "no worker of gw-a had a packet" "$(gw_reason a sealed)" 0
leak_act "the kernel's policies are flushed, and put back" in_ns gw-a ip xfrm policy flush
leak_act "the kernel's SAs are flushed, and others made" in_ns gw-a ip xfrm state flush
leak_act "kill -9 of gw-a's xipsecd, start" eval 'gw_kill a && gw_start a'
check_eq "IKE's keys are the kernel's again" "$(engines)" '["xfrm"]'
leak_end -i

ike_stop a
ike_stop b
gw_stop a
gw_stop b
IKE_LINES='encap = yes'
for x in a b; do
	gw_config $x
	check "in UDP: gw-$x starts" gw_start $x
done
check "in UDP: it comes up" tunnel_works
check "in UDP: and back" ping4 b 3
check "in UDP: IPv6 inside" ping6 b 3
check_eq "in UDP: gw-a's SAs are the kernel's" "$(engines)" '["xfrm"]'
check_gt "in UDP: gw-b opens ESP in UDP" "$(gw_reason b steer_udp_in)" 5
