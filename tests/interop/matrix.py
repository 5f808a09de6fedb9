#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""ESP and AH: every algorithm × mode × families × ESN × UDP encapsulation × backend, against
judges: they seal, we open; we seal, they open. What a judge cannot do is counted and told.

    matrix.py [ALGORITHM...]
"""
import collections
import itertools
import multiprocessing
import random
import sys

from judges import cases, ip
from judges.algorithms import ALGORITHMS, of_product
from judges.box import BACKENDS, Box
from judges.plain import Plain, Refused, gmac_vector
from judges.plain_ah import PlainAh, PlainAhOfLinux
from judges.scapy_peer import Scapy

# The first one judges everything.
JUDGES = {ip.ESP: (Plain(), Scapy()), ip.AH: (PlainAh(), Scapy())}


class Tally:
    """Packets that held, and what was wrong with the others, by what was asked."""

    def __init__(self):
        self.good = collections.Counter()
        self.wrong = {}
        self.skipped = collections.Counter()
        self.combinations = 0

    def add(self, what, held, why):
        if held:
            self.good[what] += 1
        else:
            self.wrong.setdefault(what, []).append(why)

    def merge(self, other):
        self.good += other.good
        self.skipped += other.skipped
        self.combinations += other.combinations
        for what, why in other.wrong.items():
            self.wrong.setdefault(what, []).extend(why)


class Combination:
    def __init__(self, algorithm, proto, shape, esn, udp, number):
        self.shape, self.number = shape, number
        self.sa = cases.SA(algorithm.name, key=cases.key_of(algorithm, number), spi=0x1000 + number,
                           tunnel=shape.tunnel, family=shape.outer, esn=esn, udp=udp, proto=proto)
        self.seq = cases.first_seq(esn, number)
        sizes = [cases.SIZES[(number * cases.BURST + i) % len(cases.SIZES)]
                 for i in range(cases.BURST)]
        self.packets = [cases.packet(shape, size, number + i) for i, size in enumerate(sizes)]
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


def iv_for(sa, seq, turn):
    return seq.to_bytes(8, "big") if sa.algorithm.iv == 8 else turn.randbytes(sa.algorithm.iv)


def damaged(sa, packet, off, turn):
    """One bit turned behind SPI and sequence number: with AH in IV and ICV or what it carries."""
    packet = bytearray(packet)
    packet[turn.randrange(off + (12 if sa.proto == ip.AH else 8), len(packet))] ^= \
        1 << turn.randrange(8)
    return bytes(packet)


def they_seal(box, tally, judge, work):
    """The last packet of the burst has a bit turned: it alone must fall."""
    sa, turn = work.sa, random.Random(work.number)
    sealed = [judge.seal(sa, packet, work.seq + i, iv_for(sa, work.seq + i, turn))
              for i, packet in enumerate(work.packets)]
    off = header_offset(sa, sealed[0])
    sealed[-1] = damaged(sa, sealed[-1], off, turn)
    for backend in BACKENDS:
        what = "%s: %s seals, we open" % (work.group, judge.name)
        answers = box.ask(sa, "in", backend, work.seq, sealed, off=off)
        for (reason, got), wanted in zip(answers[:-1], work.packets[:-1]):
            tally.add(what, (reason, got) == ("opened", wanted),
                      "%s, %s: %s\n got    %s\n wanted %s" %
                      (work.name, backend, reason, got.hex(), wanted.hex()))
        tally.add("%s: nothing opens with a bit of the packet turned" % work.group,
                  answers[-1][0] == "icv", "%s, %s: %s" % (work.name, backend, answers[-1][0]))
    if judge is JUDGES[sa.proto][0]:
        wrong_key(box, tally, work, sealed[:-1], off)


def wrong_key(box, tally, work, sealed, off):
    """One bit of the key that authenticates (and with AEADs of the salt): nothing opens."""
    right, turn = work.sa.key, random.Random(work.number)
    key = bytearray(right)
    key[turn.randrange(len(key) - work.sa.algorithm.auth_key if work.sa.algorithm.auth_key else 0,
                       len(key))] ^= 1 << turn.randrange(8)
    work.sa.key = bytes(key)
    backend = BACKENDS[work.number % len(BACKENDS)]
    answers = box.ask(work.sa, "in", backend, work.seq, sealed, off=off)
    work.sa.key = right
    for reason, _ in answers:
        tally.add("%s: nothing opens with a bit of the key turned" % work.group, reason == "icv",
                  "%s, %s: %s" % (work.name, backend, reason))


def we_seal(box, tally, work):
    sa = work.sa
    for backend in BACKENDS:
        sent = box.ask(sa, "out", backend, work.seq, work.packets, local=not sa.tunnel)
        for i, (packet, (reason, got)) in enumerate(zip(work.packets, sent)):
            if reason == "sealed":
                wanted = ip.forwarded(packet) if sa.tunnel else packet
                judged(tally, work, backend, got, wanted, work.seq + i)
            else:
                tally.add("%s: we seal" % work.group, False, "%s, %s: %s" %
                          (work.name, backend, reason))


def judged(tally, work, backend, got, wanted, seq):
    """Byte for byte what the first judge makes, its IV given; and what all of them make of it."""
    sa, judges = work.sa, JUDGES[work.sa.proto]
    at = header_offset(sa, got) + (12 if sa.proto == ip.AH else 8)
    made = judges[0].seal(sa, wanted, seq, got[at:at + sa.algorithm.iv])
    what = "%s: we seal, byte for byte what %s makes" % (work.group, judges[0].name)
    tally.add(what, got == made, "%s, %s\n got    %s\n wanted %s" % (work.name, backend, got.hex(), made.hex()))
    for judge in judges:
        if judge.refuses(sa, work.shape, sealing=False):
            continue
        try:
            found = judge.open(sa, got, seq)
        except Refused as why:
            found = str(why).encode()
        tally.add("%s: we seal, %s opens" % (work.group, judge.name), found == wanted,
                  "%s, %s\n got    %s\n wanted %s" %
                  (work.name, backend, found.hex(), wanted.hex()))


def one_algorithm(name):
    box, tally = Box(), Tally()
    for work in combinations(ALGORITHMS[name]):
        for judge in JUDGES[work.sa.proto]:
            for sealing in (True, False):
                why = judge.refuses(work.sa, work.shape, sealing)
                if why:
                    tally.skipped["%s %s" % (judge.name, why), sealing] += 1
            if not judge.refuses(work.sa, work.shape, sealing=True):
                they_seal(box, tally, judge, work)
        tally.combinations += 1
        if work.sa.proto == ip.AH and work.sa.family == 4:
            they_seal(box, tally, PlainAhOfLinux(), work)
        we_seal(box, tally, work)
    if box.close():
        tally.add("%s: espbox ends well" % name, False, "it did not")
    return tally


def tell(tally):
    for what in sorted(set(tally.good) | set(tally.wrong)):
        if what not in tally.wrong:
            print("ok - %s: %d packets" % (what, tally.good[what]))
            continue
        wrong = tally.wrong[what]
        print("not ok - %s: %d of %d packets" % (what, len(wrong), len(wrong) + tally.good[what]))
        for why in wrong[:3]:
            print("\n".join("# " + line for line in why.splitlines()))
    print("# %d combinations, each judged by python3-cryptography both ways; not by others:" %
          tally.combinations)
    for (why, sealing), count in sorted(tally.skipped.items()):
        print("# %5d %s: %s" % (count, "seals" if sealing else "opens", why))


def main():
    total = Tally()
    names = sys.argv[1:] or list(ALGORITHMS)
    total.add("judges: the published vector of GMAC", gmac_vector(), "another tag")
    total.add("judges know every algorithm", sorted(of_product()) == sorted(ALGORITHMS),
              "%s" % sorted(set(of_product()) ^ set(ALGORITHMS)))
    with multiprocessing.Pool() as pool:
        for tally in pool.imap_unordered(one_algorithm, names):
            total.merge(tally)
    tell(total)
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
