#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A TCP connection for each pair of addresses, bytes both ways.

    talk.py answer ADDRESS...               sends back what it gets, until it is ended
    talk.py ask BYTES OWN,PEER...           prints "PEER ok" or "PEER why" for each
"""
import os
import socket
import sys
import threading

PORT = 7200


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send_back(connection):
    with connection:
        while data := connection.recv(1 << 16):
            connection.sendall(data)


def answer(*addresses):
    def serve(address):
        server = socket.create_server((address, PORT), family=family(address))
        print(address, flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=send_back, args=(connection,), daemon=True).start()
    threads = [threading.Thread(target=serve, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()


def exchange(own, peer, size):
    sent, got = os.urandom(size), bytearray()
    with socket.socket(family(peer), socket.SOCK_STREAM) as connection:
        connection.settimeout(15)
        connection.bind((own, 0))
        connection.connect((peer, PORT))
        sender = threading.Thread(target=connection.sendall, args=(sent,), daemon=True)
        sender.start()
        while len(got) < size:
            data = connection.recv(1 << 16)
            if not data:
                return "ended after %d bytes" % len(got)
            got += data
    return "ok" if bytes(got) == sent else "other bytes came back"


def ask(size, *pairs):
    """One after the other: all at once, the capture beside would lose packets."""
    for pair in pairs:
        own, peer = pair.split(",")
        try:
            word = exchange(own, peer, int(size))
        except OSError as why:
            word = str(why)
        print(peer, word, flush=True)


if len(sys.argv) < 3 or sys.argv[1] not in ("answer", "ask"):
    sys.exit(__doc__)
globals()[sys.argv[1]](*sys.argv[2:])
