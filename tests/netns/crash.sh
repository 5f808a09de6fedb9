#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# A worker, xipsecd, the client and the process of `attach --confirm` crash (SIGSEGV) where core dumps
# are wanted: no key in what is left, that is core files, logs, run_dir, state_dir and every pinned map.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
BYTESFIND=$BUILD/tests/tools/bytesfind
OLD_PATTERN=$(cat /proc/sys/kernel/core_pattern)
REMAINS=$WORK/remains

scenario_cleanup() { printf '%s' "$OLD_PATTERN" >/proc/sys/kernel/core_pattern; }

mkdir -p "$REMAINS/cores" "$REMAINS/maps"
chmod 711 "$REMAINS"
chmod 1777 "$REMAINS/cores"
ulimit -c unlimited
printf '%s/cores/core.%%e.%%p' "$REMAINS" >/proc/sys/kernel/core_pattern

cores() { find "$REMAINS/cores" -type f | wc -l; }

secrets() { echo "${KEY_AB4:0:32}" "${KEY_BA4:0:32}" "${KEY_AB6:0:32}" "${KEY_BA6:0:32}"; }

# search WHAT PATH...: no secret may be found, and something must have been searched.
search()
{
	local what=$1 status=0
	shift
	# shellcheck disable=SC2046
	"$BYTESFIND" $(secrets) -- "$@" >"$WORK/find.txt" || status=$?
	case $status in
	1) ok "$what: no key ($(tail -n 1 "$WORK/find.txt"))" ;;
	0)
		note <"$WORK/find.txt"
		not_ok "$what: a key is left"
		;;
	*)
		note <"$WORK/find.txt"
		not_ok "$what: could not be searched"
		;;
	esac
}

# As bytes: the dump in JSON has every byte of key and value in hex, whatever its type.
dump_maps()
{
	local pin
	find "/sys/fs/bpf/$TOPO-a" -type f | while IFS= read -r pin; do
		bpftool -j map dump pinned "$pin" 2>/dev/null | grep -o '"0x[0-9a-f][0-9a-f]"' |
			tr -d '"\n' | sed 's/0x//g' >"$REMAINS/maps/$(tr / _ <<<"$pin")"
	done
}

# Controls: the machinery does see what it looks for.
new_keys
sh -c 'kill -SEGV $$' 2>/dev/null
check_gt "positive control: a crash leaves a core file here" "$(cores)" 0
in_ns gw-a env SECRET="$KEY_AB4" sh -c 'kill -SEGV $$' 2>/dev/null
# shellcheck disable=SC2046
"$BYTESFIND" $(secrets) -- "$REMAINS/cores" >/dev/null
check_eq "positive control: a key in a core file is found" $? 0
rm -f "$REMAINS"/cores/*

# The client, in the middle of reading a config that a pipe gives it and does not end.
mkfifo "$WORK/pipe"
gw_config a
sleep 60 >"$WORK/pipe" &
holder=$!
spawn gw-a "$WORK/client.log" "$XIPSEC" config check "$WORK/pipe"
client=$PID
cat "$WORK/gw-a.conf" >"$WORK/pipe"
sleep 0.5
# memory PID: everything it can read there, into $WORK/memory.
memory()
{
	python3 - "$1" >"$WORK/memory" <<-'END'
		import sys
		for line in open(f"/proc/{sys.argv[1]}/maps"):
		    span, mode = line.split()[:2]
		    start, end = (int(x, 16) for x in span.split("-"))
		    if "r" not in mode or "[v" in line:
		        continue
		    with open(f"/proc/{sys.argv[1]}/mem", "rb") as mem:
		        mem.seek(start)
		        try:
		            sys.stdout.buffer.write(mem.read(end - start))
		        except OSError:
		            pass
	END
}
memory "$client"
# shellcheck disable=SC2046
"$BYTESFIND" $(secrets) -- "$WORK/memory" >/dev/null
check_eq "positive control: the client that reads a config has keys in memory" $? 0
kill -SEGV "$client"
reap "$client"
kill $holder
check_eq "a crashed client leaves no core file" "$(cores)" 0

# The process that waits for a confirmation.
gw a attach --all --confirm 60 2>/dev/null
waiter=$(sed -n 's/^pid //p' "$WORK/run-a/confirm")
check_gt "a process waits for the confirmation" "${waiter:-0}" 0
memory "$waiter"
check_gt "its memory could be read" "$(stat -c %s "$WORK/memory")" 100000
search "memory of the process that waits" "$WORK/memory"
rm "$WORK/memory"
kill -SEGV "$waiter"
ended() { ! kill -0 "$1" 2>/dev/null; }
until_true 5 ended "$waiter"
sleep 0.2
check_eq "it leaves no core file" "$(cores)" 0
gw a confirm >/dev/null 2>&1
gw a detach --all >/dev/null 2>&1
rm -f "$REMAINS"/cores/*

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
load_start 2000 200
check "load flows" load_moves
dump_maps
check_gt "maps were dumped" "$(find "$REMAINS/maps" -type f -size +0 | wc -l)" 3
old_worker=$(gw_workers a | head -n 1)
# A process that is not dumpable shows root alone what of it a dump would have.
for pid in "${GW_PID[a]}" "$old_worker"; do check_eq "no page of process $pid goes into a dump" "$(cat "/proc/$pid/coredump_filter")" 00000000; done
if grep -h 'core dumps' "$WORK"/xipsecd-a.log*; then not_ok "nothing is wrong with core dumps"; else ok "nothing is wrong with core dumps"; fi
kill -SEGV "$old_worker"
check "a crashed worker is replaced, traffic flows again" load_moves 10
check_eq "a crashed worker leaves no core file" "$(cores)" 0
kill -SEGV "${GW_PID[a]}"
reap "${GW_PID[a]}"
check_eq "a crashed xipsecd leaves no core file" "$(cores)" 0
sleep 0.5
dump_maps
load_stop
cp "$WORK"/xipsecd-a.log* "$WORK/attach-a.log" "$REMAINS"
search "core files, logs, maps" "$REMAINS"
search "run_dir" "$WORK/run-a"
search "state_dir" "$WORK/state-a"
