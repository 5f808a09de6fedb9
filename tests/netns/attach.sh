#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Attach and detach: what they do, what they refuse and in which words, and that a refusal leaves
# nothing behind.
#
#	[ ns: red0=red1  black0=black1  br0  big0=big1 ]	one namespace, nobody else
. "$(dirname "$0")/../lib/alone.sh"
. tests/lib/kernel.sh


xdp_of() { ns bpftool -j net show dev "$1" | jq -r '.[0].xdp[0].id // empty'; }
no_pins() { [ ! -e "$WORK/bpffs/pins" ]; }
vlan_strip() { ns ethtool -k "$1" | awk '/^rx-vlan-offload:/ { print $2 }'; }
generations() { find "$WORK/bpffs/pins" -maxdepth 1 -name "gen-*" | wc -l; }
clean() { no_pins && [ -z "$(xdp_of "$1")" ] && [ "$(vlan_strip "$1")" = on ]; }

conf()
{
	cat <<-END
		datapath {
			pin_dir = $1
			run_dir = $WORK/run
			state_dir = $WORK/state
			exempt = red1, black1, big0, big1, br0
			interfaces {
				black0 { role = unprotected }
				red0 { role = protected }
			}
		}
		policies {
			ssh {
				action = bypass
				proto = tcp
				local_port = 22
			}
			net-net {
				action = protect
				local = 10.1.0.0/16
				remote = 10.2.0.0/16
			}
		}
	END
}

alone_begin
mkdir "$WORK/plain"
conf "$WORK/bpffs/pins" >"$WORK/conf"
ns ip link add red0 type veth peer name red1
ns ip link add black0 type veth peer name black1
ns ip link add big0 mtu 9000 type veth peer name big1 mtu 9000
ns ip link add br0 type bridge
for dev in lo red0 red1 black0 black1; do ns ip link set "$dev" up; done

# ---------------------------------------------------------------- refusals
grep_status() { ns "$XIPSEC" -c "$WORK/conf" status --json | tee "$WORK/out" | jq -e "$1" >/dev/null; }
check "status: an up interface without a role is unsafe" expect 6 "has no role" status
check "missing interface" expect 1 "there is no such interface" attach nope0 --role protected
check "the loopback takes no role" expect 1 "loopback" attach lo --role protected
check "help of a command" expect 0 "Exit: 0 attached" help attach
check "the same by --help" expect 0 "Exit: 0 attached" attach --help
check "no role said" expect 2 "--role" attach big0
check "a wrong role" expect 2 "expected protected" attach red0 --role pink
printf 'include %s/none-*.conf\n' "$WORK" >"$WORK/empty"
check "an empty config is good, with a warning" expect 0 "warning: there are no policies" config check "$WORK/empty"
check "an include that matches nothing is warned of" grep -qF "empty:1:9: warning: include: nothing matches $WORK/none-*.conf" "$WORK/out"
check "a device is no config, and that is told" expect 3 "/dev/null: is neither a regular file nor a pipe" config check /dev/null
ns "$XIPSEC" help >/dev/full 2>"$WORK/out"
check "lost output is a failure" [ $? -eq 1 ]
check "and is told" grep -qF "No space left on device" "$WORK/out"
if multi_buffer; then
	ns ip link set big0 mtu 16000
	check "MTU too large" expect 1 "MTU 16000 is over 15872" attach big0 --role protected
else
	check "MTU too large" expect 1 "MTU 9000 is over 3498" attach big0 --role protected
	check "which kernel it needs is told" grep -q "need Linux 6.6" "$WORK/out"
fi
check "nothing is left of a refused attach" clean big0
cp "$WORK/conf" "$WORK/conf.good"
conf "$WORK/plain/pins" >"$WORK/conf"
check "no bpffs" expect 1 "mount -t bpf bpf" attach red0 --role protected
echo 'datapath { pin_dirr = /x }' >"$WORK/conf"
check "a broken config" expect 3 "pin_dirr" attach red0 --role protected
cp "$WORK/conf.good" "$WORK/conf"
chmod 755 "$WORK"
no_rights()
{
	ns setpriv --bounding-set "-$1" --inh-caps "-$1" "$XIPSEC" -c "$WORK/conf" attach red0 \
		--role protected >"$WORK/out" 2>&1 && return 1
	grep -qF "$2" "$WORK/out"
}
check "no CAP_BPF" no_rights bpf,-sys_admin "no CAP_BPF"
check "no CAP_NET_ADMIN" no_rights net_admin "no CAP_NET_ADMIN"
check "nothing is left of those" clean red0

# ---------------------------------------------------------------- another's program
cat >"$WORK/other.bpf.c" <<-'END'
	#include <linux/bpf.h>
	__attribute__((section("xdp"), used)) int other_prog(struct xdp_md *ctx) { return XDP_PASS; }
	char _license[] __attribute__((section("license"), used)) = "GPL";
END
clang -target bpf -O2 -g -I"/usr/include/$(gcc -print-multiarch)" -c "$WORK/other.bpf.c" \
	-o "$WORK/other.o"
ns ip link set big0 mtu 1500
ns ip link set big1 mtu 1500
ns ip link set big0 xdp obj "$WORK/other.o" sec xdp
other=$(xdp_of big0)
check "another's XDP program is named and not replaced" \
	expect 1 "\"other_prog\" (id $other)" attach big0 --role protected
check "it is still there" [ "$(xdp_of big0)" = "$other" ]
check "no pins were left by that" no_pins
check "detach does not touch it" expect 4 "not attached" detach big0
check "it is still there after detach" [ "$(xdp_of big0)" = "$other" ]
ns ip link set big0 xdp off

# ---------------------------------------------------------------- attach
check "attach black" expect 0 "attached as unprotected" attach black0 --role unprotected
check "the policies are there, with field names" \
	grep -q '"n_rules": 2' <(bpftool map dump pinned "$WORK/bpffs/pins/spd_head")
check "native XDP" grep_status '.interfaces[] | select(.name == "black0") | .xdp.kind == "native" or .xdp.kind == "dispatcher"'
check "VLAN stripping is off" [ "$(vlan_strip black0)" = off ]
check "attaching twice" expect 4 "attached already" attach black0 --role unprotected
check "another role" expect 1 "xipsec detach black0" attach black0 --role protected
check "attach red" expect 0 "attached as protected" attach red0 --role protected
check "attach --all has nothing to do" expect 4 "already" attach --all
check "status is safe" expect 0 "$(printf 'gen-')" status
check "generic XDP is announced" expect 0 "generic mode" attach br0 --role protected
check "detach the bridge" expect 0 "detached" detach br0

ns ip addr add 192.0.2.1/24 dev black0
drops() { xipsec status --json && jq '[.reasons[] | select(.kind == "drop") | .packets] | add' "$WORK/out"; }
before=$(drops)
ns ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev black0
ns ping -c 1 -W 1 192.0.2.9 >/dev/null 2>&1
check "the guard drops and counts this host's own plaintext" [ "$(drops)" -gt "$before" ]

# ---------------------------------------------------------------- policies
generation() { xipsec status --json && jq .spd_generation "$WORK/out"; }
first=$(generation)
check "reload" expect 0 "is in force" reload
check "of the same file: no rule changed, nothing was switched" [ "$(generation)" = "$first" ]
echo 'policies { x { action = perhaps } }' >"$WORK/conf.bad"
ns "$XIPSEC" -c "$WORK/conf.bad" reload >"$WORK/out" 2>&1
check "a bad config is refused" [ $? -eq 3 ]
check "and changes nothing" [ "$(generation)" = "$first" ]
check "policy: selectors in order" \
	[ "$(xipsec policy --json; jq -r '[.rules[] | .action + " " + .local] | join(", ")' "$WORK/out")" = \
	"bypass any, protect 10.1.0.0/16" ]

names() { xipsec policy --json; jq -r '[.rules[].policy] | join(" ")' "$WORK/out"; }
check "policy: their names" [ "$(names)" = "ssh net-net" ]
sed -i 's/ssh {/login {/' "$WORK/conf"
check "names are those in force, not those of the file" [ "$(names)" = "ssh net-net" ]
xipsec reload
check "reload brings the new ones" [ "$(names)" = "login net-net" ]
check "and the listing shows them" expect 0 "login        bypass" policy

# ---------------------------------------------------------------- confirm
ids() { xdp_of red0; xdp_of black0; }
was=$(ids)
check "status: nothing waits" grep_status '.confirm == "none" and .confirm_seconds == 0'
check "attach --confirm" expect 0 "taken back in 6 s" attach --all --upgrade --confirm 6
check "status shows the seconds left" grep_status '.confirm == "waits" and .confirm_seconds <= 6'
check "and says so" expect 0 "unless \`xipsec confirm\` comes first" status
check "others wait for it" expect 1 "waits for" attach --all
sleep 7
check "unconfirmed: the programs before are back" [ "$(ids)" = "$was" ]
check "unconfirmed: one generation is left" [ "$(generations)" = 1 ]
check "confirm too late" expect 4 "nothing waits" confirm
xipsec attach --all --upgrade --confirm 30
check "status: 28 to 30 seconds" grep_status '.confirm_seconds > 27 and .confirm_seconds <= 30'
check "confirm in time" expect 0 "confirmed" confirm
sleep 0.5
check "confirmed: new programs stay" [ "$(ids)" != "$was" ]
check "confirmed: one generation is left" [ "$(generations)" = 1 ]
waiter() { sed -n 's/^pid //p' "$WORK/run/confirm"; }
gone() { for _ in $(seq 50); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.1; done; return 1; }
was=$(ids)
xipsec attach --all --upgrade --confirm 60
pid=$(waiter)
kill -HUP "$pid"
sleep 0.3
check "a hangup does not end the wait" kill -0 "$pid"
check "and changes nothing" [ "$(ids)" != "$was" ]
kill -TERM "$pid"
check "told to end, it ends" gone "$pid"
check "and takes the attach back first" [ "$(ids)" = "$was" ]
check "then one generation is left" [ "$(generations)" = 1 ]
check "and nothing to confirm" expect 4 "nothing waits" confirm
xipsec attach --all --upgrade --confirm 60
pid=$(waiter)
kill -KILL "$pid"
gone "$pid"
was=$(ids)
check "killed: status tells that it never rolls back" expect 0 "rolls back never" status
check "in JSON too" grep_status '.confirm == "orphaned" and .confirm_seconds == 0'
check "killed: confirm tells that the attach stays" expect 4 "the attach stays" confirm
check "it does stay" [ "$(ids)" = "$was" ]
check "and one generation is left" [ "$(generations)" = 1 ]
check "after that status is silent" grep_status '.confirm == "none"'
check "after that nothing waits" expect 4 "nothing waits" confirm

# ---------------------------------------------------------------- cleared bpffs, detach
was=$(ids)
rm -rf "${WORK:?}/bpffs/pins"
check "clearing bpffs leaves the programs on" [ "$(ids)" = "$was" ]
check "attach adopts them" expect 0 "attached as protected" attach red0 --role protected
check "each was replaced" [ "$(ids | sort -u | grep -cFx "$was")" = 0 ]
check "status is safe after that" expect 0 "gen-" status
check "detach red" expect 0 "detached" detach red0
check "pins stay for the other" [ -d "$WORK/bpffs/pins" ]
check "detach again" expect 4 "not attached" detach red0
check "detach the last" expect 0 "detached" detach --all
check "nothing is left" clean black0

# ---------------------------------------------------------------- one is missing
ns ip link del red0
role_of() { xipsec status --json && jq -r ".interfaces[] | select(.name == \"$1\") | .role + \" \" + (.ifindex > 0 | tostring) + \" \" + .xdp.kind" "$WORK/out"; }
check "attach --all without one of them is no failure" expect 0 "red0: there is no such interface yet" attach --all
check "the one that is there is attached" [ "$(role_of black0)" = "unprotected true native" ]
check "the missing one is on record" [ "$(role_of red0)" = "protected false none" ]
check "that is safe" expect 0 "gone" status
check "a second time: nothing to do, and told again" expect 4 "red0: there is no such interface yet" attach --all
ns ip link add red0 type veth peer name red1
ns ip link set red0 up
check "it comes, and nobody attaches it: unsafe" expect 6 "xipsec attach red0" status
nsenter --net=/run/netns/"$NS" "$BUILD/xipsecd" -c "$WORK/conf" >"$WORK/xipsecd.log" 2>&1 &
daemon=$!
comes() { for _ in $(seq 50); do [ "$(role_of red0)" = "protected true native" ] && return; sleep 0.1; done; return 1; }
check "xipsecd attaches it at its start" comes
ns ip link del red0
ns ip link add red0 type veth peer name red1
check "xipsecd attaches it when it comes" comes
kill "$daemon" && wait "$daemon"
daemon=
check "detach forgets them" expect 0 "black0: detached" detach --all
ns ip link del red0
ns ip link del black0
check "all are missing: that is noted" expect 0 "black0: there is no such interface yet" attach --all
check "detach forgets what is missing" expect 0 "red0: detached" detach --all
check "nothing is left of that" no_pins

# ---------------------------------------------------------------- too many
for i in $(seq 0 16); do
	ns ip link add "m$i" type veth peer name "n$i"
done
many=0
for i in $(seq 0 15); do
	xipsec attach "m$i" --role protected && xipsec attach "n$i" --role unprotected &&
		many=$((many + 2))
done
check "32 interfaces" [ $many -eq 32 ]
check "and no more" expect 1 "the most there can be" attach m16 --role protected
check "the refused one is untouched" [ -z "$(xdp_of m16)" ]
check "detach them all" expect 0 "detached" detach --all
check "nothing is left in the end" no_pins
[ $FAILED -eq 0 ]
