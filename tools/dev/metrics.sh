#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Fails if the alerts or the dashboard in deploy/ use a metric that loader/metrics.c does not have,
# or if the dashboard is no JSON. The output itself is judged by tests/netns/metrics.sh.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
names=$(mktemp)
trap 'rm -f "$names"' EXIT

tr '\n' ' ' <"$here/loader/metrics.c" | grep -oE '\{"xipsec_[a-z_]+", "[a-z]+"' | tr -d '{",' |
	awk '{ print $1 ($2 == "counter" ? "_total" : $2 == "info" ? "_info" : "") }' >"$names"
[ -s "$names" ] || { echo "metrics.sh: no family found in loader/metrics.c"; exit 1; }
status=0
for file in "$here"/deploy/prometheus/*.yml "$here"/deploy/grafana/*.json; do
	used=$(sed 's/uid": *"[^"]*"//' "$file" | grep -oE '\bxipsec_[a-z_]+' | sort -u)
	for name in $used; do
		if ! grep -qx "$name" "$names"; then
			echo "${file#"$here"/}: $name is no metric of loader/metrics.c"
			status=1
		fi
	done
done
jq -e '.panels | length > 0' "$here"/deploy/grafana/xipsec.json >/dev/null || status=1
exit $status
