# SPDX-License-Identifier: BSD-2-Clause
"""AH and ESP in transport mode behind headers that they cover, or carry along, cut on the way.

front.py recv ADDR PORT: a line for each datagram: its first word and the headers that came with it.
front.py send DEV MAC SPI KEY ALGORITHM PROTO(50|51): the cases below, sealed by python3-cryptography
from the peer's address to this one, each datagram with the name of its case as its first word.
"""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../interop"))
# pylint: disable=wrong-import-position
from judges import cases, ip  # noqa: E402
from judges.plain import Plain  # noqa: E402
from judges.plain_ah import PlainAh  # noqa: E402

STAYS, CHANGES = 0x1E, 0x3E  # options that nobody knows; the second may change on the way
LEFT_0 = bytes((253, 0))     # a routing header of no type that is known, at its end
CUT = 1000                   # bytes of the first fragment's payload


def option(kind, text):
    """An extension header of one option, padded to 8 bytes."""
    body = bytes((kind, len(text))) + text
    pad = -(2 + len(body)) % 8
    return body + (bytes((1, pad - 2)) + bytes(pad - 2) if pad > 1 else bytes(pad))


def chain(*headers):
    """(bytes, first protocol): `headers` are (protocol, bytes behind the first two)."""
    kinds = [kind for kind, _ in headers] + [ip.UDP]
    return b"".join(bytes((kinds[i + 1], (2 + len(body)) // 8 - 1)) + body
                    for i, (_, body) in enumerate(headers)), kinds[0]


def packet6(name, port, *headers):
    front, first = chain(*headers)
    text = ip.udp(7000, port, (name + " ").encode() + bytes(range(256)) * 5)
    src, dst = (socket.inet_pton(socket.AF_INET6, a) for a in ("2001:db8::1", "2001:db8::2"))
    head = struct.pack("!IHBB", 0x60000000, 0, first, 64) + src + dst
    return ip.udp6_finish(ip.finish(head + front + text), 40 + len(front))


def packet4(name, port, options):
    text = ip.udp(7000, port, (name + " ").encode() + bytes(range(256)) * 5)
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 0, 77, 0, 64, ip.UDP, 0)
    return ip.finish(head + socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") +
                     options + text)


def fragments6(packet, behind, ident):
    """Cut with the fragment header behind `behind` of the extension headers."""
    off, name = 40, 6
    for _ in range(behind):
        name, off = off, off + 8 + packet[off + 1] * 8
    front, rest = bytearray(packet[:off]), packet[off:]
    kind, front[name] = front[name], ip.FRAGMENT
    for at, more in ((0, 1), (CUT, 0)):
        part = rest[at:at + CUT] if more else rest[at:]
        yield ip.finish(bytes(front) + struct.pack("!BBHI", kind, 0, at | more, ident) + part)


def fragments4(packet):
    front, rest = bytearray(packet[:(packet[0] & 15) * 4]), packet[(packet[0] & 15) * 4:]
    for at, more in ((0, 0x2000), (CUT, 0)):
        front[6:8] = struct.pack("!H", at // 8 | more)
        yield ip.finish(bytes(front) + (rest[at:at + CUT] if more else rest[at:]))


def changed(packet, text, new):
    assert packet.count(text) == 1
    return packet.replace(text, new)


def all_cases(port):
    """(family, packet, what happens on the way to what was sealed, fragments of that)."""
    hop = ip.HOPOPTS, option(STAYS, b"stays!")
    var = ip.HOPOPTS, option(CHANGES, b"change")
    dst, routing = (ip.DSTOPTS, option(STAYS, b"to-the-end")), (ip.ROUTING, LEFT_0 + bytes(4))
    same = lambda p: p  # noqa: E731
    yield 6, packet6("whole", port, hop, dst, routing), same, None
    yield 6, packet6("plain", port), same, 0
    yield 6, packet6("hop", port, hop), same, 1
    yield 6, packet6("all", port, hop, dst, routing), same, 1
    yield 6, packet6("behind", port, hop, dst, routing), same, 3
    yield 6, packet6("mutable", port, var), lambda p: changed(p, b"change", b"differ"), 1
    yield 6, packet6("immutable", port, hop), lambda p: changed(p, b"stays!", b"other!"), 1
    yield 6, packet6("long", port, (ip.HOPOPTS, option(STAYS, bytes(116)))), same, 1
    yield 6, packet6("longer", port, (ip.HOPOPTS, option(STAYS, bytes(250))),
                     (ip.DSTOPTS, option(STAYS, bytes(250))), routing), same, 1
    yield 4, packet4("options4", port, b"\x94\x04\0\0"), same, 0
    yield 4, packet4("changed4", port, b"\x94\x04\0\0"), \
        lambda p: changed(p, b"\x94\x04\0\0", b"\x94\x04\0\1"), 0


def send(dev, mac, spi4, spi6, key4, key6, algorithm, proto):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((dev, 0))
    judge = PlainAh() if int(proto) == ip.AH else Plain()
    sas = {family: cases.SA(algorithm, key=bytes.fromhex(key), spi=int(spi, 0), tunnel=False,
                            family=family, proto=int(proto))
           for family, spi, key in ((4, spi4, key4), (6, spi6, key6))}
    for seq, (family, packet, on_the_way, cut) in enumerate(all_cases(7200), 1):
        sa = sas[family]
        sealed = on_the_way(judge.seal(sa, packet, seq, struct.pack("!Q", seq)[:sa.algorithm.iv]))
        pieces = [sealed] if cut is None else fragments4(sealed) if family == 4 else \
            fragments6(sealed, cut, 1000 + seq)
        for piece in pieces:
            eth_type = b"\x08\x00" if family == 4 else b"\x86\xdd"
            sock.send(bytes.fromhex(mac.replace(":", "") + "020000000001") + eth_type + piece)


def recv(port):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    for told in (socket.IPV6_RECVHOPOPTS, socket.IPV6_RECVRTHDR, socket.IPV6_RECVDSTOPTS):
        sock.setsockopt(socket.IPPROTO_IPV6, told, 1)
    sock.bind(("::", int(port)))
    names = {socket.IPV6_HOPOPTS: "hop", socket.IPV6_DSTOPTS: "dst", socket.IPV6_RTHDR: "route"}
    while True:
        text, told, _, _ = sock.recvmsg(65536, 4096)
        name, _, rest = text.partition(b" ")
        headers = [names[kind] for level, kind, _ in told if level == socket.IPPROTO_IPV6]
        print(name.decode(), "good" if rest == bytes(range(256)) * 5 else "bad", *headers, flush=True)


if sys.argv[1] == "send":
    send(*sys.argv[2:])
else:
    recv(sys.argv[2])
