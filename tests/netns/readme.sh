#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# The config of README.md, as it is printed there, and of docs/operations.md ("Manual keys"): taken out
# of the pages, put on two gateways, used as the pages say. What a newcomer copies has to work.
#
#	red-a --- gw-a 192.0.2.1 ===[capture]=== 198.51.100.1 gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

ROOT=$LIB/../..

# page_block FILE NUMBER: its NUMBERth block of code that has a datapath {} or a sas {}.
page_block()
{
	awk -v wanted="$2" '
		/^```/ { inside = !inside; if (inside) { text = ""; good = 0 } else if (good && ++n == wanted) printf "%s", text; next }
		inside { text = text $0 "\n"; if (/^(datapath|sas) \{/) good = 1 }' "$1"
}

# exchanged: the other gateway's file, as the page says: addresses, networks, names.
exchanged()
{
	sed -e 's/192\.0\.2\.1/@/g; s/198\.51\.100\.1/192.0.2.1/g; s/@/198.51.100.1/g' \
		-e 's/10\.1\.0\.0/@/g; s/10\.2\.0\.0/10.1.0.0/g; s/@/10.2.0.0/g' \
		-e 's/gw-a/@/g; s/gw-b/gw-a/g; s/@/gw-b/g' "$@"
}

# here X: places of this run instead of the machine's, interfaces of this topology instead of eth0, eth1.
here()
{
	sed -e "s/\beth0\b/blk0/; s/\beth1\b/red0/" \
		-e "s|^datapath {|&\npin_dir = /sys/fs/bpf/$TOPO-$1\nrun_dir = $WORK/run-$1\nstate_dir = $WORK/state-$1\n|"
}

addresses()
{
	ip -n "$TOPO-gw-b" addr del 192.0.2.2/24 dev blk0
	ip -n "$TOPO-gw-b" addr add 198.51.100.1/24 dev blk0
	ip -n "$TOPO-gw-a" route add 198.51.100.1 dev blk0
	ip -n "$TOPO-gw-b" route add 192.0.2.1 dev blk0
	ip -n "$TOPO-gw-a" route replace 10.2.0.0/16 via 198.51.100.1 dev blk0 onlink
	ip -n "$TOPO-gw-b" route replace 10.1.0.0/16 via 192.0.2.1 dev blk0 onlink
}

write_configs()
{
	umask 077
	here a <"$WORK/page" >"$WORK/gw-a.conf"
	exchanged "$WORK/page" | here b >"$WORK/gw-b.conf"
}

both() { "$1" a && "$1" b; }
daemons() { gw_attach a && gw_attach b && gw_spawn a && gw_spawn b; }
down()
{
	gw "$1" detach --all && end_pid "${GW_PID[$1]}"
}
sealed() { gw a sa list --json | jq -e '[.[] | select(.direction == "out") | .packets] | add > 2'; }

check "addresses and routes as on the page" addresses
page_block "$ROOT/README.md" 1 >"$WORK/page"
check "README.md: a complete config" [ -s "$WORK/page" ]
write_configs
check "xipsec config check takes it" gw a config check "$WORK/gw-a.conf"
check "and its counterpart" gw b config check "$WORK/gw-b.conf"
check "attach, xipsecd" daemons
check "xipsec-iked" both ike_start
check "the first packets start the tunnel, they are answered" until_true 5 ping4 a 1
check "and back" ping4 b 3
check "it went as ESP" sealed
# shown FILE COMMAND: what the page shows below a command that begins so; told: what it prints here.
shown() { grep -A 1 "^# $2" "$1" | tail -n 1; }
told() { grep "^# $2" "$1" | head -n 1 | sed "s|^# ||; s|/sys/fs/bpf/xipsec/|/sys/fs/bpf/$TOPO-a/|" | bash; }
RULES='bpftool -j map dump pinned /sys/fs/bpf/xipsec/spd_rules'
check_eq "a rule in its map is as the page shows it" "$(told "$ROOT/README.md" "$RULES")" "$(shown "$ROOT/README.md" "$RULES")"
check "gateways may ping each other, as the policy says" in_ns gw-a ping -n -c 1 -W 2 198.51.100.1
check "IKE ends" both ike_stop
check "detach" both down
rm -rf "$WORK"/run-* "$WORK"/state-*

page_block "$ROOT/docs/operations.md" 1 >"$WORK/sas"
check "docs/operations.md: keys by hand" [ -s "$WORK/sas" ]
# What stands in policies {} there comes behind README's policies.
manual()
{
	sed '/^}.*connections {} come last/,$d' "$WORK/page"
	sed '/^policies {/d' "$WORK/sas"
}
manual >"$WORK/page.manual"
mv "$WORK/page.manual" "$WORK/page"
for key in a-to-b b-to-a; do
	(umask 077 && random_hex 20 >"$WORK/$key")
done
sed -i "s|/etc/xipsec/keys|$WORK|" "$WORK/page"
umask 077
here a <"$WORK/page" >"$WORK/gw-a.conf"
# "src, dst and spi are the packet's": only the policies are exchanged, and the directions.
{
	sed '/^sas/,$d' "$WORK/page" | exchanged
	sed -n '/^sas/,$p' "$WORK/page" | sed 's/direction = out/@/; s/direction = in/direction = out/; s/@/direction = in/'
} | here b >"$WORK/gw-b.conf"
check "gw-a: config check" gw a config check "$WORK/gw-a.conf"
check "gw-b: config check" gw b config check "$WORK/gw-b.conf"
check "attach, xipsecd" daemons
check "the tunnel works" until_true 5 ping4 a 1
check "some more" ping4 a 3
check "it went as ESP" until_true 3 sealed
