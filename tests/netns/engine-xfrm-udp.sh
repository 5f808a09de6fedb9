#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# ESP in UDP on the engine xfrm, against the other engine: xipsecd's socket of port 4500 is XFRM's while
# such SAs are there. Needs a kernel with ESP (tests/vm).
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"
. "$LIB/engine.sh"

GW_ENGINE[a]=xfrm GW_ENGINE[b]=afxdp
GW_SA_LINES='encap = yes'
LOAD_PPS=200
leak_begin || exit 1
load_stop
carries "in UDP"
check_gt "the other end's workers had it in UDP" "$(gw_reason b steer_udp_in)" 10
check_eq "no ESP without UDP" "$(gw_reason b steer_in)" 0
load_start 200 200
check "load flows" load_moves
leak_act "kill -9 of gw-a's xipsecd, start" eval 'gw_kill a && gw_start a'
leak_act "the kernel's policies are flushed, and put back" in_ns gw-a ip xfrm policy flush
leak_act "restart of gw-a's xipsecd" eval 'gw_stop a && sleep 0.5 && gw_start a'
leak_end
