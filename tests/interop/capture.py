#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Judges every frame of a capture between gateways, with the keys: capture.py FILE SAS.

A line of SAS is one SA: SPI ALGORITHM PROTOCOL(50|51) FAMILY UDP ESN INNER-FAMILY KEY. Prints for
each `sa SPI PACKETS OPENED`; opened are those that python3-cryptography verifies and that hold a
packet of the inner family; then `clear N other N`: IP that is none of these, and ARP and neighbour
discovery.
"""
import struct
import sys

from judges import cases, ip
from judges.plain import Plain, Refused
from judges.plain_ah import PlainAh

JUDGES = {ip.ESP: Plain(), ip.AH: PlainAh()}
ICMP6 = 58


def read_sas(path):
    sas = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            spi, algorithm, proto, family, udp, esn, inner, key = line.split()
            sa = cases.SA(algorithm, key=bytes.fromhex(key), spi=int(spi, 0), proto=int(proto),
                          family=int(family), udp=udp == "yes", esn=esn == "yes")
            sa.inner, sa.packets, sa.opened = int(inner), 0, 0
            sas[sa.spi] = sa
    return sas


def frames(path):
    with open(path, "rb") as file:
        order = "<" if file.read(24)[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        while head := file.read(16):
            _, _, captured, length = struct.unpack(order + "IIII", head)
            if captured != length:
                sys.exit("capture.py: a frame is cut short")
            yield file.read(captured)


def sa_of(sas, packet):
    """The SA that the packet claims to be of, None without one."""
    for proto in (ip.ESP, ip.AH, ip.UDP):
        found = ip.find(packet, proto)
        if not found:
            continue
        off = found[0]
        if proto == ip.UDP:
            if packet[off:off + 4] != struct.pack("!HH", 4500, 4500):
                return None
            off += 8
        sa = sas.get(struct.unpack_from("!I", packet, off + (4 if proto == ip.AH else 0))[0])
        fits = sa and sa.udp == (proto == ip.UDP) and sa.family == ip.version(packet)
        return sa if fits else None
    return None


def number_of(sa, packet):
    """Fewer than 2^32 packets were sent: the high half is 0."""
    off = ip.find(packet, ip.UDP if sa.udp else sa.proto)[0]
    at = off + 8 if sa.proto == ip.AH else off + (12 if sa.udp else 4)
    return struct.unpack_from("!I", packet, at)[0]


def opens(sa, packet):
    try:
        inner = JUDGES[sa.proto].open(sa, packet, number_of(sa, packet))
    except Refused:
        return False
    return ip.version(inner) == sa.inner


def main():
    sas, clear, other = read_sas(sys.argv[2]), 0, 0
    for frame in frames(sys.argv[1]):
        kind, packet = frame[12:14], frame[14:]
        if kind == b"\x08\x00":
            packet = packet[:struct.unpack_from("!H", packet, 2)[0]]
        elif kind == b"\x86\xdd":
            packet = packet[:40 + struct.unpack_from("!H", packet, 4)[0]]
        if kind not in (b"\x08\x00", b"\x86\xdd"):
            other += 1
            continue
        if kind == b"\x86\xdd" and packet[6] in (ip.HOPOPTS, ICMP6) and packet[7] in (1, 255):
            other += 1
            continue
        sa = sa_of(sas, packet)
        if not sa:
            clear += 1
            print("# in the clear: %s" % packet[:64].hex())
            continue
        sa.packets += 1
        sa.opened += opens(sa, packet)
    for sa in sas.values():
        print("sa 0x%x %d %d" % (sa.spi, sa.packets, sa.opened))
    print("clear %d other %d" % (clear, other))


if __name__ == "__main__":
    main()
