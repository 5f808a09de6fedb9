#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016,SC2034,SC2154 # eval and awk; settings that the sourced files read
# `xipsec sa move`: a child of IKE goes from one engine to the other and back under load, by a rekey;
# nothing is in the clear, lost for long or delivered twice. Needs a kernel with ESP (tests/vm).
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/leak.sh"
. "$LIB/engine.sh"

GW_ENGINE[a]=afxdp GW_ENGINE[b]=afxdp
LOAD_PPS=200
tunnel_works() { ike_start a && ike_start b && until_true 15 ping4 a 1 && until_true 15 ping6 a 1; }
# The engine of the newest outbound SA of a child.
sealer() { gw a sa list --json | jq -r --arg c "$1" '[.[] | select(.direction == "out" and .child == $c)] | sort_by(.age) | .[0].engine'; }
child() { gw a sa list --json | jq -r '[.[] | select(.direction == "out")] | .[0].child'; }
# Nobody uses the other one any more.
all_are() { [ "$(gw a sa list --json | jq -r --arg c "$1" '[.[] | select(.child == $c) | .engine] | unique | join(" ")')" = "$2" ]; }
move() { gw a sa move "$1" --engine "$2" && [ "$(sealer "$1")" = "$2" ]; }

leak_begin || exit 1
CHILD=$(child)
check_eq "it begins with the workers" "$(sealer "$CHILD")" afxdp
leak_act "to the kernel" move "$CHILD" xfrm
check "the old SAs go" until_true 20 all_are "$CHILD" xfrm
check_gt "the kernel has the new ones" "$(in_ns gw-a ip xfrm state | grep -c 'proto esp')" 1
check "there it is already" eval 'gw a sa move "$CHILD" --engine xfrm; [ $? = 4 ]'
before=$(gw_reason a sealed)
leak_act "and back" move "$CHILD" afxdp
check "the kernel's SAs go" until_true 20 all_are "$CHILD" afxdp
check_gt "workers seal again" "$(gw_reason a sealed)" "$before"
check_eq "the kernel has none of them" "$(in_ns gw-a ip xfrm state | grep -c 'proto esp')" 0
check_eq "nor policies" "$(in_ns gw-a ip xfrm policy | grep -c mark)" 0
leak_act "by the name of an SA" eval 'gw a sa move "$(gw a sa list --json | jq -r ".[0].name")" --engine xfrm'
leak_end -i
check_eq "nothing met the guard in the clear" "$(gw_reason a plaintext_out)" 0
check "nobody of that name" eval 'gw a sa move nobody --engine xfrm; [ $? = 4 ]'
check "no such engine" eval 'gw a sa move "$CHILD" --engine fast; [ $? = 2 ]'
