#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Peers whose addresses only their SAs tell: gw-a serves whoever comes (remote_addrs = %any, remote_ts =
# dynamic), gw-b comes from two addresses. What stands in for them discards; each one's rule comes with
# its SA and goes with it, and nothing is in the clear in between.
#
#	red-a --- gw-a ===[capture]=== gw-b, 192.0.2.2 and 192.0.2.3
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

ends()
{
	cat <<-END
		proposals = aes128gcm16-prfsha256-x25519
		unique = never
		local { auth = psk
			id = gw$1.example.org }
		remote { auth = psk
			id = gw$2.example.org }
	END
}

# What gw-b calls its two ends.
visitor()
{
	cat <<-END
		peer$1 {
			local_addrs = 192.0.2.$1
			remote_addrs = 192.0.2.1
			$(ends 2 1)
			children { net { remote_ts = 10.1.0.0/16
				start_action = none } }
		}
	END
}

ike_connections()
{
	echo "connections {"
	if [ "$1" = 1 ]; then
		echo "peer { local_addrs = 192.0.2.1"
		ends 1 2
		# narrower than what the visitors ask for
		echo "children { net { local_ts = ${LOCAL_TS:-10.1.0.0/16} } } }"
	else
		visitor 2
		visitor 3
	fi
	echo "}"
}

to() { in_ns red-a ping -n -c "${2:-1}" -i 0.2 -W 1 "192.0.2.$1"; }
from() { in_ns gw-b ping -n -c 1 -W 1 -I "192.0.2.$1" 10.1.0.2; }
no_way() { ! to "$1" >/dev/null 2>&1; }

# The rules for children of peer, in order: "discard", or "protect CHILD REMOTE"
rules()
{
	gw a policy --json | jq -r '[.rules[] | select(.policy == "peer/net") |
		if .action == "protect" then "protect \(.child) \(.remote | rtrimstr("/32"))" else .action end] | join(", ")'
}
rules_are() { [ "$(rules)" = "$1" ]; }
sas_b() { gw b sa list --json | jq '[.[] | select(.status == "live")] | length'; }
up() { gw b up --quiet "peer$1/net" && until_true 3 to "$1"; }
down() { gw b down --quiet "peer$1"; }

check "positive control: plaintext on the link is seen" capture_positive_control || exit 1
ip -n "$TOPO-gw-b" addr add 192.0.2.3/24 dev blk0
capture_start "$WORK/dynamic.pcap" 0 || exit 1
check "gateways and daemons come up" ike_up || exit 1

check_eq "until somebody comes, it is discarded" "$(rules)" discard
# What the policy counted: the labels of its lines; the packets of the line that ends so.
lines() { gw a metrics | sed -n 's/^xipsec_policy_packets_total{\(policy="peer\/net".*\)} .*/\1/p' | sort | paste -sd' '; }
counted_by() { gw a metrics | sed -n "s/^xipsec_policy_packets_total{.*$1} //p"; }
special() { gw a status --json | jq -r '"\(.rules_standin) \(.rules_of_sas)"'; }
check_eq "status counts it" "$(special)" "1 0"
before=$(gw_reason a discard)
check "nothing goes to a peer that is not there" no_way 2
check_gt "and is counted as discarded by policy" "$(gw_reason a discard)" "$before"

standin() { gw a explain --dir out --dev red0 --src 10.1.0.2 --dst "192.0.2.$1" --json |
	jq -r '"\(.reason) \(.standin) \(.advice | contains("makes the address known"))"'; }
check_eq "explain says that it waits for an SA" "$(standin 2)" "discard true true"

check "the first one comes, and traffic flows" up 2
check_eq "by its own rule, before the one that discards" "$(rules)" "protect peer/net 192.0.2.2, discard"
check "back, too" from 2
check "nothing goes to the other one" no_way 3
check_eq "explain: the one has his SA, the other waits" "$(standin 2), $(standin 3)" "steer_out false false, discard true true"
check "the second one comes" up 3
check_eq "with a rule and a child of its own" "$(rules)" \
	"protect peer/net 192.0.2.2, protect peer/net/1 192.0.2.3, discard"
check_eq "status counts them" "$(special)" "1 2"
check "and says so" eval 'gw a status | grep -q "until an SA makes an address known: 1, that came with such SAs: 2 "'
check_eq "metrics too" "$(gw a metrics | awk '$1 ~ /^xipsec_spd_rules_(standin|of_sas)$/ {print $2}' | paste -sd' ')" "1 2"
check_eq "a line for the policy, and one for each that came" "$(lines)" \
	'policy="peer/net",action="discard",direction="both" policy="peer/net",action="protect",direction="both",child="peer/net" policy="peer/net",action="protect",direction="both",child="peer/net/1"'
check "the first one is still there" to 2 3
check "both send" eval 'from 2 && from 3'

rekeyed() { gw b rekey peer2/net && sleep 1 && to 2 3; }
check "a rekey leaves its rule" rekeyed
check "as it was" rules_are "protect peer/net 192.0.2.2, protect peer/net/1 192.0.2.3, discard"

spawn red-a "$WORK/ping.out" ping -n -i 0.01 -W 1 192.0.2.3
pinger=$PID
# Packets that the second one's rule has decided: a count that begins anew with a new rule.
counted() { gw a policy --json | jq '[.rules[] | select(.child == "peer/net/1") | .packets] | add'; }
reloads()
{
	local i
	for i in 1 2 3 4 5; do
		gw a reload || return
	done
}
many() { [ "$(counted)" -gt 300 ]; }
check "it is counted by his rule" until_true 15 many
before=$(counted)
check "reloads" reloads
kill -INT "$pinger" && reap "$pinger"
check_eq "nobody notices" "$(pings_lost "$WORK/ping.out")" 0
check_gt "by the same rule, not by one like it" "$(counted)" "$before"
check "rules as before" rules_are "protect peer/net 192.0.2.2, protect peer/net/1 192.0.2.3, discard"

sed -i 's/^policies {/policies {\nwithin { action = bypass\nlocal = 10.7.0.0\/24\nremote = 192.0.2.3\n}/' "$WORK/gw-a.conf"
check "a reload that brings a rule" gw a reload
check "keeps both" rules_are "protect peer/net 192.0.2.2, protect peer/net/1 192.0.2.3, discard"
check "and their traffic" eval 'until_true 5 to 2 && until_true 5 to 3'

check "one leaves" down 2
gone() { rules_are "protect peer/net/1 192.0.2.3, discard"; }
check "its rule goes with its SA" until_true 5 gone
check_eq "and its line, whose count is in no other" "$(lines) $(counted_by 'child="peer/net"')" \
	"policy=\"peer/net\",action=\"discard\",direction=\"both\" policy=\"peer/net\",action=\"protect\",direction=\"both\",child=\"peer/net/1\" "
check "what was protected is discarded again" no_way 2
check "the other one is not touched" to 3
check "who comes back" up 2
check_eq "has his place again" "$(rules)" "protect peer/net/1 192.0.2.3, protect peer/net 192.0.2.2, discard"

check "an upgrade of the data path" gw a attach --all --upgrade
both() { to 2 && to 3; }
check "takes both along" until_true 10 both

# xipsecd's SAs end with it; those who came are still there to be asked for new ones.
check "kill -9 of xipsecd" gw_kill a all
check "no SA, no traffic" no_way 3
GW_NO_SA=1
check "the next one" gw_start a
check "has new SAs for both" until_true 10 both
each_once() { [ "$(rules | grep -o 192.0.2 | wc -l)" = 2 ] && [ "$(gw a policy --json | jq '.rules | length')" = 4 ]; }
check "each with its rule, none of those before" each_once

reload_known()
{
	sed -i 's/^peer { local_addrs = 192.0.2.1/&\nremote_addrs = 192.0.2.2/' "$WORK/gw-a.conf"
	gw a reload
}
check "a config that names the first one" reload_known
check_eq "has his rule alone" "$(rules)" "protect peer/net 192.0.2.2"
check "and no way to the other" no_way 3

# The same, loaded by a client, who changes it and takes it away while a peer is there. SAs go in the
# middle of such a change, and their rules with them.
sw_load()
{
	in_ns gw-a swanctl --load-conns --file "$WORK/client.conf" --uri "unix://$WORK/run-a/charon.vici"
}
load_by_client()
{
	gw b down --quiet peer2
	sed '/^connections {/,/^}$/d' -i "$WORK/gw-a.conf"
	gw a reload || return
	LOCAL_TS=$1 ike_connections 1 >"$WORK/client.conf"
	sw_load
}
is_the_same() { kill -0 "$1" && gw a status --json >/dev/null; }
check "the connection is loaded by a client" load_by_client 10.1.0.0/16
check "who comes has his rule" up 2
pid=${GW_PID[a]}
LOCAL_TS=10.1.0.0/24 ike_connections 1 >"$WORK/client.conf"
check "the client loads it otherwise" sw_load
check "xipsecd lives" is_the_same "$pid"
check "the SA goes, and its rule" until_true 5 rules_are discard
check "its traffic is discarded" no_way 2
check "who comes again" up 2
check "has a rule again" eval 'rules | grep -qx "protect peer/net[/0-9]* 192.0.2.2, discard"'
echo 'connections {}' >"$WORK/client.conf"
check "the client takes it away" sw_load
check "xipsecd still lives" is_the_same "$pid"
check "no rule of it is left" until_true 5 rules_are ""
check "nothing goes" no_way 2

check "capture: lost nothing" capture_stop
capture_verdict -i
check_eq "0 packets in the clear (of $VERDICT)" "$((CLEAR + MARKED))" 0
check_eq "no nonce was used twice" "$REPEATED" 0
check_gt "it went as ESP" "$ESP" 40
