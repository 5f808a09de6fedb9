# SPDX-License-Identifier: BSD-2-Clause
"""IP headers by hand: where ESP and AH belong, lengths, checksums."""
import ipaddress
import struct

HOPOPTS, IPIP, UDP, IPV6, ROUTING, FRAGMENT, ESP, AH, NONE, DSTOPTS = \
    0, 4, 17, 41, 43, 44, 50, 51, 59, 60


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def version(packet):
    return packet[0] >> 4


def protocol_of(packet):
    return IPIP if version(packet) == 4 else IPV6


def forwarded(packet):
    """As a router hands it on: TTL one less."""
    packet = bytearray(packet)
    packet[8 if version(packet) == 4 else 7] -= 1
    return finish(packet)


def finish(packet):
    """Length and IPv4 header checksum made to fit."""
    packet = bytearray(packet)
    if version(packet) == 6:
        packet[4:6] = struct.pack("!H", len(packet) - 40)
        return bytes(packet)
    packet[2:4] = struct.pack("!H", len(packet))
    packet[10:12] = b"\0\0"
    packet[10:12] = struct.pack("!H", checksum(bytes(packet[:(packet[0] & 15) * 4])))
    return bytes(packet)


def place(packet):
    """(offset, offset of the byte that names what follows): RFC 4303 3.1.1, RFC 4302 3.1.1. IPv6:
    behind hop-by-hop and routing headers, and destination options only in front of a routing
    header, for these alone are for the routers under way."""
    if version(packet) == 4:
        return (packet[0] & 15) * 4, 9
    best = off, name = 40, 6
    kind = packet[6]
    while kind in (HOPOPTS, ROUTING, DSTOPTS):
        here, kind, name = kind, packet[off], off
        off += 8 + packet[off + 1] * 8
        if here != DSTOPTS:
            best = off, name
    return best


def insert(packet, between, proto):
    """A header (and what it carries) in place of what the packet carried."""
    off, name = place(packet)
    front = bytearray(packet[:off])
    front[name] = proto
    return finish(bytes(front) + between)


def find(packet, wanted):
    """(offset of the header `wanted`, offset of the byte that names it); None: not there."""
    if version(packet) == 4:
        return ((packet[0] & 15) * 4, 9) if packet[9] == wanted else None
    off, name = 40, 6
    while packet[name] != wanted:
        if packet[name] not in (HOPOPTS, ROUTING, DSTOPTS):
            return None
        name = off
        off += 8 + packet[off + 1] * 8
    return off, name


def outer(src, dst, proto, text, ident, ttl=64):
    """A tunnel's header as docs/architecture.md has it: DF, the low half of the number as ID."""
    addresses = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
    if len(addresses) == 8:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 0, ident & 0xFFFF, 0x4000, ttl, proto, 0)
    else:
        head = struct.pack("!IHBB", 0x60000000, 0, proto, ttl)
    return finish(head + addresses + text)


def udp(sport, dport, text):
    """No checksum: RFC 3948 2.1 for IPv4; udp6_finish() makes IPv6's."""
    return struct.pack("!HHHH", sport, dport, 8 + len(text), 0) + text


def udp6_finish(packet, off):
    """RFC 8200 8.1."""
    packet = bytearray(packet)
    pseudo = bytes(packet[8:40]) + struct.pack("!II", len(packet) - off, UDP)
    packet[off + 6:off + 8] = b"\0\0"
    packet[off + 6:off + 8] = struct.pack("!H", checksum(pseudo + bytes(packet[off:])) or 0xFFFF)
    return bytes(packet)
