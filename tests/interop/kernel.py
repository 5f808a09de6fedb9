#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""ESP and AH between the worker's own code and the running kernel's XFRM, in a network namespace of
its own: every algorithm × mode × families × ESN × UDP encapsulation that the kernel has.

    kernel.py opens|seals [ALGORITHM...]

opens: we seal, and the kernel must hand on the very packet; a bit turned, or a packet twice, and it
must not. seals: the kernel seals, and each of our backends must open the very packet.
"""
import random
import sys

from judges import ip
from judges import kernel_peer as kernel
from judges.algorithms import ALGORITHMS
from judges.box import BACKENDS, Box
from judges.cases import ADDRESS, INNER
from judges.combination import combinations, damaged, header_offset
from judges.tally import Tally

FORWARD = """link set lo up
address add %s/32 dev lo
address add %s/128 dev lo nodad
route add default dev black
route add ::/0 dev black"""
RED = """route add %s dev red
route add %s dev red""" % (INNER[4][1], INNER[6][1])
# What came out of a tunnel, ESP or AH, may be forwarded.
ANY_IN = ["xfrm policy add src %s dst %s dir fwd tmpl proto esp mode tunnel level use "
          "tmpl proto ah mode tunnel level use" % (net, net) for net in ("0.0.0.0/0", "::/0")]


def setting(path, value):
    with open("/proc/sys/net/" + path, "w", encoding="ascii") as file:
        file.write(value)


def network(own):
    """This host has the outer addresses number `own`; what it forwards goes to red."""
    setting("ipv6/conf/all/forwarding", "1")
    setting("ipv4/ip_forward", "1")
    for where in "all", "default":
        setting("ipv4/conf/%s/rp_filter" % where, "0")
        setting("ipv4/conf/%s/send_redirects" % where, "0")
    setting("ipv6/conf/default/accept_dad", "0")
    setting("ipv6/conf/default/addr_gen_mode", "1")  # no link-local address, nothing of its own
    black, red = kernel.Tun("black"), kernel.Tun("red")
    kernel.ip_batch((FORWARD % (ADDRESS[4][own], ADDRESS[6][own])).splitlines())
    kernel.ip_batch(RED.splitlines())
    return black, red


def works_of(name, tally):
    """Those that the kernel can do; the others are counted."""
    for work in combinations(ALGORITHMS[name]):
        tally.combinations += 1
        why = kernel.refuses(work.sa)
        if why:
            tally.skipped["%s: Linux %s" % (work.group, why)] += 1
        else:
            yield work


# ---------------------------------------------------------------- we seal, the kernel opens

def like(packet, family):
    """What of a packet a raw socket shows, but options that every receiver writes into."""
    if family == 6:
        return packet[ip.find(packet, ip.UDP)[0]:]
    return packet[:2] + packet[4:10] + packet[12:20] + packet[(packet[0] & 15) * 4:]


# xfrm6_udp_encap_rcv() counts from the UDP header and wants room for an IPv6 header, too.
LOST = "Linux loses ESP in UDP over IPv6 below 40 bytes of ESP"


class Opens:
    def __init__(self):
        self.black, self.red = network(1)
        self.held = kernel.encapsulation_sockets()
        self.datagrams = {family: kernel.Datagrams(family) for family in (4, 6)}
        kernel.ip_batch(ANY_IN)

    def prepare(self, works):
        kernel.ip_batch([kernel.state_command(work.sa, work.number, True, work.seq)
                         for work in works])

    def run(self, box, tally, work):
        sa, backend = work.sa, BACKENDS[work.number % len(BACKENDS)]
        sent = box.ask(sa, "out", backend, work.seq, work.packets, local=not sa.tunnel)
        if any(reason != "sealed" for reason, _ in sent):
            tally.add("%s: we seal" % work.group, False, "%s, %s" % (work.name, backend))
            return
        wanted = [self.handed_on(sa, packet) for packet in work.packets]
        sent = [packet for _, packet in sent]
        if sa.udp and sa.family == 6:
            lost = [i for i, packet in enumerate(sent) if len(packet) - ip.place(packet)[0] < 48]
            tally.skipped["packets: " + LOST] += len(lost)
            sent = [packet for i, packet in enumerate(sent) if i not in lost]
            wanted = [packet for i, packet in enumerate(wanted) if i not in lost]
        source = self.red if sa.tunnel else self.datagrams[work.shape.inner]
        self.refused(tally, work, source, sent)
        for packet in sent:
            self.black.send(packet)
        got = kernel.receive_all(source, len(sent))
        if not sa.tunnel and sa.family == 4:
            got = [like(packet, 4) for packet in got]
        # A cipher that works elsewhere lets one overtake another.
        tally.add_all("%s: we seal, the kernel opens" % work.group, work.name + ", " + backend,
                      sorted(got), sorted(wanted))
        self.twice(tally, work, source, sent)

    @staticmethod
    def handed_on(sa, packet):
        return ip.forwarded(ip.forwarded(packet)) if sa.tunnel else like(packet, sa.family)

    def refused(self, tally, work, source, sent):
        """Before the good one, so that the window has no say in it."""
        off = header_offset(work.sa, sent[-1])
        bad = damaged(work.sa, sent[-1], off, random.Random(work.number))
        if work.sa.udp and work.sa.family == 6:
            bad = ip.udp6_finish(bad, off - 8)  # UDP's own sum does not give it away
        name = "XfrmInStateProtoError"
        before = kernel.statistics()[name]
        self.black.send(bad)
        tally.add("%s: the kernel refuses a bit turned" % work.group,
                  self.counted(name, before) and kernel.silent(source),
                  "%s\n %s" % (work.name, bad.hex()))

    def twice(self, tally, work, source, sent):
        name = "XfrmInStateSeqError"
        before = kernel.statistics()[name]
        self.black.send(sent[0])
        tally.add("%s: the kernel refuses a packet twice" % work.group,
                  self.counted(name, before) and kernel.silent(source), work.name)

    @staticmethod
    def counted(name, before):
        """A cipher that works elsewhere answers a moment later."""
        for _ in range(200):
            if kernel.statistics()[name] == before + 1:
                return True
            kernel.moment()
        return False


# ---------------------------------------------------------------- the kernel seals, we open

class Seals:
    def __init__(self):
        self.black, _ = network(0)
        self.sender = kernel.Sender()

    def prepare(self, works):
        kernel.ip_batch([kernel.state_command(work.sa, work.number, False, work.seq)
                         for work in works] +
                        [kernel.policy_command(work.sa, work.number, work.shape.inner)
                         for work in works])

    def run(self, box, tally, work):
        for packet in work.packets:
            self.sender.send(packet, work.number)
        sealed = kernel.receive_all(self.black, len(work.packets))
        if len(sealed) != len(work.packets):
            tally.add("%s: the kernel seals" % work.group, False,
                      "%s: %d packets came, of %d" % (work.name, len(sealed), len(work.packets)))
            return
        off = header_offset(work.sa, sealed[0])
        sealed.sort(key=lambda packet: self.number_of(work.sa, packet, off, work.seq))
        for backend in BACKENDS:
            answers = box.ask(work.sa, "in", backend, work.seq, sealed, off=off)
            tally.add_all("%s: the kernel seals, we open" % work.group,
                          work.name + ", " + backend,
                          [packet if reason == "opened" else reason.encode()
                           for reason, packet in answers], work.packets)

    @staticmethod
    def number_of(sa, packet, off, first):
        """As far behind the first as it is: 32 bits travel."""
        at = off + (8 if sa.proto == ip.AH else 4)
        return (int.from_bytes(packet[at:at + 4], "big") - first) & 0xFFFFFFFF


def main():
    side = {"opens": Opens, "seals": Seals}[sys.argv[1]]()
    tally, box = Tally(), Box()
    for name in sys.argv[2:] or list(ALGORITHMS):
        works = list(works_of(name, tally))
        if works:
            side.prepare(works)
            for work in works:
                side.run(box, tally, work)
            kernel.forget_states(side.__class__ is Seals)
    if box.close():
        tally.add("espbox ends well", False, "it did not")
    tally.tell()
    tally.tell_skipped("not judged by the kernel (%s)" % sys.argv[1])
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
