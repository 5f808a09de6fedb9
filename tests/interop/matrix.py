#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""ESP and AH: every algorithm × mode × families × ESN × UDP encapsulation × backend, against
judges: they seal, we open; we seal, they open. What a judge cannot do is counted and told.

    matrix.py [ALGORITHM...]
"""
import multiprocessing
import random
import sys

from judges import ip
from judges.algorithms import ALGORITHMS, of_product
from judges.box import BACKENDS, Box
from judges.combination import combinations, damaged, header_offset
from judges.plain import Plain, Refused, gmac_vector
from judges.plain_ah import PlainAh, PlainAhOfLinux
from judges.scapy_peer import Scapy
from judges.tally import Tally

# The first one judges everything.
JUDGES = {ip.ESP: (Plain(), Scapy()), ip.AH: (PlainAh(), Scapy())}


def iv_for(sa, seq, turn):
    return seq.to_bytes(8, "big") if sa.algorithm.iv == 8 else turn.randbytes(sa.algorithm.iv)


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
    tally.add(what, got == made, "%s, %s\n got    %s\n wanted %s" %
              (work.name, backend, got.hex(), made.hex()))
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
                    verb = "seal" if sealing else "open"
                    tally.skipped["%s to %s: %s %s" % (work.proto_name, verb, judge.name, why)] += 1
            if not judge.refuses(work.sa, work.shape, sealing=True):
                they_seal(box, tally, judge, work)
        tally.combinations += 1
        if work.sa.proto == ip.AH and work.sa.family == 4:
            they_seal(box, tally, PlainAhOfLinux(), work)
        we_seal(box, tally, work)
    if box.close():
        tally.add("%s: espbox ends well" % name, False, "it did not")
    return tally


def main():
    total = Tally()
    names = sys.argv[1:] or list(ALGORITHMS)
    total.add("judges: the published vector of GMAC", gmac_vector(), "another tag")
    total.add("judges know every algorithm", sorted(of_product()) == sorted(ALGORITHMS),
              "%s" % sorted(set(of_product()) ^ set(ALGORITHMS)))
    with multiprocessing.Pool() as pool:
        for tally in pool.imap_unordered(one_algorithm, names):
            total.merge(tally)
    total.tell()
    total.tell_skipped("each judged by python3-cryptography both ways; not by others")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
