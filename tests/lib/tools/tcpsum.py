#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A stream by TCP and its SHA-256 at both ends: tcpsum.py recv ADDR PORT | send ADDR PORT MB."""
import hashlib
import os
import socket
import sys

role, addr, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in addr else socket.AF_INET
digest = hashlib.sha256()
if role == "recv":
    server = socket.create_server((addr, port), family=family)
    conn, _ = server.accept()
    while data := conn.recv(1 << 18):
        digest.update(data)
else:
    conn = socket.create_connection((addr, port))
    for _ in range(int(sys.argv[4]) * 4):
        data = os.urandom(1 << 18)
        digest.update(data)
        conn.sendall(data)
conn.close()
print(digest.hexdigest(), flush=True)
