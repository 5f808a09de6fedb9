#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Counters as OpenMetrics: printed and served the same, read by the Prometheus project's own parser,
# and what they count is what happened. A reader that does not read holds nothing up.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b
. "$(dirname "$0")/../lib/scenario.sh"

METRICS=$LIB/tools/openmetrics.py
page() { in_ns gw-a /usr/bin/python3 "$METRICS" "$@"; }
value() { page value "$WORK/page" "$@"; }
flows() {
	local what sum=0
	for what; do sum=$((sum + $(value "xipsec_flow_cache_${what}_total"))); done
	echo "$sum"
}
fresh() { gw a metrics >"$WORK/page"; }

gw_config a
gw a metrics >"$WORK/page"
check_eq "nothing is attached: told, not an error" "$? $(value xipsec_attached)" "0 0"

if ! check "gateways come up" gateways_up || ! check "tunnel works" tunnel_works; then exit 1; fi
gw_stop a
GW_OPTIONS="--metrics unix:$WORK/metrics.sock"
if ! check "xipsecd with --metrics" gw_start a || ! check "tunnel works" tunnel_works; then exit 1; fi
fresh
check "the page is well-formed" page check "$WORK/page"
check_eq "attached, xipsecd runs" "$(value xipsec_attached) $(value xipsec_xipsecd_up)" "1 1"
check_eq "SAs" "$(value xipsec_sas) $(value xipsec_sa_live)" "4 4"
check_eq "rules" "$(value xipsec_spd_rules)" "$(gw a policy --json | jq '.rules | length')"
check_eq "room for rules: as configured, not as the tables came out" "$(value xipsec_spd_rules_max)" \
	"$(gw a status --json | jq .max_rules)"
check_eq "every reason, by programs and workers" "$(grep -c '^xipsec_packets_total' "$WORK/page")" \
	$((2 * $(gw a status --json | jq '.reasons | length')))

before=$(value xipsec_packets_total reason=steer_out)
sa_before=$(value xipsec_sa_packets_total sa=ab4)
rule_before=$(value xipsec_policy_packets_total policy=net4 action=protect)
flows_before=$(flows hits misses) hits_before=$(flows hits)
ping4 a 5 >/dev/null
fresh
check_eq "five pings: five packets to the worker" "$(value xipsec_packets_total reason=steer_out)" $((before + 5))
check_eq "five by the SA" "$(value xipsec_sa_packets_total sa=ab4 direction=out spi=0x00001001)" $((sa_before + 5))
check_eq "five by the rule" "$(value xipsec_policy_packets_total policy=net4 action=protect)" $((rule_before + 5))
check_eq "the flow cache was asked as often as the SPD" "$(flows hits misses)" $((flows_before + 5))
check_gt "and knew four of the five" "$(flows hits)" $((hits_before + 3))
check_eq "status says the same of it" "$(gw a status --json | jq '.cache_hits + .cache_misses')" "$(flows hits misses)"
check_gt "bytes too" "$(value xipsec_sa_bytes_total sa=ab4)" 0
for hidden in tfc_bytes dummies dummy_bytes; do # netns/events.sh has some
	check_eq "$hidden: none" "$(value "xipsec_sa_${hidden}_total" sa=ab4)" 0
done
check_eq "status says the same" "$(value xipsec_packets_total reason=sealed)" "$(gw_reason a sealed)"
check_eq "the worker" "$(value xipsec_worker_up worker=0) $(value xipsec_worker_starts_total worker=0)" \
	"1 $(gw a status --json | jq '.workers[0].starts')"

# The dashboard and the alerts ask for what the page has: each name, each label, each reason.
asked() { cat "$LIB/../../deploy/grafana/xipsec.json" "$LIB/../../deploy/prometheus/xipsec.rules.yml" | tr -d '\134'; }
missing=
for name in $(asked | grep -oE '\bxipsec_[a-z_]+' | sort -u); do
	grep -qE "^${name}[ {]" "$WORK/page" || missing="$missing $name"
done
check_eq "every metric that dashboard and alerts name is on the page" "$missing" ""
check_gt "they name some" "$(asked | grep -oE '\bxipsec_[a-z_]+' | sort -u | wc -l)" 20
missing=
for reason in $(asked | grep -oE 'reason=~?"[a-z_|]+"' | cut -d'"' -f2 | tr '|' ' '); do
	grep -q "reason=\"$reason\"" "$WORK/page" || missing="$missing $reason"
done
check_eq "and every reason" "$missing" ""
missing=
for label in $(asked | grep -oE 'by \([a-z, ]+\)|labels\.[a-z]+' | sed 's/by (//; s/labels\.//' | tr -d '(),' | tr ' ' '\n' | sort -u); do
	[ "$label" = instance ] || grep -q "[{,]$label=\"" "$WORK/page" || missing="$missing $label"
done
check_eq "and every label but those of Prometheus" "$missing" ""

check_eq "served at the Unix socket" "$(page get "unix:$WORK/metrics.sock" "$WORK/served")" "200 application/openmetrics-text"
check "well-formed there too" page check "$WORK/served"
check "with the same samples" diff <(grep -o '^[^ ]*' "$WORK/page" | sort -u) <(grep -o '^[^ ]*' "$WORK/served" | sort -u)
check_eq "nobody else can read it" "$(stat -c %a "$WORK/metrics.sock")" 600
check_eq "another page: 404" "$(in_ns gw-a /usr/bin/python3 -c "
import sys; sys.argv=['', 'x']
import socket; s=socket.socket(socket.AF_UNIX); s.connect('$WORK/metrics.sock')
s.send(b'GET /keys HTTP/1.0\r\n\r\n'); print(s.recv(99).split()[1].decode())")" 404
check_eq "no key is in it" "$("$BUILD/tests/tools/bytesfind" "${KEY_AB4:0:32}" -- "$WORK/page" "$WORK/served" >/dev/null; echo $?)" 1

# Twenty who connect and say or read nothing.
spawn gw-a "$WORK/idlers.log" /usr/bin/python3 -c "
import socket, time
s = [socket.socket(socket.AF_UNIX) for _ in range(20)]
for i, one in enumerate(s):
    one.connect('$WORK/metrics.sock')
    if i % 2: one.send(b'GET /metrics HTTP/1.1\r\n\r\n')
print('there', flush=True)
time.sleep(30)"
until_true 5 grep -q there "$WORK/idlers.log"
start=$(date +%s%N)
gw a sa list >/dev/null
check_gt "xipsecd answers its clients meanwhile, within 1 s" $((1000 * ${XIPSEC_SLOW:-1})) $((($(date +%s%N) - start) / 1000000))
check "the tunnel works meanwhile" ping4 a 3
end_pid "$PID" 2
until_true 3 page get "unix:$WORK/metrics.sock" "$WORK/served"
check "and then the page is there again" page check "$WORK/served"

gw_stop a
check "the socket goes with xipsecd" test ! -e "$WORK/metrics.sock"
fresh
check_eq "without xipsecd: counters, no SAs" "$(value xipsec_xipsecd_up) $(value xipsec_sa_live)" "0 none"
GW_OPTIONS='--metrics 9464'
check "xipsecd with a port" gw_start a
check_eq "a port is the loopback's" "$(in_ns gw-a ss -Hltn sport = 9464 | awk '{print $4}')" 127.0.0.1:9464
check_eq "served there" "$(page get 127.0.0.1:9464 "$WORK/served")" "200 application/openmetrics-text"
check "well-formed" page check "$WORK/served"
gw_stop a
for bad in 0 70000 192.0.2.1 unix:relative host:99 '[::1:99'; do
	timeout 5 nsenter --net="/run/netns/$TOPO-gw-a" -- "$XIPSECD" -c "$WORK/gw-a.conf" --metrics "$bad" 2>"$WORK/err"
	check_eq "--metrics $bad: refused in words" "$? $(grep -c 'expected PORT' "$WORK/err")" "1 1"
done
