#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # the words have backticks in them
# What has a limit: `status`, its JSON and the metrics show how much is used, and what is too much is
# refused in words that name the limit and what to do.
#
#	[ ns: black0=black1  m0 .. m31  wide=wide1 ]	one namespace, nobody else
. "$(dirname "$0")/../lib/alone.sh"

# The text of nobody's: errno as the C library has it.
bare() { grep -qE 'Argument list too long|No space left on device' "$WORK/out"; }
limit() { ns "$XIPSEC" -c "$WORK/conf" status --json | jq -r ".limits.$1 | \"\(.used) of \(.max)\""; }
metric() { ns "$XIPSEC" -c "$WORK/conf" metrics | awk -v name="$1" '$1 == name { print $2 }'; }

# conf SETTINGS POLICIES SAS
conf()
{
	cat >"$WORK/conf" <<-END
		datapath {
			pin_dir = $WORK/bpffs/pins
			run_dir = $WORK/run
			state_dir = $WORK/state
			workers = 1
			$1
		}
		policies {
			$2
			net-net {
				action = protect
				local = 10.1.0.0/16
				remote = 10.2.0.0/16
				child = net
			}
		}
		$3
	END
	chmod 600 "$WORK/conf"
}

bypasses()
{
	local i

	for i in $(seq "$1"); do
		printf 'b%u { action = bypass\n remote = 198.18.%u.0/24 }\n' "$i" "$i"
	done
}

# sas N: so many outbound ones of the one child
sas()
{
	local i

	echo 'sas {'
	for i in $(seq "$1"); do
		printf 's%u { child = net\n direction = out\n src = 192.0.2.1\n dst = 192.0.2.2\n' "$i"
		printf ' spi = 0x100%u\n algorithm = aes128gcm16\n fresh_key = yes\n' "$i"
		printf ' key = 0x%s }\n' "$(od -An -v -tx1 -N20 /dev/urandom | tr -d ' \n')"
	done
	echo '}'
}

xipsecd_up()
{
	nsenter --net=/run/netns/"$NS" "$BUILD/xipsecd" -c "$WORK/conf" >"$WORK/xipsecd.log" 2>&1 &
	daemon=$!
	for _ in $(seq 100); do
		xipsec sa list && return
		sleep 0.1
	done
	return 1
}

alone_begin
ns ip link add black0 type veth peer name black1
ns ip link set black0 up
ns ip link set black1 up

# ---------------------------------------------------------------- rules
conf 'max_rules = 4
max_sas = 2' "$(bypasses 2)" ""
check "attach" expect 0 "attached as unprotected" attach black0 --role unprotected
check "status: rules" [ "$(limit rules)" = "3 of 4" ]
check "tables" [ "$(limit tables | sed 's/^[0-9]*//')" = " of 256" ]
check "SAs" [ "$(limit sas)" = "0 of 2" ]
check "children" [ "$(limit children)" = "1 of 65536" ]
check "interfaces" [ "$(limit interfaces)" = "1 of 32" ]
check "those and VLANs" [ "$(limit interfaces_and_vlans)" = "1 of 288" ]
check "names of interfaces" [ "$(limit devs)" = "1 of 1024" ]
xipsec status
check "in text: the policies" grep -qE '^policies: generation [0-9]+, 3 of 4 rules, [0-9]+ of 256 tables, [0-9]+\.[0-9] MB$' "$WORK/out"
check "in text: all else" grep -qx 'room: 0 of 2 SAs, 1 of 65,536 names of children, 1 of 32 interfaces, 1 of 288 with VLANs on them, 1 of 1,024 names for `dev`' "$WORK/out"
check "metrics" [ "$(metric xipsec_spd_rules) $(metric xipsec_spd_rules_max) $(metric xipsec_spd_tables_max) $(metric xipsec_sas_max) $(metric xipsec_children) $(metric xipsec_interfaces) $(metric xipsec_interfaces_max)" = "3 4 256 2 1 1 32" ]
conf 'max_rules = 4' "$(bypasses 4)" ""
check "more than max_rules" expect 3 "1 rules after 4 before it: expected at most max_rules = 4 in all" reload
conf 'max_rules = 400' "$(bypasses 4)" ""
check "more than max_rules was at the attach" expect 1 "made with max_rules = 4" reload
check "what to do then" grep -qF "attach --all --upgrade" "$WORK/out"
check "the rules are those before" [ "$(limit rules)" = "3 of 4" ]
check "that does it" expect 0 "attached as" attach --all --upgrade
check "and there are five of 400" [ "$(limit rules)" = "5 of 400" ]

# ---------------------------------------------------------------- SAs
conf 'max_sas = 2' "" "$(sas 2)"
check "attach with room for two SAs" expect 0 "attached as" attach --all --upgrade
check "xipsecd" xipsecd_up
check "they are there" [ "$(limit sas)" = "2 of 2" ]
conf 'max_sas = 3' "" "$(sas 3)"
check "the third is refused" expect 1 "SA s3: no room: 2 SAs are there, as many as max_sas" reload
check "the remedy is all of it" grep -qF 'raise it, stop xipsecd, `xipsec attach --all --upgrade`, start it' "$WORK/out"
check "no bare error" eval '! bare'
kill "$daemon" && wait "$daemon"
daemon=
check "the remedy works: attach" expect 0 "attached as" attach --all --upgrade
check "xipsecd" xipsecd_up
check "three" [ "$(limit sas)" = "3 of 3" ]
kill "$daemon" && wait "$daemon"
daemon=

# ---------------------------------------------------------------- names
# The number that the next name gets, as if 65,536 children and 1,024 interfaces had been there.
no_name() { for _ in $(seq "$1"); do printf '0 '; done; }
# shellcheck disable=SC2046
{
	bpftool map update pinned "$WORK/bpffs/pins/child_ids" key $(no_name 64) value 0 0 1 0
	bpftool map update pinned "$WORK/bpffs/pins/dev_ids" key $(no_name 16) value 1 4 0 0
}
check "status shows them" [ "$(limit children), $(limit devs)" = "65536 of 65536, 1024 of 1024" ]
conf '' 'late { action = protect
remote = 10.3.0.0/16
child = late }' ""
check "a child too many" expect 1 "child late gets no number: all numbers are taken" reload
check "what to do" grep -qF '`xipsec attach --all --upgrade` begins anew' "$WORK/out"
check "no bare error" eval '! bare'
conf '' 'late { action = bypass
direction = out
dev = late0 }' ""
check "an interface too many" expect 1 "dev late0 gets no number: all numbers are taken" reload
check "no bare error" eval '! bare'
check "the remedy works" expect 0 "attached as" attach --all --upgrade
check "the interface has a number" [ "$(limit devs)" = "2 of 1024" ]

# ---------------------------------------------------------------- interfaces
ns ip link add wide numrxqueues 65 numtxqueues 65 type veth peer name wide1
check "65 receive queues" expect 1 "wide: it has 65 receive queues, and 64 are the most: \`ethtool -L wide combined 64\`" attach wide --role protected
ns ip link del wide
for i in $(seq 0 16); do
	ns ip link add "m$i" type veth peer name "m$((i + 17))"
done
conf "interfaces {
black0 { role = unprotected }
$(for i in $(seq 0 30); do echo "m$i { role = protected }"; done)
}" "" ""
check "attach 32 interfaces at once" expect 0 "m30: attached" attach --all
check "status" [ "$(limit interfaces)" = "32 of 32" ]
check "one more" expect 1 "m31: 32 interfaces are attached already, the most there can be: \`xipsec detach\` one" attach m31 --role protected
xipsec detach m30
conf "interfaces {
$(for i in $(seq 1 32); do echo "gone$i { role = protected }"; done)
}" "" ""
check "names that are to come have places on record" expect 1 "gone2: 32 interfaces are on record already, the most there can be" attach --all
check "what to do" grep -qF '`xipsec detach` one' "$WORK/out"
check "no bare error" eval '! bare'
check "detach them all" expect 0 "detached" detach --all
[ $FAILED -eq 0 ]
