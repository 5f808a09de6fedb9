#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A second xipsecd for the same pins, whatever its run_dir: it is turned away, and the first does not
# notice.
#
#	red-a --- gw-a ===[ ]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
workers=$(gw_workers a)
mkdir "$WORK/run-2" "$WORK/state-2"
sed "s,$WORK/run-a,$WORK/run-2,; s,$WORK/state-a,$WORK/state-2," "$WORK/gw-a.conf" >"$WORK/gw-2.conf"
chmod 600 "$WORK/gw-2.conf"
in_ns gw-a timeout 10 "$XIPSECD" -c "$WORK/gw-2.conf" >"$WORK/second.log" 2>&1
check_eq "the second xipsecd ends with status 1" $? 1
check "it names the first and what to do" \
	grep -q "another xipsecd (pid ${GW_PID[a]}) uses pin_dir /sys/fs/bpf/$TOPO-a: stop it" "$WORK/second.log"
check "and that kernel XFRM is the first one's" grep -q "another xipsecd has kernel XFRM" "$WORK/second.log"
check_eq "the first keeps its workers" "$(gw_workers a)" "$workers"
check_eq "and its SAs" "$(gw_sa_count a)" 4
check "tunnel works" tunnel_works
gw_kill a all
check "after a kill the next one may" gw_start a
check "tunnel works again" tunnel_works
exit 0
