#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# What xipsec-iked's processes are while they run: the one that reads the network and the one that asks name
# servers have a user of their own, no capability, an empty root, seccomp; none has a second thread. Who may
# speak to its socket, what --json writes, and where keys go that are to be saved.
#
#	gw-a alone
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

field() { awk -v key="$2:" '$1 == key { print $2; exit }' "/proc/$1/status"; }
keys_file=$WORK/keys
IKE_DAEMON="save_keys = $keys_file"
gw_config a
check "attach" gw_attach a || exit 1
check "xipsecd" gw_start a || exit 1

# --- a link is no place for keys
echo untouched >"$WORK/other" && chmod 600 "$WORK/other" && ln -s "$WORK/other" "$keys_file"
check "the daemon starts" ike_start a --json || exit 1
check "a link is refused as save_keys" until_true 3 grep -q 'save_keys = .*expected a file of root' "$WORK/iked-a.log.new"
check_eq "what it points to is untouched" "$(cat "$WORK/other")" untouched
rm "$keys_file"

# --- JSON, a line each
check_eq "with --json each line is an object with level and text" "$(jq -c 'select(.level and .text) | 1' <"$WORK/iked-a.log.new" | wc -l)" \
	"$(wc -l <"$WORK/iked-a.log.new")"

# --- the processes
child=$(ike_child_pid a)
resolver=$(pgrep -P "${IKED_PID[a]}" -f 'xipsec-iked: resolver')
for pid in "$child" "$resolver"; do
	name=$(tr '\0' ' ' <"/proc/$pid/cmdline")
	check_gt "$name has a user of its own" "$(field "$pid" Uid)" 0
	for set in CapInh CapPrm CapEff CapAmb; do check_eq "$name has no capability: $set" "$(field "$pid" $set)" 0000000000000000; done
	check_eq "$name is filtered by seccomp" "$(field "$pid" Seccomp)" 2
	check_eq "$name gets no new privileges" "$(field "$pid" NoNewPrivs)" 1
	check_eq "the root of $name is empty" "$(ls -A "/proc/$pid/root/")" ""
done
for pid in "${IKED_PID[a]}" "$child" "$resolver"; do check_eq "process $pid has one thread" "$(field "$pid" Threads)" 1; done

# --- its socket
check_eq "the VICI socket is root's" "$(stat -c '%a %u' "$WORK/run-a/charon.vici")" "600 0"
chmod a+x "$WORK" "$WORK/run-a" && chmod a+rw "$WORK/run-a/charon.vici"
# ask UID: how many bytes it answers to a user, asked for its version.
ask()
{
	setpriv --reuid "$1" --clear-groups /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('$WORK/run-a/charon.vici')
s.settimeout(3)
try:
    s.sendall(bytes([0, 0, 0, 9, 0, 7]) + b'version')
    print(len(s.recv(100)))
except (ConnectionError, BrokenPipeError):
    print(0)" 2>&1 | tail -n 1
}
check_gt "it answers root" "$(ask 0)" 50
check_eq "another user gets no answer, whatever the mode" "$(ask 65534)" 0

# --- keys, where they may go
ike_stop a
check "again" ike_start a
check "it is loud about keys" until_true 3 grep -q 'KEYS OF IKE ARE WRITTEN' "$WORK/iked-a.log.new"
check_eq "their file is root's alone" "$(stat -c '%a %u' "$keys_file")" "600 0"
ike_stop a
rm "$keys_file"
IKE_DAEMON=''
gw_config a
check "without save_keys" ike_start a
check "no file" test ! -e "$keys_file"
if grep -q 'KEYS' "$WORK/iked-a.log.new"; then not_ok "nothing is said of keys"; else ok "nothing is said of keys"; fi

# --- a reload makes the one that asks name servers anew (resolv.conf may be another one): names that are
# looked for in that moment are found all the same
ike_stop a
IKE_REMOTE_ADDR=localhost IKE_START=start
gw_config a
check "a peer that has a name" ike_start a
begun() { [ "$(grep -c 'begins, for child' "$WORK/iked-a.log.new")" -ge "$1" ]; }
reload() { IKE_LINES="dpd_delay = 7$1" && gw_config a && kill -HUP "${IKED_PID[a]}"; }
resolver_pid() { pgrep -P "${IKED_PID[a]}" -f 'xipsec-iked: resolver'; }
another() { pid=$(resolver_pid) && [ "$pid" != "$resolver" ]; }
check "it is begun" until_true 3 begun 1
for i in 1 2; do
	resolver=$(resolver_pid)
	check "reload $i" reload "$i"
	check "reload $i: it is begun anew" until_true 3 begun $((i + 1))
	check "reload $i: another resolver" until_true 3 another
	sleep 0.3 # it has answered
done
check_eq "its address was known each time" "$(grep -c 'its address is not known' "$WORK/iked-a.log.new")" 0
check_eq "and nothing is said of the resolver's end" "$(grep -c 'resolver.*killed' "$WORK/iked-a.log.new")" 0
