#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Looking inside: exit codes of `xipsec status`, errors of `xipsec config check` with their place,
# every pinned map printed by bpftool with field names, no key in any listing.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

status_code()
{
	gw "$1" status >"$WORK/status.txt" 2>&1
	echo $?
}

GW_WINDOW=1024
gw_config a
gw_config b
check_eq "status before attach: unsafe (6)" "$(status_code a)" 6
if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
check_eq "status with everything attached: 0" "$(status_code a)" 0
ip -n "$TOPO-gw-a" link add stray0 type veth peer name stray1
ip -n "$TOPO-gw-a" link set stray0 up
check_eq "status with an up interface without a role: unsafe (6)" "$(status_code a)" 6
check "status names that interface" grep -q stray0 "$WORK/status.txt"
ip -n "$TOPO-gw-a" link del stray0

printf 'datapath {\n\tworkers = many\n}\npolicies {\n\tp {\n\t\tacton = bypass\n\t}\n}\n' >"$WORK/bad.conf"
in_ns gw-a "$XIPSEC" config check "$WORK/bad.conf" >"$WORK/bad.txt" 2>&1
check_eq "config check of a bad file: exit code 3" $? 3
check "config check: line 2 with its column" grep -Eq 'bad\.conf:2:[0-9]+' "$WORK/bad.txt"
check "config check: line 6 too, not just the first" grep -Eq 'bad\.conf:6:[0-9]+' "$WORK/bad.txt"
check "config check of a good file" in_ns gw-a "$XIPSEC" config check "$WORK/gw-a.conf"

fields='abi release hits packets bytes spd_generation role slot n_rules generation sa_index engine action child status word'
for pin in /sys/fs/bpf/"$TOPO"-a/*; do
	name=$(basename "$pin")
	[ -f "$pin" ] || continue
	bpftool map show pinned "$pin" >"$WORK/show.txt" 2>&1 || continue
	# Socket maps cannot be read; what refers to maps and sockets has no fields.
	case $name in
	xsks | spd) continue ;;
	esac
	bpftool map dump pinned "$pin" >"$WORK/dump.txt" 2>&1
	found=
	for field in $fields; do
		! grep -q "\"$field\":" "$WORK/dump.txt" || found="$found $field"
	done
	if [ -n "$found" ]; then
		ok "bpftool map dump: $name prints fields:$found"
	elif [ ! -s "$WORK/dump.txt" ] || grep -q '^\[\]$\|Found 0 elements' "$WORK/dump.txt"; then
		ok "bpftool map dump: $name is empty"
	elif grep -q '"value": [0-9]' "$WORK/dump.txt"; then
		ok "bpftool map dump: $name holds plain numbers, printed as such"
	else
		head -n 5 "$WORK/dump.txt" | note
		not_ok "bpftool map dump: $name prints no field names"
	fi
done

check_eq "bpftool map dump: reasons have their names" \
	"$(bpftool -j map dump pinned "/sys/fs/bpf/$TOPO-a/reasons" | jq -c '.[0].formatted.values[0].value | keys_unsorted - ["later"]')" \
	"$(gw a status --json | jq -c '[.reasons[].name]')"

for listing in 'status' 'status --json' 'policy' 'policy --json' 'sa list' 'sa list --json'; do
	# shellcheck disable=SC2086
	gw a $listing >"$WORK/listing-$(tr -d ' ' <<<"$listing").txt" 2>&1
	check_eq "xipsec $listing: exit code 0" $? 0
done
for listing in "$WORK"/listing-*json.txt; do
	check "$(basename "$listing" .txt) is JSON" jq -e . "$listing"
done
"$BUILD/tests/tools/bytesfind" "${KEY_AB4:0:32}" "${KEY_BA4:0:32}" "${KEY_AB6:0:32}" "${KEY_BA6:0:32}" \
	-- "$WORK"/listing-* "$WORK/xipsecd-a.log.new" >"$WORK/find.txt"
check_eq "no key in any listing or log" $? 1
