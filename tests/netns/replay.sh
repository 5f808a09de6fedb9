#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A captured conversation is sent again: nothing of it is delivered, all of it is counted; also after
# the receiving worker was killed, after programs and maps were upgraded, after the SAs moved to other
# maps, after xipsecd was restarted, and after an SA was deleted on a full disk and added again.
#
#	red-a --- gw-a ===[capture; replay from here]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

# xipsecd may still stand in it.
scenario_cleanup() { umount -l "$WORK/state-b" 2>/dev/null; }

mac_b() { ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address'; }

delivered() { load_field ab received; }

replayed() { echo $(($(gw_reason b replay) + $(gw_reason b replay_old))); }

# Sends the capture again and looks at the far end.
again()
{
	local what=$1 before counted sent

	before=$(delivered)
	counted=$(replayed)
	sent=$(in_ns link /usr/bin/python3 "$LIB/tools/packets.py" replay "$WORK/replay.pcap" lb "$MAC_B")
	sleep 0.5
	check_gt "$what: frames were sent again" "${sent:-0}" 100
	check_eq "$what: nothing of them was delivered" "$(delivered)" "$before"
	[ -z "${2:-}" ] || check_eq "$what: all are counted as replay" $(($(replayed) - counted)) "$sent"
}

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
MAC_B=$(mac_b)
capture_start "$WORK/replay.pcap" 0 esp
spawn red-b "$WORK/recv.log" "$UDPLOAD" recv 10.2.0.2 7001 "$WORK/load-ab"
until_true 2 test -s "$WORK/load-ab"
spoken=$(in_ns red-a "$UDPLOAD" send 10.2.0.2 7001 500 200 1)
tally_settles "$WORK/load-ab" "$spoken"
capture_stop
check_gt "there is a conversation" "$spoken" 0
check_gt "it arrived" "$(delivered)" $((spoken * 3 / 4))

again "replay" all
gw_kill_workers b
sleep 1
again "replay after the worker was killed" all
gw b attach --all --upgrade || [ $? -eq 4 ] || not_ok "gw-b: new maps beside a running xipsecd"
until_true 5 ping4 a 1
again "replay after an upgrade"
check "gw-b: detach beside a running xipsecd" gw b detach --all
gw b attach --all || [ $? -eq 4 ] || not_ok "gw-b: attach again"
until_true 5 ping4 a 1
again "replay after the SAs moved to new maps"
gw_stop b
check "gw-b: xipsecd starts again" gw_start b
again "replay after a restart of xipsecd"
gw_kill b all
check "gw-b: xipsecd starts after kill -9" gw_start b
again "replay after kill -9 of xipsecd"
check "the tunnel goes on" ping4 a 3

# Numbers that are on no record yet, and no room for another record.
gw_stop b
cp -a "$WORK/state-b" "$WORK/state-was"
mount -t tmpfs -o size=128k,mode=700 none "$WORK/state-b"
cp -a "$WORK/state-was/." "$WORK/state-b"
check "gw-b: xipsecd starts on a small disk" gw_start b
capture_start "$WORK/replay.pcap" 0 esp
in_ns red-a "$UDPLOAD" send 10.2.0.2 7001 500 200 1 >/dev/null
dd if=/dev/zero of="$WORK/state-b/fill" bs=1k count=200 2>/dev/null
check "an SA is deleted on a full disk" gw b sa delete ab4
check "it was full" grep -q "cannot be written anew" "$WORK/xipsecd-b.log.new"
capture_stop
rm "$WORK/state-b/fill"
check "and added again" gw b sa add ab4
again "replay after a delete on a full disk"
