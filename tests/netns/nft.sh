#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The nftables table that closes a black interface before it is there: what it holds after each change,
# that a flush is seen and mended, and that nothing of it is left in the end. What it keeps from leaking:
# leak-iface.sh.
#
#	[ ns: red0=red1  black0=black1  big0=big1 ]	one namespace, nobody else
. "$(dirname "$0")/../lib/alone.sh"


# What the set holds, sorted: nft shows an index by its interface's name, by digits if there is none.
set_of()
{
	ns nft -j list set inet xipsec "$1" 2>/dev/null |
		jq -r '[.nftables[] | .set? | .elem? // empty | .[] | tostring] | sort | join(" ")'
}
# holds NAMES ATTACHED
holds()
{
	set_of names >"$WORK/out"
	set_of attached >>"$WORK/out"
	[ "$(cat "$WORK/out")" = "$(printf '%s\n%s' "$1" "$2")" ]
}
no_table() { ns nft list tables >"$WORK/out" && [ ! -s "$WORK/out" ]; }
dropped() { xipsec status --json; jq .nft.packets "$WORK/out"; }
comes() { for _ in $(seq 100); do "$@" && return; sleep 0.1; done; return 1; }
start_daemon()
{
	# Not by ns(): the pid is to be xipsecd's.
	nsenter --net=/run/netns/"$NS" "$BUILD/xipsecd" -c "$WORK/conf" >"$WORK/xipsecd.log" 2>&1 &
	daemon=$!
}
# Two packets of this host, to a neighbour that nobody asks for.
send_two() { ns ping -c 2 -i 0.2 -W 1 192.0.2.9 >/dev/null 2>&1; }
make_black()
{
	ns ip link add black0 type veth peer name black1
	ns ip link set black1 up
	ns ip link set black0 up
	ns ip addr add 192.0.2.1/24 dev black0
	ns ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev black0
}

conf()
{
	cat <<-END
		datapath {
			pin_dir = $WORK/bpffs/pins
			run_dir = $WORK/run
			state_dir = $WORK/state
			exempt = red1, black1, big0, big1
			interfaces {
				black0 { role = unprotected }
				red0 { role = protected }
			}
		}
		policies {
			net-net {
				action = protect
				local = 10.1.0.0/16
				remote = 10.2.0.0/16
			}
		}
	END
}

outside=$(nft list tables)
alone_begin
conf >"$WORK/conf"
ns ip link set lo up
ns ip link add red0 type veth peer name red1
ns ip link add big0 mtu 9000 type veth peer name big1 mtu 9000
ns ip link set red1 up
ns ip link set red0 up
make_black
if ! ns nft list tables >/dev/null 2>&1; then
	echo "skip nft: this kernel has no nftables"
	exit 0
fi

# ---------------------------------------------------------------- attach
ns ip link set big0 mtu 16000
check "a refused attach makes no table" expect 1 "MTU 16000 is over" attach big0 --role unprotected
check "none" no_table
mkdir -p "$WORK/run/ifaces.new"
check "an attach that fails at its end" expect 1 "ifaces: Is a directory" attach --all
check "leaves no table" no_table
rmdir "$WORK/run/ifaces.new"
check "attach red alone" expect 0 "attached as protected" attach red0 --role protected
check "makes none: the host's own traffic towards red is free" no_table
check "attach --confirm, of black" expect 0 "taken back in 5 s" attach black0 --role unprotected --confirm 5
check "closes its name, not its index" holds black0 black0
check "unconfirmed: the table is gone" comes no_table
check "attach black" expect 0 "attached as unprotected" attach black0 --role unprotected
check "the table is there again" holds black0 black0
check "status has nothing to say of it" expect 0 '"state":"whole"' status --json
check "nor a note" [ "$(jq -r '[.interfaces[].note] | add' "$WORK/out")" = "" ]

# ---------------------------------------------------------------- made anew, and nobody there
send_two
check "the attached interface is not closed by it" [ "$(dropped)" = 0 ]
index=$(ip -n "$NS" -j link show black0 | jq '.[0].ifindex')
ns ip link del black0
make_black
check "an index does not hold for the next interface of that name" holds black0 "$index"
check "that interface is unsafe: it has no programs" expect 6 "xipsec attach black0" status
send_two
check "but what this host sends by it is dropped and counted" [ "$(dropped)" -ge 2 ]
check "status tells it" expect 6 "nftables dropped" status
before=$(dropped)
mkdir "$WORK/run/ifaces.new"
check "an attach that fails" expect 1 "ifaces: Is a directory" attach --all
check "leaves it closed, and takes the index out that is no more" holds black0 ""
rmdir "$WORK/run/ifaces.new"
check "attach --all" expect 0 "black0: attached" attach --all
check "opens the new index" holds black0 black0
check "the count goes on from where it was" [ "$(dropped)" -ge "$before" ]
before=$(dropped)
send_two
check "and not beyond" [ "$(dropped)" -eq "$before" ]

# ---------------------------------------------------------------- upgrade
check "upgrade" expect 0 "attached as unprotected" attach --all --upgrade
check "the table stays" holds black0 black0
check "upgrade --confirm" expect 0 "taken back in 1 s" attach --all --upgrade --confirm 1
check "the table stays while it waits" holds black0 black0
taken_back() { expect 4 "nothing waits" confirm; }
check "it is taken back" comes taken_back
check "the table stays" holds black0 black0
check "its count too" [ "$(dropped)" -eq "$before" ]

# ---------------------------------------------------------------- somebody else's hands
ns nft flush ruleset
check "a flush is told, and is no fault while the hooks stand" expect 0 "inet xipsec is gone" status
check "attach --all puts it back" expect 4 "was put back" attach --all
check "as it was" holds black0 black0
ns nft flush chain inet xipsec out
check "a rule taken away is told" expect 0 "inet xipsec was changed" status
check "and put back" expect 4 "was put back" attach --all
ns nft add table inet xipsec '{ flags dormant; }'
check "a table switched off is told" expect 0 "inet xipsec was changed" status
check "and put back" expect 4 "was put back" attach --all
ns nft delete element inet xipsec names '{ "black0" }'
check "a name taken away is told" expect 0 "inet xipsec lacks it" status
check "and put back" expect 4 "was put back" attach --all
ns nft flush set inet xipsec attached
check "an index taken away is told" expect 0 "closed by nftables" status
before=$(dropped)
send_two
check "it closes the interface" [ "$(dropped)" -gt "$before" ]
check "and put back" expect 4 "was put back" attach --all
check "all is as it was" holds black0 black0
start_daemon
comes grep -q "is open" "$WORK/xipsecd.log"
ns nft flush ruleset
check "xipsecd sees a flush and puts the table back" comes holds black0 black0
ns ip link del black0
check "xipsecd forgets the index of an interface that is gone" comes holds black0 ""
make_black
check "and opens the next one" comes holds black0 black0
kill "$daemon" && wait "$daemon"
daemon=

# ---------------------------------------------------------------- detach
check "a second one" expect 0 "attached as unprotected" attach red1 --role unprotected
check "stands in it" holds "black0 red1" "black0 red1"
check "detach it" expect 0 "detached" detach red1
check "it is out" holds black0 black0
check "detach the last black one" expect 0 "detached" detach black0
check "there is no table, though red is attached" no_table
check "detach --all" expect 0 "red0: detached" detach --all
ns ip link del black0
check "attach --all of what is missing" expect 0 "black0: there is no such interface yet" attach --all
check "closes its name before it comes" holds black0 ""
check "detach --all of it" expect 0 "black0: detached" detach --all
check "leaves no table" no_table

# ---------------------------------------------------------------- a kernel without nftables
cat >"$WORK/none.c" <<-'END'
	#include <errno.h>
	#include <linux/netlink.h>
	#include <sys/syscall.h>
	#include <unistd.h>
	int socket(int domain, int type, int protocol)
	{
		if (domain == 16 && protocol == NETLINK_NETFILTER) {
			errno = EPROTONOSUPPORT;
			return -1;
		}
		return syscall(SYS_socket, domain, type, protocol);
	}
END
gcc -shared -fPIC -o "$WORK/none.so" "$WORK/none.c"
make_black
export LD_PRELOAD=$WORK/none.so
check "without nftables attach warns and succeeds" expect 0 "nftables does not take the table inet xipsec (Protocol not supported)" attach --all
check "it is attached" expect 0 "nftables does not work here" status
check "and only black has the note" [ "$(grep -c 'nftables does not work here' "$WORK/out")" = 1 ]
check "json says so" expect 0 '"state":"unavailable"' status --json
start_daemon
check "xipsecd runs without" comes grep -q "is open" "$WORK/xipsecd.log"
kill "$daemon" && wait "$daemon"
check "and ends as it should" [ $? -eq 0 ]
daemon=
check "detach has nothing to say of it" expect 0 "black0: detached" detach --all
unset LD_PRELOAD
check "there is no table" no_table

# ---------------------------------------------------------------- the end of the namespace
check "attach once more" expect 0 "attached as unprotected" attach --all
ip netns del "$NS"
ip netns add "$NS"
check "the table has gone with its namespace" no_table
check "and outside there never was one" [ "$(nft list tables)" = "$outside" ]
[ "$FAILED" -eq 0 ]
