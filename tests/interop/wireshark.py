#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Wireshark's dissectors on packets that the worker's own code sealed: every algorithm × mode ×
families × UDP encapsulation × backend. One tshark reads them all. Of the algorithms that it knows
it has the keys, decrypts and verifies; of the others, and of AH, it reads the headers.

    wireshark.py [ALGORITHM...]
"""
import os
import random
import struct
import subprocess
import sys
import tempfile

from judges import cases, ip
from judges.algorithms import ALGORITHMS
from judges.box import BACKENDS, Box
from judges.combination import combinations, damaged, header_offset
from judges.tally import Tally

CIPHER = {"gcm": "AES-GCM with 16 octet ICV [RFC4106]", "cbc": "AES-CBC [RFC3602]",
          "ctr": "AES-CTR [RFC3686]", "null": "NULL"}
HMAC = {0: "NULL", 256: "HMAC-SHA-256-128 [RFC4868]", 384: "HMAC-SHA-384-192 [RFC4868]",
        512: "HMAC-SHA-512-256 [RFC4868]"}
FIELDS = ("esp.spi", "esp.sequence", "esp.icv_good", "esp.contained_data", "ah.spi", "ah.sequence",
          "ah.length", "ip.checksum.status", "udp.checksum.status", "data.data")
# Without the guesses at what random payloads could be: where one of them fails, Wireshark leaves
# the ICV of the ESP around it without a verdict.
NO_GUESS = "udp.port==%d,data" % cases.PORTS[1]
RAW_IP = 101  # the pcap's link type
GOOD = "1"
NO_CHECKSUM = "3"


def does_not_know(sa):
    """None, or why Wireshark 4.0 cannot decrypt."""
    if sa.proto == ip.AH:
        return "ah: verifies no ICV"
    if sa.algorithm.kind not in CIPHER:
        return "esp: knows no %s" % sa.algorithm.kind
    if sa.algorithm.implicit_iv:
        return "esp: knows no implicit IV"
    return "esp: knows no ESN" if sa.esn else None


def table_row(sa):
    """Of Wireshark's table of SAs."""
    key, salt, auth_key = sa.algorithm.key_parts(sa.key)
    values = ("IPv%d" % sa.family, sa.src, sa.dst, "0x%08x" % sa.spi, CIPHER[sa.algorithm.kind],
              "0x" + (key + salt).hex() if key else "", HMAC[sa.algorithm.hash_bits],
              "0x" + auth_key.hex() if auth_key else "")
    return ",".join('"%s"' % value for value in values) + "\n"


class Sent:
    """A packet, what is in it, and whether it was damaged."""

    def __init__(self, work, number, packet, bad=False):
        self.work, self.packet, self.bad = work, packet, bad
        self.seq = work.seq + number
        inner = work.packets[number]
        off, _ = ip.place(inner)
        if not work.sa.tunnel:
            self.carried = inner[off:]
        else:
            self.carried = ip.forwarded(inner)
        self.datagram = inner[ip.find(inner, ip.UDP)[0] + 8:]


def seal_all(names, tally):
    box, sent, rows, spi = Box(), [], [], 0x1000
    for work in (work for name in names for work in combinations(ALGORITHMS[name])):
        sa, turn = work.sa, random.Random(work.number)
        sa.spi = spi = spi + 1
        tally.combinations += 1
        why = does_not_know(sa)
        if why:
            tally.skipped[why] += 1
        else:
            rows.append(table_row(sa))
        for backend in BACKENDS:
            answers = box.ask(sa, "out", backend, work.seq, work.packets, local=not sa.tunnel)
            for i, (reason, packet) in enumerate(answers):
                tally.add("%s: is sealed" % work.group, reason == "sealed",
                          work.name + ": " + reason)
                sent.append(Sent(work, i, packet))
        if not why:
            off = header_offset(sa, sent[-1].packet)
            sent.append(Sent(work, i, damaged(sa, sent[-1].packet, off, turn), bad=True))
    box.close()
    return sent, rows


def dissect(sent, rows):
    """One line of fields for each packet."""
    with tempfile.TemporaryDirectory(prefix="xipsec-wireshark.") as folder:
        with open(os.path.join(folder, "esp_sa"), "w", encoding="ascii") as table:
            table.writelines(rows)
        pcap = os.path.join(folder, "sealed.pcap")
        with open(pcap, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP))
            for one in sent:
                length = len(one.packet)
                file.write(struct.pack("<IIII", 0, 0, length, length) + one.packet)
        command = ["tshark", "-n", "-r", pcap, "-T", "fields", "-E", "separator=|",
                   "-d", NO_GUESS]
        for wish in ("esp.enable_encryption_decode", "esp.enable_authentication_check",
                     "ip.check_checksum", "udp.check_checksum"):
            command += ["-o", wish + ":TRUE"]
        for field in FIELDS:
            command += ["-e", field]
        found = subprocess.run(command, env={**os.environ, "WIRESHARK_CONFIG_DIR": folder},
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return [dict(zip(FIELDS, line.split("|"))) for line in found.stdout.decode().splitlines()]


def judge_headers(tally, one, fields):
    sa, group = one.work.sa, one.work.group
    proto = "ah" if sa.proto == ip.AH else "esp"
    number = (fields[proto + ".spi"], fields[proto + ".sequence"])
    wanted = ("0x%08x" % sa.spi, "%d" % (one.seq & 0xFFFFFFFF))
    tally.add("%s: wireshark finds SPI and number" % group, number == wanted,
              "%s: %s, not %s" % (one.work.name, number, wanted))
    # Only the outer headers of what is encrypted, all of what is not.
    sums = fields["ip.checksum.status"].split(",") + fields["udp.checksum.status"].split(",")
    fine = {GOOD, "", NO_CHECKSUM} if sa.udp and sa.family == 4 else {GOOD, ""}
    tally.add("%s: wireshark finds all checksums right" % group, set(sums) <= fine,
              "%s: %s\n %s" % (one.work.name, sums, one.packet.hex()))


def judge(tally, one, fields):
    work = one.work
    if one.bad:
        tally.add("%s: wireshark finds fault with a bit turned" % work.group,
                  fields["esp.icv_good"] != GOOD, "%s\n %s" % (work.name, one.packet.hex()))
        return
    judge_headers(tally, one, fields)
    if work.sa.proto == ip.AH:
        tally.add("%s: wireshark finds what is behind" % work.group,
                  fields["data.data"] == one.datagram.hex(),
                  "%s\n got    %s\n wanted %s" %
                  (work.name, fields["data.data"], one.datagram.hex()))
    elif not does_not_know(work.sa):
        got = fields["esp.icv_good"], fields["esp.contained_data"]
        tally.add("%s: wireshark verifies and decrypts" % work.group,
                  got == (GOOD, one.carried.hex()),
                  "%s\n got    %s %s\n wanted 1 %s" % (work.name, *got, one.carried.hex()))


def main():
    tally = Tally()
    sent, rows = seal_all(sys.argv[1:] or list(ALGORITHMS), tally)
    lines = dissect(sent, rows)
    tally.add("wireshark reads every packet", len(lines) == len(sent),
              "%d lines of %d packets" % (len(lines), len(sent)))
    for one, fields in zip(sent, lines):
        judge(tally, one, fields)
    tally.tell()
    tally.tell_skipped("of these wireshark reads headers alone in")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
