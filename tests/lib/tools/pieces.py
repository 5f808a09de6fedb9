#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""pieces.py IFACE DSTMAC SRC DST COUNT: first fragments of as many IKE datagrams (UDP 500), 600 bytes each,
of which nothing else comes. SRC is an address or a network: then each says another one of it. Prints
how many were sent."""
import ipaddress
import random
import socket
import struct
import sys
import time

SIZE = 600  # of the UDP datagram's part, a multiple of 8
BURST = 64  # frames in a row: less than a veth's ring holds


def ip4_sum(header):
    total = sum(struct.unpack("!10H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4_first(src, dst, number):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + SIZE, number & 0xffff, 0x2000, 64, 17, 0,
                       src.packed, dst.packed)
    return head[:10] + struct.pack("!H", ip4_sum(head)) + head[12:]


def ip6_first(src, dst, number):
    return (struct.pack("!IHBB", 6 << 28, 8 + SIZE, 44, 64) + src.packed + dst.packed
            + struct.pack("!BBHI", 17, 0, 1, number))


iface, mac, src_text, dst_text, count = sys.argv[1:]
net = ipaddress.ip_network(src_text)
dst = ipaddress.ip_address(dst_text)
eth = bytes.fromhex(mac.replace(":", "")) + b"\2\0\0\0\0\x99" + (b"\x08\0" if dst.version == 4 else b"\x86\xdd")
first = ip4_first if dst.version == 4 else ip6_first
udp = struct.pack("!HHHH", 500, 500, 2 * SIZE, 0).ljust(SIZE, b"x")
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((iface, 0))
for n in range(int(count)):
    src = net[random.randrange(net.num_addresses)]
    link.send(eth + first(src, dst, n + 1) + udp)
    if n % BURST == BURST - 1:
        time.sleep(0.002)
print(count)
