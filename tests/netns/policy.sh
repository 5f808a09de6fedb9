#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016,SC2034,SC2154 # eval; settings that the sourced files read
# The order of policies is the policy: BYPASS, DISCARD, PROTECT without an SA, and fragments that must
# not slip past the rule that would have named their ports.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

# UDP 7009 goes in the clear, UDP 7010 not at all, the rest into the tunnel.
GW_POLICIES='
	clear {
		action = bypass
		direction = both
		local = 10.0.0.0/8
		remote = 10.0.0.0/8
		proto = udp
		remote_port = 7009
	}
	clear-back {
		action = bypass
		direction = both
		local = 10.0.0.0/8
		remote = 10.0.0.0/8
		proto = udp
		local_port = 7009
	}
	closed {
		action = discard
		direction = both
		local = 10.0.0.0/8
		remote = 10.0.0.0/8
		proto = udp
		remote_port = 7010
	}'

# send_udp PORT: 50 marked datagrams, under a capture of their own.
send_udp()
{
	capture_start "$WORK/port-$1.pcap"
	in_ns red-a "$UDPLOAD" send 10.2.0.2 "$1" 100 100 1 >/dev/null
	capture_stop
	capture_verdict >/dev/null
}

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi

before=$(gw_reason a bypass_out)
send_udp 7009
check_gt "BYPASS: goes in the clear" "$MARKED" 30
check_gt "BYPASS: counted as bypass_out" "$(gw_reason a bypass_out)" "$before"
before=$(gw_reason a discard)
send_udp 7010
check_eq "DISCARD: neither in the clear nor as ESP" "$MARKED,$ESP" 0,0
check_gt "DISCARD: counted as discard" "$(gw_reason a discard)" "$before"
send_udp 7011
check_eq "PROTECT: nothing in the clear" "$MARKED" 0
check_gt "PROTECT: goes as ESP" "$ESP" 30

# A tail shows no port: it could be of 7009 (BYPASS) or of 7011 (PROTECT), so it goes nowhere.
before=$(gw_reason a frag_opaque)
capture_start "$WORK/tail.pcap"
in_ns red-a /usr/bin/python3 "$LIB/tools/packets.py" tail ra0 10.1.0.1 "$MARKER" 10.2.0.2
capture_stop
capture_verdict >/dev/null
check_eq "a non-first fragment passes neither rule" "$MARKED,$ESP" 0,0
check_gt "it is counted as frag_opaque" "$(gw_reason a frag_opaque)" "$before"

# Plaintext from black that the policy wants as ESP.
before=$(gw_reason b plaintext_in)
ip -n "$TOPO-link" addr add 192.0.2.9/24 dev br0
ip -n "$TOPO-link" route add 10.2.0.0/16 via 192.0.2.2
in_ns link "$UDPLOAD" send 10.2.0.2 7012 100 100 1 >/dev/null
check_gt "plaintext from black is dropped: plaintext_in or no_policy" \
	"$(($(gw_reason b plaintext_in) + $(gw_reason b no_policy)))" "$before"

# ESP that nobody knows.
before=$(gw_reason b no_sa)
in_ns link /usr/bin/python3 -c '
from scapy.all import *
send(IP(dst="192.0.2.2", proto=50) / Raw(bytes.fromhex("0000beef00000001") + b"y" * 64), verbose=0)'
check_gt "ESP without an SA is dropped: no_sa" "$(gw_reason b no_sa)" "$before"

check "sa delete: done" gw a sa delete ab4
before=$(gw_reason a no_sa_out)
send_udp 7011
check_eq "PROTECT without an SA: neither in the clear nor as ESP" "$MARKED,$ESP" 0,0
check_gt "PROTECT without an SA: counted as no_sa_out" "$(gw_reason a no_sa_out)" "$before"

# Order is policy inbound, too: gw-b discards UDP 7001 before its tunnel begins, gw-a sends it there.
cp "$WORK/gw-b.conf" "$WORK/gw-b.before"
GW_POLICIES='
	nogo {
		action = discard
		direction = both
		local = 10.2.0.2/32
		remote = 10.1.0.2/32
		proto = udp
		local_port = 7001
	}'
gw_config b
# With the generations of their states, which an SA that is made anew does not keep.
states_of_sas() { gw b sa list --json | jq -c '[.[] | [.name, .spi, .generation]]'; }
states=$(states_of_sas)
spd_generation() { gw b status --json | jq .spd_generation; }
# Read from its map: xipsecd, which waits, answers nobody.
in_force() { bpftool -j map dump pinned "/sys/fs/bpf/$TOPO-b/current/spd_head" | jq ".[0].formatted.value.generation"; }
before=$(in_force)
workers=$(gw_workers b)
# shellcheck disable=SC2086 # one each
kill -STOP $workers
gw b reload >"$WORK/reload.log" 2>&1 &
reload=$!
sleep 0.7 # xipsecd ends a worker that does not answer within 2 s
check_eq "a reload first waits until workers go by the new lists of the SAs" "$(in_force)" "$before"
# shellcheck disable=SC2086
kill -CONT $workers
check "reload with a rule before the tunnel: done" wait $reload
check_eq "then the policies change" "$(in_force)" $((before + 1))
check_eq "the workers are those before" "$(gw_workers b)" "$workers"
check "sa add: done" gw a sa add ab4
# udp_through PORT: leaves in DELIVERED how many of SENT datagrams come out of the SA: 200 in a second,
# fewer if the machine has other things to do in it.
udp_through()
{
	local pid

	spawn red-b "$WORK/recv-$1.log" "$UDPLOAD" recv 10.2.0.2 "$1" "$WORK/load-ab"
	pid=$PID
	until_true 2 test -s "$WORK/load-ab"
	SENT=$(in_ns red-a "$UDPLOAD" send 10.2.0.2 "$1" 200 200 1)
	sleep 0.3
	end_pid "$pid" 2
	DELIVERED=$(load_field ab received)
	rm -f "$WORK/load-ab"
}
before=$(gw_reason b selector)
udp_through 7001
check_eq "a rule before the tunnel's: nothing comes out of the SA" "$DELIVERED" 0
check_eq "it is counted as selector" "$(gw_reason b selector)" "$((before + SENT))"
udp_through 7002
check_gt "another port comes out of it" "$DELIVERED" $((SENT * 95 / 100))
cp "$WORK/gw-b.before" "$WORK/gw-b.conf"
before=$(in_force)
kill -HUP "${GW_PID[b]}"
check "SIGHUP without that rule: the policies change" until_true 5 eval '[ "$(in_force)" -gt "$before" ]'
udp_through 7001
check_gt "then it comes out of the SA" "$DELIVERED" $((SENT * 95 / 100))
check_eq "no SA was made anew for that" "$(states_of_sas)" "$states"

# An upgrade of the data path fills the policies from the file as it is then. The SAs of an xipsecd that
# runs go by the same.
moved() { gw b attach --all --upgrade && until_true 5 ping4 a 1; }
gw_config b
check "upgrade with a rule before the tunnel, beside a running xipsecd: done" moved
before=$(gw_reason b selector)
udp_through 7001
check_eq "nothing comes out of the SA" "$DELIVERED" 0
check_eq "it is counted as selector" "$(gw_reason b selector)" "$((before + SENT))"
cp "$WORK/gw-b.before" "$WORK/gw-b.conf"
check "upgrade without that rule: done" moved
udp_through 7001
check_gt "then it comes out of the SA" "$DELIVERED" $((SENT * 95 / 100))
check_eq "no SA was made anew for that" "$(states_of_sas)" "$states"
neither() { grep -q "the policies in force are neither those that SAs go by nor those of $WORK/gw-b.conf" "$WORK/xipsecd-b.log.new"; }
check "of all that no policies were unknown to it" eval '! neither'
cp "$WORK/gw-b.conf" "$WORK/other.conf"
sed -i 's/^policies {/&\n\tnever { action = discard\n\tremote = 198.18.7.7 }/' "$WORK/other.conf"
check "upgrade by another file: done" gw b attach --all --upgrade --config "$WORK/other.conf"
check "xipsecd tells that it does not know these policies" until_true 5 neither
check "reload: done" gw b reload

# What cannot be built takes no SA with it, though the SAs would be other ones: its rule before the
# tunnel's changes their lists.
many_devs()
{
	printf 'before-all { action = discard\n remote = 10.2.0.2\n proto = udp\n remote_port = 9 }\n'
	for i in $(seq 1100); do
		printf 'dev-%u { action = bypass\n direction = out\n dev = none%u\n' "$i" "$i"
		printf ' remote = 198.18.0.0/15 }\n'
	done
}
list_of_sas() { gw b sa list --json | jq -c '[.[] | [.name, .spi, .child]]'; }
sas=$(list_of_sas)
before=$(spd_generation)
check_gt "there are SAs to lose" "$(jq length <<<"$sas")" 1
GW_POLICIES=$(many_devs)
gw_config b
status=0
gw b reload >"$WORK/reload.log" 2>&1 || status=$?
check_eq "a reload whose policies cannot be built fails" "$status" 1
check "it says so of the SAs, too" grep -q "the policies in force stay, and so does every SA" "$WORK/reload.log"
check "and why, though it was xipsecd that tried" grep -q "dev none.* gets no number: all numbers are taken" "$WORK/reload.log"
check_eq "the policies are those before" "$(spd_generation)" "$before"
check_eq "the SAs are those before" "$(list_of_sas)" "$sas"
udp_through 7001
check_gt "and they work" "$DELIVERED" $((SENT * 95 / 100))
cp "$WORK/gw-b.before" "$WORK/gw-b.conf"
check "reload of the config before: done" gw b reload

# The file is opened by the client, for where xipsecd is, and by xipsecd, once.
opens()
{
	/usr/bin/python3 - "$1" "$2" <<-'END'
		import ctypes, os, struct, sys, time
		libc = ctypes.CDLL(None)
		fd = libc.inotify_init1(os.O_NONBLOCK)
		libc.inotify_add_watch(fd, sys.argv[1].encode(), 0x30)  # IN_OPEN, IN_CLOSE_NOWRITE
		print("watches", flush=True)
		while not os.path.exists(sys.argv[2]):
		    time.sleep(0.05)
		print(sum(mask == 0x20 for _, mask, _, _ in struct.iter_unpack("iIII", os.read(fd, 65536))))
	END
}
opens "$WORK/gw-b.conf" "$WORK/opened" >"$WORK/opens" &
watcher=$!
until_true 5 grep -q watches "$WORK/opens"
check "reload: done" gw b reload
touch "$WORK/opened"
wait $watcher
check_eq "a reload reads its file once, and the client its paths" "$(tail -n 1 "$WORK/opens")" 2

# An xipsecd that hangs does not hold the policies up for ever.
kill -STOP "${GW_PID[b]}"
sed -i 's/^policies {/&\n\tnever { action = discard\n\tremote = 198.18.7.7 }/' "$WORK/gw-b.conf"
before=$(spd_generation)
start=$(date +%s)
gw b reload >"$WORK/reload.log" 2>&1
check_eq "reload with an xipsecd that hangs: told" "$? $(grep -c 'xipsecd does not answer' "$WORK/reload.log")" "1 1"
check_gt "within 45 s" $((45 * ${XIPSEC_SLOW:-1})) $(($(date +%s) - start))
check_eq "the policies are in force all the same" "$(spd_generation)" $((before + 1))
kill -CONT "${GW_PID[b]}"
cp "$WORK/gw-b.before" "$WORK/gw-b.conf"
check "reload of the config before: done" gw b reload
udp_through 7001
check_gt "and the SAs work" "$DELIVERED" $((SENT * 95 / 100))

# New rules take their types from the rules in force, not from a pin that somebody may have removed.
rm "/sys/fs/bpf/$TOPO-a/current/spd_rules"
check "reload without the pin of the rules: done" gw a reload
bpftool map dump pinned "/sys/fs/bpf/$TOPO-a/current/spd_rules" >"$WORK/rules"
check "the rules are pinned again, with field names" grep -q '"priority": ' "$WORK/rules"

# What a config says of itself.
cat >"$WORK/check.conf" <<'END'
policies {
	wide { action = bypass
		remote = 10.0.0.0-10.0.0.99 }
	inside { action = discard
		remote = 10.0.0.7-10.0.0.9
		proto = udp }
	across { action = discard
		remote = 10.0.0.99-10.0.1.3 }
	same { action = bypass
		remote = 10.0.0.1 }
	there { action = bypass
		remote = 10.9.0.0/24
		direction = out
		dev = lo }
	ours { action = bypass
		remote = 10.9.1.0/24
		direction = out
		dev = later0 }
	typo { action = bypass
		remote = 10.9.2.0/24
		direction = out
		dev = eht0 }
}
datapath {
	interfaces {
		later0 {
			role = protected
		}
	}
}
END
cat >"$WORK/together.conf" <<'END'
policies {
	low { action = bypass
		remote = 10.0.0.0/25 }
	high { action = discard
		remote = 10.0.0.128/25 }
	whole { action = bypass
		remote = 10.0.0.0/24 }
	here { action = connections }
	behind { action = protect
		child = tunnel
		local = 10.1.0.0/16
		remote = 10.2.0.0/16 }
}
connections {
	road { local { auth = psk }
		remote { auth = psk }
		children { net { local_ts = 10.1.0.0/16 } } }
}
END
"$XIPSEC" policy check "$WORK/together.conf" >"$WORK/check.txt"
check "policy check: two rules that take a third together" grep -qx \
	'rule 2 (whole, line 6) can never match, because of rule 0 (low, line 2) and rule 1 (high, line 4) together' "$WORK/check.txt"
check "policy check: what a dynamic child discards until its SA comes" grep -qx \
	'rule 4 (behind, line 9) can never match, because of rule 3 (road/net, line 17, stands in for addresses that SAs make known)' "$WORK/check.txt"
check_eq "policy check --json: who they are" \
	"$("$XIPSEC" policy check --json "$WORK/together.conf" | jq -c '[.n_undecided, (.findings[] | [.rule, .finding, [.by[].rule], .by[0].standin])]')" \
	'[0,[2,"never_matches",[0,1],false],[3,"cut_short",[0],false],[4,"never_matches",[3],true]]'
status=0
"$XIPSEC" policy check --json "$WORK/check.conf" >"$WORK/check.json" || status=$?
check_eq "policy check --json: a rule never matches, exit 1" "$status" 1
check_eq "policy check --json: what it found" \
	"$(jq -c '[.n_rules, .n_never, (.findings[] | [.rule, .finding, .by_policy, .same])]' "$WORK/check.json")" \
	'[7,2,[1,"never_matches","wide",false],[2,"cut_short","wide",false],[3,"never_matches","wide",true]]'
check_eq "policy check --json: a dev that is neither in the config nor here" \
	"$(jq -c '[.unknown_devs[] | [.policy, .line, .dev]]' "$WORK/check.json")" '[["typo",19,"eht0"]]'
"$XIPSEC" policy check "$WORK/check.conf" >"$WORK/check.txt"
check_eq "policy check: the same as a warning" "$(grep -c '^warning: policy typo, line 19: dev eht0 ' "$WORK/check.txt")" 1
check_eq "policy check: the only one" "$(grep -c '^warning' "$WORK/check.txt")" 1
sed '0,/action = bypass/s//action = bypas/' "$WORK/check.conf" >"$WORK/bad.conf"
status=0
"$XIPSEC" policy check "$WORK/bad.conf" >"$WORK/check.txt" 2>&1 || status=$?
check_eq "policy check of a bad config: where, and what to do" \
	"$status $(grep -c "bad.conf:[0-9]*:[0-9]*: .*bypas" "$WORK/check.txt") $(tail -n 1 "$WORK/check.txt" | grep -c 'bad.conf: not a good config, see above: mend it first')" "3 1 1"
status=0
"$XIPSEC" policy check "$WORK/nothing.conf" >"$WORK/check.txt" 2>&1 || status=$?
check_eq "policy check of no file: cannot read it" "$status $(tail -n 1 "$WORK/check.txt" | grep -c 'cannot read .*nothing.conf')" "3 1"
for words in --bogus '--json --bogus' 'x.conf y.conf'; do
	status=0
	# shellcheck disable=SC2086 # words
	"$XIPSEC" policy check $words >"$WORK/check.txt" 2>&1 || status=$?
	check_eq "policy check $words: usage" "$status $(grep -c "unexpected: ${words##* }; expected .--json. .FILE." "$WORK/check.txt")" "2 1"
done
