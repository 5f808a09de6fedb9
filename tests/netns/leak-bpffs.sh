#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bpffs is cleared under load: the pins are gone, what is attached goes on. Then as after a reboot:
# no pins, no xipsecd, attach and start from nothing but state_dir.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"

# libxdp's too, where it runs our programs: their links die then.
clear_pins()
{
	local id

	for id in $(in_ns "gw-$1" bpftool -j net show | jq '.[0].xdp[].id'); do
		rm -rf /sys/fs/bpf/xdp/dispatch-*-"$id"
	done
	rm -rf "/sys/fs/bpf/$TOPO-$1"
}

clear_and_restart()
{
	clear_pins "$1"
	sleep 0.5
	gw_stop "$1"
	gw_attach "$1" || [ $? -eq 4 ] || return
	gw_start "$1"
}

as_after_reboot()
{
	gw_kill "$1" all
	clear_pins "$1"
	rm -rf "$WORK/run-$1"
	sleep 0.5
	gw_attach "$1" || [ $? -eq 4 ] || return
	gw_start "$1"
}

leak_begin || exit 1
note <<<"XDP hooks of gw-a and gw-b: $(for x in a b; do gw $x status --json | jq -r '.interfaces[] | .xdp.kind | select(. != "none")'; done | sort | uniq -c | xargs)"
check "pins of gw-a cleared: done" clear_pins a
sleep 1
note <<<"after clearing: $(load_field ab received) and $(load_field ba received) datagrams so far"
leak_act "attach and restart after that" clear_and_restart a
leak_act "pins and run_dir cleared with xipsecd killed, attach, start" as_after_reboot b
leak_end
