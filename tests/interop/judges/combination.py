# SPDX-License-Identifier: BSD-2-Clause
"""One SA and a burst of packets for it; all of them for an algorithm."""
import itertools

from . import cases, ip
from .algorithms import ALGORITHMS
from .plain import Refused


class Combination:
    def __init__(self, algorithm, proto, shape, esn, udp, number):
        self.shape, self.number = shape, number
        self.sa = cases.SA(algorithm.name, key=cases.key_of(algorithm, number), spi=0x1000 + number,
                           tunnel=shape.tunnel, family=shape.outer, esn=esn, udp=udp, proto=proto)
        self.seq = cases.first_seq(esn, number)
        sizes = [cases.SIZES[(number * cases.BURST + i) % len(cases.SIZES)]
                 for i in range(cases.BURST)]
        self.packets = [cases.packet(shape, size, number + i) for i, size in enumerate(sizes)]
        self.proto_name = "ah" if proto == ip.AH else "esp"
        self.group = algorithm.name + (", ah" if proto == ip.AH else "")
        self.name = "%s, %s%s%s" % (self.group, shape.name, ", esn" if esn else "",
                                    ", udp" if udp else "")


def combinations(algorithm):
    every = list(itertools.product((ip.ESP,), cases.SHAPES, (False, True), (False, True)))
    if algorithm.for_ah:
        every += itertools.product((ip.AH,), cases.SHAPES, (False, True), (False,))
    start = list(ALGORITHMS).index(algorithm.name) * 64
    for number, (proto, shape, esn, udp) in enumerate(every, start):
        yield Combination(algorithm, proto, shape, esn, udp, number)


def header_offset(sa, packet):
    """Of ESP or AH."""
    found = ip.find(packet, ip.UDP if sa.udp else sa.proto)
    if not found:
        raise Refused("no ESP or AH where it belongs: %s" % packet.hex())
    return found[0] + (8 if sa.udp else 0)


def damaged(sa, packet, off, turn):
    """One bit turned behind SPI and sequence number: with AH in IV and ICV or what it carries."""
    packet = bytearray(packet)
    packet[turn.randrange(off + (12 if sa.proto == ip.AH else 8), len(packet))] ^= \
        1 << turn.randrange(8)
    return bytes(packet)
