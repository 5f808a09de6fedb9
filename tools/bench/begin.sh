# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034 # settings that the sourced files read
# How a bench with gateways begins: sourced in the top folder, with TOPO set. What it makes goes when it ends.

if [ "$(id -u)" != 0 ]; then
	echo 'bench: needs root: sudo make bench' >&2
	exit 1
fi
BUILD=$(realpath "${BUILD:-build}")
. tests/lib/topology.sh
. tests/lib/tap.sh
. tests/lib/gateway.sh
. tests/lib/ike.sh
trap 'trap - EXIT; topology_down' EXIT
trap 'exit 130' INT TERM
