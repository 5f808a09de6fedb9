#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Debian's swanctl as the client: gw-a has no connection in its config, a client loads it; its rules are
# in force then and stay, closed, when the daemon dies. Listings, events and commands as strongSwan's
# users know them, and the same with our own client.
#
#	red-a --- gw-a [swanctl] ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"

IKE_START=none
SWANCTL=$(command -v swanctl)
[ -n "$SWANCTL" ] || {
	not_ok "swanctl is not installed: make deps"
	exit 1
}

# sw COMMAND...: swanctl in gw-a; its words in $WORK/sw.out
sw()
{
	in_ns gw-a "$SWANCTL" "$@" --uri "unix://$WORK/run-a/charon.vici" >"$WORK/sw.out" 2>&1
}
sw_says() { # PATTERN COMMAND...
	local pattern=$1
	shift
	sw "$@" || return
	grep -Eq "$pattern" "$WORK/sw.out" && return
	cat "$WORK/sw.out"
	return 1
}
sw_refuses() { # PATTERN COMMAND...
	local pattern=$1
	shift
	sw "$@" && return 1
	grep -Eq "$pattern" "$WORK/sw.out" && return
	cat "$WORK/sw.out"
	return 1
}
load_all() { sw --load-all --file "$WORK/swanctl.conf" --noprompt; }

# What swanctl reads, from what the config would have said.
write_swanctl()
{
	local x=a # whose it is, to ike_child()

	(
		umask 077
		ike_connections 1 2
		printf 'secrets {\n\tike-peer {\n\t\tid-1 = gw1.example.org\n\t\tid-2 = gw2.example.org\n\t\tsecret = "%s"\n\t}\n}\n' \
			"$IKE_PSK_a"
	) >"$WORK/swanctl.conf"
}
without_connections()
{
	sed -i '/^connections {/,$d' "$WORK/gw-a.conf"
}
has_rule() { gw a policy --json | jq -e '.rules | any(.child == "peer/net4")' >/dev/null; }
has_no_rule() { ! has_rule; }
reason() { gw a status --json | jq -r --arg r "$1" '.reasons[] | select(.name == $r) | .packets'; }

eval "$(declare -f gw_config | sed '1s/gw_config/gw_config_whole/')"
gw_config()
{
	gw_config_whole "$1"
	[ "$1" = b ] || without_connections
}
write_swanctl
check "gateways come up" gateways_up || exit 1
check "gw-a's daemon" ike_start a || exit 1
check "gw-b's daemon" ike_start b || exit 1

check "--version --daemon" sw_says 'xipsec-iked' --version --daemon
check "nothing is loaded: no rule" has_no_rule
check "--load-all" load_all
check "a file of its own has what its rules follow from" \
	grep -q '"peer"' "$WORK/run-a/connections.d/0000000001.conf"
check "it says what it loaded" grep -q "loaded connection 'peer'" "$WORK/sw.out"
check "the rules of its children are in force" has_rule
before=$(reason no_sa_out)
ping4 a 2 >/dev/null 2>&1 && not_ok "traffic without an SA"
check_gt "what they protect is dropped while nobody has made an SA" "$(reason no_sa_out)" "$before"

check "--list-conns" sw_says 'net4: TUNNEL' --list-conns
check "--list-pols" sw_says 'peer/net4' --list-pols
mkdir -p "$WORK/x509ca"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -days 30 -subj '/CN=scenario CA' \
	-addext 'basicConstraints=critical,CA:TRUE' -out "$WORK/x509ca/ca.pem" 2>/dev/null
no_certs() { sw --list-certs && ! grep -q subject "$WORK/sw.out"; }
check "--list-certs: none" no_certs
check "--load-creds" sw_says "loaded certificate from '.*x509ca/ca.pem'" --load-creds --noprompt --file "$WORK/swanctl.conf"
check "--list-certs" sw_says 'subject: +"CN=scenario CA"' --list-certs
check "--list-certs --subject: it" sw_says 'subject: +"CN=scenario CA"' --list-certs --subject 'CN=scenario CA'
no_such() { sw --list-certs --subject 'CN=somebody' && ! grep -q subject "$WORK/sw.out"; }
check "another: none" no_such
sw --list-certs
check "says what it is of" grep -q 'List of X.509 CA Certificates' "$WORK/sw.out"
check "and its key" grep -Eq 'pubkey: +ECDSA 256 bits' "$WORK/sw.out"
no_authority() { sw --list-authorities && ! grep -q scenario "$WORK/sw.out"; }
check "--list-authorities: none" no_authority
printf 'authorities {\n\tscenario {\n\t\tcacert = ca.pem\n\t\tcrl_uris = http://192.0.2.99/ca.crl\n\t}\n}\n' >"$WORK/ca.conf"
check "--load-authorities" sw_says "loaded authority 'scenario'" --load-authorities --file "$WORK/ca.conf"
check "--list-authorities" sw_says 'cacert: CN=scenario CA' --list-authorities
check "that its URIs do not count is told" ike_said a 'authority scenario: nothing is fetched'
check "--load-creds --clear leaves it" sw --load-creds --clear --noprompt --file "$WORK/swanctl.conf"
check "by its name" sw_says 'scenario' --list-authorities --name scenario
check "what the file has no more is unloaded" sw_says '1 unloaded' --load-authorities --file "$WORK/swanctl.conf"
check "--list-authorities: none again" no_authority
left_out() # of dumps: all memory of all processes
{
	local pid
	for pid in "${IKED_PID[a]}" $(pgrep -P "${IKED_PID[a]}"); do
		[ "$(cat "/proc/$pid/coredump_filter")" = 00000000 ] || return 1
	done
}
check "no process's memory is for dumps" left_out
check "--list-algs" sw_says 'AES_GCM_16' --list-algs
check "--list-pools: none" sw --list-pools
check "--stats" sw_says 'uptime' --stats
check "whatever it prints has a value" grep -Eq 'worker threads: 0 total, 0 idle, working: 0/0/0/0' "$WORK/sw.out"
check "--install: the rules are there" sw --install --child net4
check "of a child that is not there" sw_refuses 'configuration name not found' --install --child nobody
check "--uninstall says why not" sw_refuses 'uninstall is not supported' --uninstall --child net4
check "--rekey of nothing" sw_refuses 'missing rekey selector' --rekey
check "--rekey of what is not there" sw_refuses 'no matching SAs to rekey' --rekey --child net4
check "--terminate of nothing" sw_refuses 'missing terminate selector' --terminate
check "--terminate of what is not there" sw_refuses 'no matching SAs to terminate' --terminate --child net4
printf 'pools {\n\tp {\n\t\taddrs = 10.9.0.0/24\n\t}\n}\n' >"$WORK/pools.conf"
check "--load-pools says that there are none here" sw_refuses 'load-pool is not supported' --load-pools --file "$WORK/pools.conf"
check "--flush-certs" sw --flush-certs
check "--reload-settings" sw --reload-settings
switches() { grep -c 'policies: generation' "$WORK/xipsecd-a.log.new"; }
before=$(switches)
check_gt "xipsecd has switched its policies for it" "$before" 0
check "--load-all again" load_all
check_eq "changes nothing: no policy was compiled for it" "$(switches)" "$before"

spawn gw-a "$WORK/monitor.out" stdbuf -oL "$SWANCTL" --monitor-sa --raw --uri "unix://$WORK/run-a/charon.vici"
monitor=$PID
spawn gw-a "$WORK/pretty.out" stdbuf -oL "$SWANCTL" --monitor-sa --uri "unix://$WORK/run-a/charon.vici"
pretty=$PID
spawn gw-a "$WORK/log.out" stdbuf -oL "$SWANCTL" --log --uri "unix://$WORK/run-a/charon.vici"
log=$PID
sleep 0.3
check "--initiate" sw_says 'initiate completed successfully' --initiate --child net4
check "the tunnel carries traffic" until_true 5 ping4 a 1
check "--initiate of the second child" sw_says 'initiate completed' --initiate --child net6
check "IPv6 too" until_true 5 ping6 a 1
check "--list-sas" sw_says 'peer: #[0-9]+, ESTABLISHED, IKEv2' --list-sas
check "with both children" grep -Eq 'net6: #[0-9]+.*INSTALLED, TUNNEL, ESP:AES_GCM_16-128' "$WORK/sw.out"
check "with their counters" grep -Eq 'in +[0-9a-f]{8}, +[1-9][0-9]* bytes' "$WORK/sw.out"
check "--list-sas --raw" sw_says 'local-id=gw1.example.org remote-host=192.0.2.2' --list-sas --raw
# As strongSwan's plugin `vici` names them.
named_counters()
{
	local name
	sw --counters || return
	for name in ike-rekey-init ike-rekey-resp child-rekey invalid invalid-spi \
		{ike-init,ike-auth,create-child,info}-{in,out}-{req,resp}; do
		grep -Eq "^ *$name +: [0-9]+$" "$WORK/sw.out" || return
	done
}
check "--counters" named_counters
reqids() { sw --list-sas --raw && grep -o 'reqid=[0-9]*' "$WORK/sw.out" | sort -u | tr '\n' ' '; }
reqids_before=$(reqids)
check_eq "each child has a reqid" "$(wc -w <<<"$reqids_before")" 2
same_spis()
{
	local spi
	for spi in $(gw a sa list --json | jq -r '.[].spi[2:]'); do
		grep -q "$spi" "$WORK/sw.out" || return 1
	done
}
sw --list-sas
check "xipsec sa shows the same SPIs" same_spis

# xipsec sa: every SA of the data path in the child that it is of, none beside the tree
gw a sa --json >"$WORK/tree.json"
check_eq "xipsec sa: each child has both its SAs" "$(jq -c '[.ike[]."child-sas"[] |
	{name, sas: [.sas[] | .direction] | sort}] | sort_by(.name)' "$WORK/tree.json")" \
	'[{"name":"net4","sas":["in","out"]},{"name":"net6","sas":["in","out"]}]'
check_eq "of one IKE SA, and none besides" \
	"$(jq -c '[.iked, (.ike | length), .ike[0].name, .ike[0].state, (.other | length)]' "$WORK/tree.json")" \
	'[true,1,"peer","ESTABLISHED",0]'
check_eq "with VICI's SPIs" "$(jq -c '[.ike[]."child-sas"[] | . as $c | .sas[] | .spi[2:] ==
	(if .direction == "in" then $c."spi-in" else $c."spi-out" end)] | unique' "$WORK/tree.json")" '[true]'
gw a sa >"$WORK/tree.txt"
check "as text" grep -Eq '^        out 0x[0-9a-f]{8} [^ ]*net4[^ ]*-o, live, 192.0.2.1 -> 192.0.2.2, [1-9][0-9]* packets' "$WORK/tree.txt"
check_eq "the IKE SA first" "$(sed -n 's/ #.*//p' "$WORK/tree.txt" | head -n 1)" peer

counter() { sw --counters "$@" && sed -n 's/ *ike-init-out-req *: *//p' "$WORK/sw.out" | head -n 1; }
counted=$(counter)
check_gt "--counters counts" "${counted:-0}" 0
check "--counters --reset" sw --counters --reset
check_eq "all together are 0" "$(counter)" 0
check_eq "those of a connection are not" "$(counter --name peer)" "$counted"
check "--counters --reset --all" sw --counters --reset --all
check_eq "they are" "$(counter --name peer)" 0
check "one that is not there" sw_refuses 'no such connection' --counters --reset --name nobody

spis() { gw a sa list --json | jq -r '[.[] | select(.child == "peer/net4") | .spi] | sort | join(" ")'; }
renewed()
{
	[ "$(wc -w <<<"$(spis)")" = 2 ] && [ "$(spis)" != "$1" ]
}
before=$(spis)
check "--rekey --child" sw_says 'rekey completed' --rekey --child net4
check "other SAs are there" until_true 15 renewed "$before"
check_eq "its reqid stays" "$(reqids)" "$reqids_before"
check "--rekey --ike" sw_says 'rekey completed' --rekey --ike peer
check "traffic goes on" ping4 a 3
check "--redirect says that it is not there" sw_refuses 'not supported' --redirect --ike peer --peer-ip 192.0.2.9
check "--terminate --child" sw_says 'matches=1 terminated=1' --terminate --child net6 --raw
check "the other child lives" ping4 a 2
check "--terminate --ike" sw_says 'terminate completed' --terminate --ike peer
none_left() { [ "$(ike_sas a)" = 0 ] && [ "$(ike_sas b)" = 0 ]; }
check "no SA is left on either side" until_true 5 none_left
end_pid "$monitor"
end_pid "$pretty"
end_pid "$log"
check "--monitor-sa told of it" grep -q 'child-updown' "$WORK/monitor.out"
check "with counters from the beginning" grep -Eq 'child-updown event .up=yes .*bytes-in=0 packets-in=0 .*bytes-out=0' "$WORK/monitor.out"
check "--monitor-sa for people" grep -Eq 'in +[0-9a-f]{8}, +0 bytes' "$WORK/pretty.out"
check "--log told lines" grep -q 'peer' "$WORK/log.out"

# ------------------------------------------------------------------ our own client
check "xipsec conn: down" eval 'gw a conn | grep -q "net4: 10.1.0.0/16 === 10.2.0.0/16, down"'
check "xipsec up" gw a up net4
check "xipsec conn: up" eval 'gw a conn | grep -q "net4: .*, INSTALLED"'
check "xipsec conn --json" eval 'gw a conn --json | jq -e ".peer.children.net4.mode == \"TUNNEL\"" >/dev/null'
check "xipsec rekey" gw a rekey peer/net4
check "xipsec down" gw a down peer
gw a up nobody >"$WORK/up.out" 2>&1
check_eq "xipsec up of an unknown name: 4" $? 4

# ------------------------------------------------------------------ errors, death
sed 's/esp_proposals = .*/esp_proposals = des-md5/' "$WORK/swanctl.conf" >"$WORK/bad.conf"
check "a bad proposal is refused with its reason" \
	sw_refuses "des" --load-conns --file "$WORK/bad.conf"
check "and what was loaded stays" has_rule
check "up again" sw_says 'initiate completed' --initiate --child net4
sas_of_b() { gw b sa list --json | jq -r '[.[] | select(.status == "live") | .name] | sort | join(" ")'; }
of_dead=$(sas_of_b)
forgot=$(ike_forgot b)
ike_kill a
check "kill -9 of the daemon: traffic goes on" ping4 a 2
check "its rules stay" has_rule
gw a reload >/dev/null 2>&1
check "also over a reload by hand" has_rule
check "the next daemon" ike_start a
no_connection() { sw --list-conns && ! grep -q peer "$WORK/sw.out"; }
check "knows no connection until it is loaded" no_connection
check "--load-all" load_all
check "and makes it anew" sw_says 'initiate completed' --initiate --child net4
check_eq "without INITIAL_CONTACT, by which the peer would have deleted what carried traffic" "$(ike_forgot b)" "$forgot"
check "traffic" until_true 5 ping4 a 1
printf 'connections { }\n' >"$WORK/none.conf"
check "what the file has no more is unloaded" sw_says "no connections found, 1 unloaded" --load-conns --file "$WORK/none.conf"
check "with its rules" has_no_rule
ping4 a 2 >/dev/null 2>&1 && not_ok "traffic without a policy"
none_but_of_dead()
{
	local sa
	for sa in $(sas_of_b); do [[ " $of_dead " == *" $sa "* ]] || return 1; done
	[ "$(ike_sas a)" = 0 ]
}
check "and its SAs; the peer has left those of the daemon that died, of which it was told nothing" \
	until_true 5 none_but_of_dead

cat >"$WORK/shown.conf" <<-END
	connections {
		shown {
			local_addrs = 192.0.2.1
			remote_addrs = 192.0.2.77
			reauth_time = 1h
			local {
				auth = psk
				id = gw1.example.org
			}
			remote {
				auth = pubkey
				cacerts = ca.pem
			}
			children {
				web {
					local_ts = 10.1.0.0/16[tcp]
					remote_ts = 10.77.0.0/16[tcp/80]
				}
			}
		}
	}
END
check "a connection with reauthentication and a CA" sw_says "loaded connection 'shown'" --load-conns --file "$WORK/shown.conf"
check "--list-conns: one time is asked for, the other is none" \
	sw_says 'shown: IKEv2, reauthentication every 3600s, no rekeying' --list-conns
check "the subject of its CA" grep -q 'cacerts: CN=scenario CA' "$WORK/sw.out"
check "ports as those of SAs" grep -Fq '10.77.0.0/16[tcp/80]' "$WORK/sw.out"
check "a protocol alone" grep -Fq '10.1.0.0/16[tcp]' "$WORK/sw.out"
check "the same keys as strongSwan" sw_says 'class=public key groups=\[\] cert_policy=\[\] certs=\[\] cacerts=\[CN=scenario CA\]' \
	--list-conns --raw
