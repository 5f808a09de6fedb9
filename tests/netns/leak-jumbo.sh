#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Workers die under a load of packets in several frames: nothing leaves in the clear, no half packet
# wedges their successor, and no frame is lost but what one burst holds.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		MTU 9000, load in both directions
# shellcheck disable=SC2034 # settings that the sourced files read
MTU=9000
LOAD_PPS=2000
LOAD_SIZE=8000
KILLS=8
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/leak.sh"
. "$LIB/kernel.sh"

if ! multi_buffer; then
	skip "jumbo: this kernel's AF_XDP has packets in one frame alone (Linux 6.6 has several)"
	exit 0
fi

# What the newest worker of gw-a found under way: frames in fill rings, and lost ones.
under_way() { sed -n 's/.* frames, \([0-9]*\) of them under way/\1/p' "$WORK/xipsecd-a.log.new" | tail -n 1; }
starts() { grep -c "frames, .* under way" "$WORK/xipsecd-a.log.new"; }

kill_and_wait()
{
	local before
	before=$(starts)
	gw_kill_workers a || return
	until_true 10 started_after "$before"
}
started_after() { [ "$(starts)" -gt "$1" ]; }

leak_begin || exit 1
for i in $(seq $KILLS); do
	leak_act "kill -9 of gw-a's worker, $i of $KILLS" kill_and_wait || break
done
leak_act "kill -9 of gw-b's workers" gw_kill_workers b
leak_end

# Without load there is nothing on its way: two fill rings of 2048, and what deaths have cost.
sleep 0.5
check "a last death, without load" kill_and_wait
lost=$(($(under_way) - 2 * 2048))
echo "# $lost frames lost in $((KILLS + 1)) deaths"
check "a death costs a burst of frames at most" test $lost -le $((KILLS * 64)) -a $lost -ge -2048
check "the tunnel works" tunnel_works
