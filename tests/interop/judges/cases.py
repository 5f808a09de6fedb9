# SPDX-License-Identifier: BSD-2-Clause
"""What the judges judge: SAs and packets of every shape."""
import random
import socket
import struct

from . import ip
from .algorithms import ALGORITHMS

ADDRESS = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
INNER = {4: ("10.1.0.5", "10.2.0.9"), 6: ("fd01::5", "fd02::9")}
PORTS = 4000, 5000  # of the datagrams
# Padding of every length for both alignments, an empty datagram, several hash blocks, big ones.
SIZES = list(range(17)) + [31, 48, 63, 64, 65, 111, 112, 127, 128, 200, 512, 777, 1200]
# More than the lanes of a multi-buffer backend.
BURST = 9


class SA:
    """One SA, in the words of espbox.c."""

    def __init__(self, algorithm, key=None, spi=0x1001, tunnel=True, family=4, esn=False, udp=False,
                 proto=ip.ESP):
        self.algorithm = ALGORITHMS[algorithm]
        self.key, self.spi, self.tunnel, self.family = key, spi, tunnel, family
        self.esn, self.udp, self.proto = esn, udp, proto
        self.src, self.dst = ADDRESS[family]
        self.sport, self.dport = 4500, 4500


class Shape:
    """mode: tunnel or transport; outer and inner families; front: headers before the place of ESP;
    behind: what the judges must not take for their place."""

    def __init__(self, name, tunnel, outer, inner, options=""):
        self.name, self.tunnel, self.outer, self.inner = name, tunnel, outer, inner
        self.options = options


SHAPES = [
    Shape("tunnel 4in4", True, 4, 4),
    Shape("tunnel 6in4", True, 4, 6),
    Shape("tunnel 4in6", True, 6, 4),
    Shape("tunnel 6in6", True, 6, 6),
    Shape("transport v4", False, 4, 4),
    Shape("transport v4 options", False, 4, 4, "options"),
    Shape("transport v6", False, 6, 6),
    Shape("transport v6 hop-by-hop", False, 6, 6, "hbh"),
    Shape("transport v6 destination options", False, 6, 6, "dst"),
    Shape("transport v6 hop-by-hop, options, routing, options", False, 6, 6, "all"),
]

# Router alert, and a record route that AH must count as zeroes.
OPTIONS4 = bytes.fromhex("94040000" "07070400000000" "00")
PADN4 = bytes.fromhex("010400000000")  # an option of 6 bytes: fills a header of 8
MUTABLE = bytes.fromhex("3e0401020304")  # one that may change under way (RFC 8200 4.2)


def _extensions(options, addresses):
    """(kind, bytes without the first) of each extension header."""
    hbh = ip.HOPOPTS, b"\0" + MUTABLE
    dst = ip.DSTOPTS, b"\0" + PADN4
    # Type 0 at its last hop: nothing is left to visit (RFC 8200 4.4).
    routing = ip.ROUTING, bytes((2, 0, 0)) + bytes(4) + addresses[:16]
    return {"": [], "hbh": [hbh], "dst": [dst], "all": [hbh, dst, routing, dst]}[options]


def _udp(addresses, payload):
    text = struct.pack("!HHHH", *PORTS, 8 + len(payload), 0) + payload
    pseudo = addresses + struct.pack("!II", len(text), ip.UDP)
    return text[:6] + struct.pack("!H", ip.checksum(pseudo + text) or 0xFFFF) + text[8:]


def payload(size, seed):
    return random.Random(seed).randbytes(size)


def packet(shape, size, seed=0, ttl=64):
    """A UDP datagram of so many bytes between hosts (tunnel) or the gateways (transport)."""
    names = INNER[shape.inner] if shape.tunnel else ADDRESS[shape.inner]
    family = socket.AF_INET if shape.inner == 4 else socket.AF_INET6
    addresses = b"".join(socket.inet_pton(family, name) for name in names)
    text = _udp(addresses, payload(size, seed))
    if shape.inner == 4:
        options = OPTIONS4 if shape.options else b""
        head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 0, 0x1234 + seed & 0xFFFF, 0,
                           ttl, ip.UDP, 0)
        return ip.finish(head + addresses + options + text)
    following = ip.UDP
    for kind, body in reversed(_extensions(shape.options, addresses)):
        text = bytes((following,)) + body + text
        following = kind
    return ip.finish(struct.pack("!IHBB", 0x60012345, 0, following, ttl) + addresses + text)


def key_of(algorithm, seed):
    return random.Random("%s %d" % (algorithm.name, seed)).randbytes(algorithm.key_len)


def first_seq(esn, seed):
    """With ESN the numbers of a burst cross 2^32."""
    turn = random.Random(seed)
    if not esn:
        return turn.choice((1, 0xFFFFFFFF - BURST - 1, turn.randrange(1, 1 << 31)))
    return (turn.choice((0, 1, 0x01020304)) << 32) + 0xFFFFFFFF - turn.randrange(BURST)
