#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# `xipsec top` on a plain terminal of 80 columns and 24 lines (tmux): what it shows of traffic that
# runs, its keys, and the terminal as it was afterwards, whether it was asked to go or killed.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

MUX="tmux -L $TOPO -f /dev/null"
scenario_cleanup() { $MUX kill-server 2>/dev/null; }
screen() { $MUX capture-pane -p; }
shows() { screen | grep -Eq -- "$1"; }
lacks() { ! shows "$1"; }
keys() { $MUX send-keys "$@"; }
row() { screen | awk -v name="$1" '$1 == name'; }
moves() { [ "$(row ab4 | awk '{print $5}' | tr -dc 0-9)" -gt 0 ]; }
first_sa() { screen | grep -E '^(ab|ba)[46] ' | head -n 1 | cut -d' ' -f1; }
first_is() { [ "$(first_sa)" = "$1" ]; }
start_top() { keys "$XIPSEC -c $WORK/gw-a.conf top --interval 0.5" Enter; }

GW_POLICIES='
	closed {
		action = discard
		local = 10.0.0.0/8
		remote = 10.0.0.0/8
		proto = udp
		remote_port = 7010
	}'
if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
load_start 500
spawn red-a "$WORK/closed.log" "$UDPLOAD" send 10.2.0.2 7010 200 100 0
CLOSED=$PID

TERM=screen $MUX new-session -d -x 80 -y 24 "nsenter --net=/run/netns/$TOPO-gw-a -- bash --norc -i"
until_true 5 shows '[$#]'
keys "PS1='ready'\\> ; clear" Enter
check "a terminal" until_true 5 shows '^ready>'
start_top
check "it starts" until_true 5 shows '^xipsec .*gen-1, SPD [0-9]+, 3 rules  xipsecd up  4 SAs'
check "interfaces and their queues" until_true 3 shows 'blk0 black 1q .*red0 red 1q|red0 red 1q .*blk0 black 1q'
check "SAs with rates" until_true 5 moves
check "child, direction, state" test "$(row ab4 | awk '{print $2, $3, $4}')" = "net4 out live"
check "the worker's load" until_true 5 shows '^ +0 +[0-9]+ +1 +[0-9]+% '
check "how full its queues got" until_true 5 shows '^ +0 +[0-9]+ +1 +[0-9]+% .* [0-9]+% +[0-9]+%$'
check_eq "the keys are told whole, in 79 columns" "$(screen | tail -n 1 | grep -c 'd reasons  space pause  f filter: -$')" 1
check "what the flow cache answers" until_true 5 shows 'FLOW CACHE (9[0-9]|100)\.[0-9]%'
check "drops by reason, with their rate" until_true 5 shows '^discard +[0-9]'
check "nothing but drops" lacks '^steer_out'
check_eq "24 lines, no more than 80 columns" "$(screen | wc -l) $(screen | awk 'length > 80' | wc -l)" "24 0"
keys d
check "d: all reasons" until_true 3 shows '^steer_out +[0-9]'
counted() { gw a status --json | jq '[.reasons[] | select(.program_packets + .worker_packets > 0)] | length'; }
reason_rows() { screen | sed -n '/^REASON/,$p' | grep -Ec '^[a-z][a-z0-9_]+ +[0-9]'; }
fills() { [ "$(reason_rows)" = "$1" ]; }
check_gt "more are counted than six" "$(counted)" 6
is_full() { local n; n=$(counted) && fills $((n < 18 ? n : 18)); }
check "all of them are shown, or as many as the page holds" until_true 5 is_full
check "and no SA" lacks '^SA '
$MUX resize-window -x 80 -y 10
check "a small terminal: as many as it holds, and which of how many" until_true 5 shows '^REASON.* 1 to [0-9]+ of [0-9]+'
check "filled to the last row" until_true 3 fills 4
keys Down Down
check "arrows scroll reasons" until_true 3 shows '^REASON.* 3 to 6 of [0-9]+'
at_end() { shows '^REASON.* to ([0-9]+) of \1 *$' && fills 4; }
keys NPage NPage NPage NPage NPage NPage NPage NPage
check "to the last one and no further" until_true 3 at_end
$MUX resize-window -x 80 -y 24
keys PPage PPage PPage PPage PPage PPage PPage PPage
keys d
check "d again: drops" until_true 3 lacks '^steer_out'
keys s s s
check "s: sorted by name" until_true 3 shows 's sort: name'
check "the first is the first" until_true 3 first_is ab4
keys r
check "r: the other way" until_true 3 first_is ba6
keys f
keys ab
check "f: a filter" until_true 3 shows '^filter: ab_'
check "only what matches" until_true 3 lacks '^ba[46] '
keys Enter
check "Enter keeps it" until_true 3 shows 'f filter: ab'
keys f Escape
check "Escape drops it" until_true 3 shows '^ba6 '
keys Down Down
check "arrows scroll" until_true 3 lacks '^ba6 '
keys Up Up
keys ' '
check "space pauses" until_true 3 shows PAUSED
keys ' '
keys q
check "q: it goes, and the shell is there" until_true 5 shows '^ready>$'
check "nothing of it is left" lacks 'WORKER'
keys "stty -a | grep -o ' echo ' | tr ' ' '!'" Enter
check "the terminal echoes" until_true 3 shows '^!echo!$'

keys clear Enter
start_top
until_true 5 shows WORKER
kill -TERM "$(pgrep -f "$WORK/gw-a.conf top" | head -n 1)"
check "killed, it leaves the terminal as it was" until_true 5 shows '^ready>$'
keys "clear; stty -a | grep -o ' echo ' | tr ' ' '!'" Enter
check "echo too" until_true 3 shows '^!echo!$'
keys clear Enter
gw_stop a
start_top
check "without xipsecd: said, and the counters go on" until_true 5 shows 'xipsecd DOWN'
keys q
gw a top >/dev/null 2>"$WORK/err" </dev/null
check_eq "without a terminal: told" "$? $(grep -c 'needs a terminal' "$WORK/err")" "1 1"
end_pid "$CLOSED" 2
load_stop
