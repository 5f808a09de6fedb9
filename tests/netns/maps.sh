#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# docs/maps.md shows an entry of every pinned map as bpftool prints it: with the names that it has.
# MAPS_WRITE=1 bash tests/netns/maps.sh writes what bpftool prints now into the page.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
# Every map has an entry: fragments, a drop, an acquire.
in_ns red-a ping -n -c 1 -s 4000 -W 1 10.2.0.2 >/dev/null
gw a sa delete ab4
ping4 a 1 >/dev/null 2>&1
gw a sa add ab4
ping4 a 1 >/dev/null

/usr/bin/python3 "$LIB/tools/maps_doc.py" "$([ -n "${MAPS_WRITE:-}" ] && echo write || echo check)" "/sys/fs/bpf/$TOPO-a" \
	"$LIB/../../docs/maps.md" >"$WORK/maps"
cat "$WORK/maps"
check_eq "every pinned map was looked at" "$(wc -l <"$WORK/maps")" \
	"$(find -L "/sys/fs/bpf/$TOPO-a/current" -maxdepth 1 -type f | wc -l)"
check "and every one is as the page says" test -z "$(grep '^not ok' "$WORK/maps")"
check "an SA that is in use is shown" grep -q '"status": "XIPSEC_SA_LIVE"' "$LIB/../../docs/maps.md"
policies() { bpftool -j map dump pinned "/sys/fs/bpf/$TOPO-a/current/spd_names" | jq -r '.[].formatted.value.policy'; }
check_eq "a policy's name is printed as text" "$(policies | grep -cx net4)" 1
# What has few values is printed by name.
named() { bpftool map dump pinned "/sys/fs/bpf/$TOPO-a/current/$1" | grep -q "\"$2\": \"$3"; }
for what in 'ifaces role XIPSEC_ROLE_PROTECTED' 'spd_rules action XIPSEC_ACTION_PROTECT' 'spd_rules dirs XIPSEC_DIR_BOTH' \
	'spd_rules family XIPSEC_FAMILY_IP6' 'sad family XIPSEC_FAMILY_IP4' 'sad dir XIPSEC_DIR_OUT' 'sad dir XIPSEC_DIR_IN' \
	'flow_cache dir XIPSEC_DIR_OUT' 'flow_cache family XIPSEC_FAMILY_IP4' 'peers family XIPSEC_FAMILY_IP4' \
	'frags dir XIPSEC_DIR_OUT' 'frags verdict XIPSEC_FRAG_ASK' 'flow_cache verdict SPD_PROTECT' 'children engine XIPSEC_ENGINE_' 'sad engine XIPSEC_ENGINE_' 'sa_state status XIPSEC_SA_LIVE'; do
	read -r map field name <<<"$what"
	check "$map: $field by name" named "$map" "$field" "${name%_}"
done
