#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Scapy and python3-cryptography as peers of the worker's own code, packet by packet: see matrix.py.
# No root, no network.
set -u
cd "$(dirname "$0")" || exit 1
BUILD=$(realpath "${BUILD:-../../build}")
export BUILD

if ! why=$(/usr/bin/python3 -B -c 'import scapy, cryptography' 2>&1); then
	echo "skip - matrix: ${why##*$'\n'}: make deps"
	exit 0
fi
exec /usr/bin/python3 -B matrix.py "$@"
