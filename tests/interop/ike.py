#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""iked's messages, as ikebox writes them, before judges that share no code with it: Wireshark
dissects each without a fault and decrypts with the key log (all but ChaCha20, which 4.0 lacks),
python3-cryptography opens all and seals what ikebox must open, Scapy reads those in the clear."""
import hashlib
import hmac
import os
import struct
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from judges.tally import Tally

BOX = os.path.join(os.environ["BUILD"], "tests", "tools", "ikebox")
RAW_IP, HEADER, SK, SKF = 101, 28, 46, 53
INITIATOR = 8
# (cipher, key bytes, hash of integrity, hash of the prf), in the order of ikebox's suites.
SUITES = (("gcm", 16, None, "sha256"), ("gcm", 32, None, "sha384"), ("chacha", 32, None, "sha256"),
          ("cbc", 16, "sha256", "sha256"), ("cbc", 32, "sha384", "sha384"),
          ("cbc", 32, "sha512", "sha512"))


class Keys:
    """RFC 7296 2.14 once more: of the letters that ikebox takes for nonces and secret."""

    def __init__(self, suite):
        self.cipher, bits, integ, prf = SUITES[suite]
        self.integ = integ
        n = hashlib.new(prf).digest_size
        a = hashlib.new(integ).digest_size if integ else 0
        e = bits + (4 if self.cipher != "cbc" else 0)
        nonces = b"0123456789abcdef" + b"fedcba9876543210"
        seed = hmac.new(nonces, b"a secret of thirty-two letters..", prf).digest()
        salt = nonces + struct.pack(">QQ", 0x1000 + suite, 0x2000 + suite)
        stream = block = b""
        for number in range(1, 16):
            block = hmac.new(seed, block + salt + bytes([number]), prf).digest()
            stream += block
        self.auth = stream[n:n + a], stream[n + a:n + 2 * a]
        at = n + 2 * a
        self.encr = stream[at:at + e], stream[at + e:at + 2 * e]

    def aead(self, way):
        key = self.encr[way][:-4]
        return AESGCM(key) if self.cipher == "gcm" else ChaCha20Poly1305(key)

    def cbc(self, way, iv):
        return Cipher(algorithms.AES(self.encr[way]), modes.CBC(iv))

    def icv(self, way, data):
        digest = hmac.new(self.auth[way], data, self.integ).digest()
        return digest[:len(digest) // 2]

    def open(self, packet):
        """The text, or an exception."""
        way = 0 if packet[19] & INITIATOR else 1
        at = HEADER + 4 + (4 if packet[16] == SKF else 0)
        if self.cipher != "cbc":
            nonce = self.encr[way][-4:] + packet[at:at + 8]
            text = self.aead(way).decrypt(nonce, packet[at + 8:], packet[:at])
        else:
            size = len(self.icv(way, b""))
            if self.icv(way, packet[:-size]) != packet[-size:]:
                raise ValueError("ICV")
            one = self.cbc(way, packet[at:at + 16]).decryptor()
            text = one.update(packet[at + 16:-size]) + one.finalize()
        return text[:-1 - text[-1]]

    def seal(self, suite, flags, first, text, padding):
        """An SK message of our own, padded as we like."""
        way = 0 if flags & INITIATOR else 1
        iv = os.urandom(16 if self.cipher == "cbc" else 8)
        inside = text + os.urandom(padding) + bytes([padding])
        size = 16 if self.cipher != "cbc" else len(self.icv(way, b""))
        length = 4 + len(iv) + len(inside) + size
        head = struct.pack(">QQBBBBII", 0x1000 + suite, 0x2000 + suite, SK, 0x20, 37, flags, 9,
                           HEADER + length) + struct.pack(">BBH", first, 0, length)
        if self.cipher != "cbc":
            return head + iv + self.aead(way).encrypt(self.encr[way][-4:] + iv, inside, head)
        one = self.cbc(way, iv).encryptor()
        whole = head + iv + one.update(inside) + one.finalize()
        return whole + self.icv(way, whole)


class Message:
    """A line of ikebox."""

    def __init__(self, words):
        self.sealed = words[0] == "SEALED"
        self.suite = int(words[1]) if self.sealed else None
        rest = words[2:] if self.sealed else words[1:]
        self.name = rest[0]
        self.types = [] if rest[1] == "-" else rest[1].split(",")
        self.text = bytes.fromhex("" if not self.sealed or rest[2] == "-" else rest[2])
        self.packets = [bytes.fromhex(word) for word in rest[3 if self.sealed else 2:]]


def written():
    """Messages, and the lines of the key log."""
    output = subprocess.run([BOX, "write"], stdout=subprocess.PIPE, check=True).stdout.decode()
    messages, log = [], []
    for line in output.splitlines():
        if line.startswith("KEYS "):
            log.append(line[5:] + "\n")
        else:
            messages.append(Message(line.split(" ")))
    return messages, log


# ---------------------------------------------------------------- Wireshark

def datagram(packet):
    """IPv4 and UDP around it; from the initiator or to it."""
    ends = (b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02")
    src, dst = ends if packet[19] & INITIATOR else ends[::-1]
    udp = struct.pack(">HHHH", 500, 500, 8 + len(packet), 0) + packet
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + src + dst + udp


FIELDS = ("isakmp.typepayload", "isakmp.enc.decrypted", "_ws.malformed", "_ws.expert.message",
          "isakmp.exchangetype")


def dissect(packets, log):
    with tempfile.TemporaryDirectory(prefix="xipsec-ike.") as folder:
        with open(os.path.join(folder, "ikev2_decryption_table"), "w", encoding="ascii") as table:
            table.writelines(log)
        pcap = os.path.join(folder, "ike.pcap")
        with open(pcap, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP))
            for packet in packets:
                frame = datagram(packet)
                file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
        command = ["tshark", "-n", "-r", pcap, "-T", "fields", "-E", "separator=|",
                   "-E", "occurrence=a"]
        for field in FIELDS:
            command += ["-e", field]
        found = subprocess.run(command, env={**os.environ, "WIRESHARK_CONFIG_DIR": folder},
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return [dict(zip(FIELDS, line.split("|"))) for line in found.stdout.decode().splitlines()]


# Proposals and transforms are payloads of types 2 and 3 to Wireshark.
INSIDE_SA = ("2", "3")
UNKNOWN_CIPHER = 2


def payloads(fields):
    return [t for t in fields["isakmp.typepayload"].split(",") if t and t not in INSIDE_SA]


def judge_wireshark(tally, messages, log):
    packets = [packet for one in messages for packet in one.packets]
    lines = dissect(packets, log)
    tally.add("wireshark reads every message", len(lines) == len(packets),
              "%d lines of %d packets" % (len(lines), len(packets)))
    at = 0
    for one in messages:
        mine = lines[at:at + len(one.packets)]
        at += len(one.packets)
        for fields in mine:
            fault = fields["_ws.malformed"] + fields["_ws.expert.message"]
            tally.add("wireshark finds no fault", not fault, "%s: %s" % (one.name, fault))
        if not mine:
            continue
        if not one.sealed:
            tally.add("wireshark finds the payloads in the clear",
                      payloads(mine[0]) == one.types, "%s: %s" % (one.name, mine[0]))
        elif one.suite == UNKNOWN_CIPHER:
            tally.skipped["wireshark 4.0 knows no ChaCha20-Poly1305 of IKE"] += 1
        elif len(one.packets) == 1:
            tally.add("wireshark decrypts with the key log, and finds the payloads",
                      payloads(mine[0])[1:] == one.types,
                      "%s of suite %d: %s" % (one.name, one.suite, mine[0]))
        else:
            tally.add("wireshark puts fragments together, and finds the payloads",
                      [t for t in payloads(mine[-1]) if t != str(SKF)] == one.types,
                      "%s of suite %d: %s" % (one.name, one.suite, mine[-1]))


def judge_control(tally, messages, log):
    """It does find fault with a message whose lengths are wrong, and with other keys."""
    one = next(m for m in messages if not m.sealed)
    bad = bytearray(one.packets[0])
    bad[HEADER + 3] += 1
    lines = dissect([bytes(bad)], log)
    tally.add("control: wireshark finds fault with a wrong length",
              lines and (lines[0]["_ws.malformed"] or lines[0]["_ws.expert.message"]),
              str(lines))
    one = next(m for m in messages if m.sealed)
    lines = dissect(one.packets, [line.replace(line[34:44], "0123456789") for line in log])
    tally.add("control: wireshark decrypts nothing with other keys",
              payloads(lines[0])[1:] != one.types, str(lines))


# ---------------------------------------------------------------- python3-cryptography

def judge_sealed(tally, messages):
    for one in messages:
        if not one.sealed:
            continue
        keys, text = Keys(one.suite), b""
        try:
            text = b"".join(keys.open(packet) for packet in one.packets)
        except Exception as error:  # pylint: disable=broad-except
            text = repr(error).encode()
        tally.add("python3-cryptography opens what we seal", text == one.text,
                  "%s of suite %d: %r" % (one.name, one.suite, text))
        for number, packet in enumerate(one.packets):
            if len(one.packets) > 1:
                tally.add("fragments are numbered and no longer than asked for",
                          len(packet) <= 600 and struct.unpack(">HH", packet[32:36]) ==
                          (number + 1, len(one.packets)), "%s: %d" % (one.name, len(packet)))


def judge_opening(tally):
    """Of every suite, both directions, all paddings that fit."""
    asked = []
    for suite, (cipher, _, _, _) in enumerate(SUITES):
        for flags in (INITIATOR, 0):
            for length in range(0, 40):
                text = os.urandom(length)
                padding = (-length - 1) % 16 + 16 * (length % 3) if cipher == "cbc" else length % 5
                packet = Keys(suite).seal(suite, flags, 43, text, padding)
                asked.append((suite, packet, text.hex() or "-"))
                bad = bytearray(packet)
                bad[length % len(packet)] ^= 1 << length % 8
                if bad[16] == SK and bad[17] >> 4 == 2:
                    asked.append((suite, bytes(bad), None))
    lines = "".join("%d %s\n" % (suite, packet.hex()) for suite, packet, _ in asked)
    answers = subprocess.run([BOX, "open"], input=lines.encode(), stdout=subprocess.PIPE,
                             check=True).stdout.decode().splitlines()
    tally.add("every message is answered", len(answers) == len(asked), "%d of %d" %
              (len(answers), len(asked)))
    for (suite, packet, text), answer in zip(asked, answers):
        if text is None:
            tally.add("we refuse what was changed on the way", answer == "refused",
                      "suite %d: %s" % (suite, packet.hex()))
        else:
            tally.add("we open what python3-cryptography seals", answer == text,
                      "suite %d: %s, not %s" % (suite, answer, text))


# ---------------------------------------------------------------- Scapy

def judge_scapy(tally, messages):
    from scapy.contrib import ikev2  # pylint: disable=import-outside-toplevel
    from scapy.packet import Raw  # pylint: disable=import-outside-toplevel
    # Its classes have a field of their own for the type of the next one.
    for one in messages:
        if one.sealed:
            continue
        packet = ikev2.IKEv2(one.packets[0])
        types, layer = [], packet
        while hasattr(layer, "next_payload") and layer.next_payload:
            types.append(str(layer.next_payload))
            layer = layer.payload
        tally.add("scapy finds the payloads in the clear", types == one.types,
                  "%s: %s, not %s" % (one.name, types, one.types))
        tally.add("scapy finds every byte in a payload", not packet.haslayer(Raw), one.name)
        key = packet.getlayer(ikev2.IKEv2_payload_KE)
        tally.add("scapy finds nonce and key",
                  packet.getlayer(ikev2.IKEv2_payload_Nonce).load ==
                  b"0123456789abcdef" * 2 and key.length == 8 + len(key.load), one.name)


def main():
    tally = Tally()
    messages, log = written()
    judge_wireshark(tally, messages, log)
    judge_control(tally, messages, log)
    judge_sealed(tally, messages)
    judge_opening(tally)
    judge_scapy(tally, messages)
    tally.tell()
    tally.combinations = len(messages)
    tally.tell_skipped("of these wireshark does not decrypt")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
