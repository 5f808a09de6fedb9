#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Interfaces are deleted and made anew under load, as drivers and hypervisors do. The new one is closed
# until xipsecd has attached it.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"

black_anew()
{
	ip -n "$TOPO-gw-a" link del blk0
	sleep 0.3
	veth gw-a blk0 link la
	link_port_up la
	gateway_black_up a
}

red_anew()
{
	ip -n "$TOPO-gw-a" link del red0
	sleep 0.3
	veth red-a ra0 gw-a red0
	gateway_red_up a
	red_host_up a
}

leak_begin || exit 1
leak_act "black interface of gw-a made anew" black_anew
leak_act "black interface of gw-a made anew again" black_anew
leak_act "red interface of gw-a made anew" red_anew
check "status finds nothing unsafe" gw a status

# With no xipsecd to look after it, red traffic must not leave by an interface that is unknown.
gw_kill a all
black_anew
sleep 1
check "with xipsecd dead, a new black interface carries nothing" load_stands
leak_act "xipsecd started again" gw_start a
leak_end
