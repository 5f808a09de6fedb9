#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
# xipsecd dies by kill -9 before it wrote down what was received last, and then an `attach --confirm`
# is taken back: nothing of that is accepted again, and fresh traffic flows.
#
#	red-a --- gw-a ===[capture; replay from here]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/replay.sh"
PINS=/sys/fs/bpf/$TOPO-b

# The process that waits is told to end: it takes back at once.
taken_back()
{
	kill -TERM "$(sed -n 's/^pid //p' "$WORK/run-b/confirm")"
	until_true 5 [ ! -e "$WORK/run-b/confirm" ]
}

# xipsecd follows into what waits for its confirmation, talks, and dies.
talk_and_die()
{
	check "$1: xipsecd starts" gw_start b
	check "$1: the tunnel works" until_true 5 ping4 a 1
	converse "$1"
	gw_kill b all
}

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
MAC_B=$(ip -n "$TOPO-gw-b" -j link show blk0 | jq -r '.[0].address')

what="a first attach taken back"
gw_stop b
gw b detach --all >/dev/null 2>&1
attach_b --confirm 100
talk_and_die "$what"
check "$what: nobody confirms it" taken_back
check "$what: no pins are left" [ ! -e "$PINS" ]
check "$what: attached again" attach_b
start_and_replay "$what"

what="an upgrade to another max_sas taken back"
gw_stop b
sed -i "s/^workers = .*/&\nmax_sas = 2048/" "$WORK/gw-b.conf"
attach_b --upgrade --confirm 100
check_eq "$what: it was in force" "$(states_room)" 2048
talk_and_die "$what"
check "$what: nobody confirms it" taken_back
check_eq "$what: the maps before are back" "$(states_room)" 1024
start_and_replay "$what"

# What cannot be noted is not forgotten: nobody may write the records while it is taken back.
what="a first attach taken back without records"
gw_stop b
gw b detach --all >/dev/null 2>&1
attach_b --confirm 100
talk_and_die "$what"
chmod 0777 "$WORK/state-b/keys"
check "$what: nobody confirms it" taken_back
chmod 0700 "$WORK/state-b/keys"
check "$what: the pins are left" [ -e "$PINS/current" ]
check "$what: attached again" attach_b
start_and_replay "$what"
