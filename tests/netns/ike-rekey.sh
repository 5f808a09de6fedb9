#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Rekeys under load, of children and of IKE SAs, by both sides at their own times: no packet is lost,
# none comes twice. REKEYS=100 takes two minutes.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/leak.sh"

# Each side rekeys on its own clock: often at the same time.
IKE_CHILD_LINES="rekey_time = 2s
life_time = 20s
rand_time = 1s"
IKE_LINES="rekey_time = 7s
rand_time = 3s
over_time = 30s"
WANTED=${REKEYS:-20}

rekeys() { tshark -r "$CAPTURE_FILE" -Y 'isakmp.exchangetype == 36 && isakmp.flag_r == 0' 2>/dev/null | wc -l; }
enough() { [ "$(rekeys)" -ge "$WANTED" ]; }
tunnel_works() { ike_start a && ike_start b && until_true 10 ping4 a 1 && until_true 10 ping6 a 1; }

# What was sent, by the generator's own count.
sent() { tail -n 1 "$WORK/send-$1.log"; }

# Senders first: what is under way arrives.
senders_stop()
{
	local pid
	for pid in $(head -n 2 <<<"${LOAD_PIDS// /$'\n'}"); do
		end_pid "$pid" 2
	done
	sleep 0.5
}

leak_begin || exit 1
check "$WANTED rekeys and more" until_true $((30 + 3 * WANTED)) enough
senders_stop
load_stop
echo "# $(rekeys) CREATE_CHILD_SA requests; load: $(cat "$WORK/load-ab") / $(cat "$WORK/load-ba")"
for x in a b; do gw $x status | grep -E ' drop ' | sed "s/^/gw-$x /" | note; done
check_eq "a to b: nothing was lost of $(sent a)" "$(load_field ab received)" "$(sent a)"
check_eq "b to a: nothing was lost of $(sent b)" "$(load_field ba received)" "$(sent b)"
check "both sides are up" test "$(ike_sas a net4)" -ge 2 -a "$(ike_sas b net4)" -ge 2
leak_end -i
