#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Wireshark, Scapy and python3-cryptography as judges of iked's own messages: see ike.py. No root, no
# network.
set -u
cd "$(dirname "$0")" || exit 1
BUILD=$(realpath "${BUILD:-../../build}")
export BUILD

if ! command -v tshark >/dev/null; then
	echo "skip - ike: tshark is not installed: make deps"
	exit 0
fi
exec /usr/bin/python3 -B ike.py
