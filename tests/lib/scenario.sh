# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# First line of every scenario: `. "$(dirname "$0")/../lib/scenario.sh"`. Gives it a topology prefix
# and a directory of its own, takes both away at the end whatever happens, and runs `scenario`.
set -u
LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$(realpath "${BUILD:-$LIB/../../build}")
TOPO=xt$$

. "$LIB/topology.sh"
. "$LIB/tap.sh"
. "$LIB/capture.sh"
. "$LIB/gateway.sh"

scenario_end()
{
	local status=$?

	trap - EXIT INT TERM
	if [ "$FAILED" -gt 0 ] || [ $status -ne 0 ]; then
		local x
		for x in a b; do
			for log in "$WORK/xipsecd-$x.log" "$WORK/xipsecd-$x.log.new"; do
				[ -s "$log" ] || continue
				echo "# --- $log, last lines"
				tail -n 30 "$log" | sed 's/^/# /'
			done
		done
	fi
	type scenario_cleanup >/dev/null 2>&1 && scenario_cleanup
	topology_down
	[ "$FAILED" -eq 0 ] || status=1
	exit $status
}
trap scenario_end EXIT
trap 'exit 130' INT TERM

if [ "$(id -u)" != 0 ]; then
	skip "$(basename "$0" .sh): needs root (namespaces, bpf)"
	exit 0
fi
for tool in "$XIPSEC" "$XIPSECD" "$UDPLOAD" "$PCAPCHECK"; do
	if [ ! -x "$tool" ]; then
		not_ok "$(basename "$0" .sh): $tool is not built: make"
		exit 1
	fi
done
topology_up || {
	not_ok "topology: could not be made"
	exit 1
}
