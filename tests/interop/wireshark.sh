#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Wireshark as a judge of the worker's own code, packet by packet: see wireshark.py. No root, no
# network; tshark.sh lets it judge real gateways.
set -u
cd "$(dirname "$0")" || exit 1
BUILD=$(realpath "${BUILD:-../../build}")
export BUILD

if ! command -v tshark >/dev/null; then
	echo "skip - wireshark: tshark is not installed: make deps"
	exit 0
fi
exec /usr/bin/python3 -B wireshark.py "$@"
