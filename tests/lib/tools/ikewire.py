# SPDX-License-Identifier: BSD-2-Clause
"""A peer of xipsec-iked that breaks every rule, by hand: what comes back, octet by octet, and what counts.

    ikewire.py PEER OWN VICI PSK            the cases below, a line each
    ikewire.py noise PEER OWN VICI PSK N    N messages like those, damaged at random; then an honest one
    ikewire.py short PEER OWN               what is too short for anything, to UDP 4500

RFC 7296 once more, in the shortest form: aes128gcm16-prfsha256-x25519 and a pre-shared key.
"""
import hashlib
import hmac
import os
import random
import re
import socket
import struct
import subprocess
import sys
import time

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

INIT, AUTH, CHILD, INFO = 34, 35, 36, 37
RESPONSE, INITIATOR = 0x20, 8
SA, KE, IDI, AUTH_PL, NONCE, NOTIFY, DELETE, TSI, TSR, SK, SKF = 33, 34, 35, 39, 40, 41, 42, 44, 45, 46, 53
CRITICAL, INVALID_IKE_SPI, MAJOR, SYNTAX, NO_PROPOSAL = 1, 4, 5, 7, 14
COOKIE, FRAGMENTS = 16390, 16430
NAME = b"gw2.example.org"
SUITE = ((1, 20, 128), (2, 5, None), (4, 31, None))
NOTHING = b""


def prf(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def payload(following, body, flags=0, length=None):
    return struct.pack(">BBH", following, flags, 4 + len(body) if length is None else length) + body


def chain(*payloads):
    """(type of the first, octets): each is (type, body) or (type, body, flags)."""
    out = b""
    for i, (_, body, *flags) in enumerate(payloads):
        out += payload(payloads[i + 1][0] if i + 1 < len(payloads) else 0, body, *flags)
    return (payloads[0][0] if payloads else 0), out


def header(spis, first, exchange, flags, ident, body, version=0x20, length=None):
    return struct.pack(">8s8sBBBBII", spis[0], spis[1], first, version, exchange, flags, ident,
                       28 + len(body) if length is None else length) + body


def plain(spis, exchange, flags, ident, *payloads, **how):
    first, body = chain(*payloads)
    return header(spis, first, exchange, flags, ident, body, **how)


def proposal(transforms, protocol=1, spi=b""):
    out = b""
    for i, (kind, number, bits) in enumerate(transforms):
        attribute = struct.pack(">HH", 0x800E, bits) if bits else b""
        out += struct.pack(">BBHBBH", 3 if i + 1 < len(transforms) else 0, 0, 8 + len(attribute),
                           kind, 0, number) + attribute
    return struct.pack(">BBHBBBB", 0, 0, 8 + len(spi) + len(out), 1, protocol, len(spi),
                       len(transforms)) + spi + out


def notify(kind, data=b""):
    return NOTIFY, struct.pack(">BBH", 0, 0, kind) + data


def notifies(first, text):
    """(type, data) of each notify of a chain."""
    out = []
    while first and len(text) >= 4:
        following, _, length = struct.unpack(">BBH", text[:4])
        if first == NOTIFY:
            out.append((struct.unpack(">H", text[6:8])[0], text[8 + text[5]:length]))
        first, text = following, text[length:]
    return out


class Wire:
    """UDP from our port to the peer's; on 4500 with the marker."""

    def __init__(self, peer, own, port):
        self.marker = bytes(4) if port == 4500 else b""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((own, port))
        self.socket.connect((peer, port))

    def send(self, message, marker=None):
        self.socket.send((self.marker if marker is None else marker) + message)

    def hear(self, wait):
        """None: nothing came."""
        self.socket.settimeout(wait)
        try:
            heard = self.socket.recv(65536)
        except socket.timeout:
            return None
        if heard[:len(self.marker)] != self.marker:
            raise ValueError("no marker: " + heard.hex())
        return heard[len(self.marker):]

    def ask(self, message, wait=3):
        """The answer; what the peer asks meanwhile is not heard."""
        self.send(message)
        while (heard := self.hear(wait)) and not heard[19] & RESPONSE:
            pass
        return heard


class Peer:
    """An IKE SA of ours, as far as it is: we began it."""

    def __init__(self, wire, psk):
        self.wire, self.psk = wire, psk
        self.key = X25519PrivateKey.generate()
        self.nonce, self.own = os.urandom(32), os.urandom(8)
        self.spis, self.iv, self.cookie = (self.own, bytes(8)), 0, []
        self.request = self.answer = self.keys = None

    def payloads(self, transforms=SUITE, public=None):
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) if public is None else public
        return self.cookie + [(SA, proposal(transforms)), (KE, struct.pack(">HH", 31, 0) + public),
                              (NONCE, self.nonce), notify(FRAGMENTS)]

    def init(self, *more, **how):
        self.request = plain(self.spis, INIT, INITIATOR, 0, *self.payloads(), *more, **how)
        return self.request

    def begin(self):
        """IKE_SA_INIT in earnest, with the cookie if one is wanted."""
        heard = self.wire.ask(self.init())
        if heard and heard[16] == NOTIFY and notifies(NOTIFY, heard[28:])[0][0] == COOKIE:
            self.cookie = [notify(COOKIE, notifies(NOTIFY, heard[28:])[0][1])]
            heard = self.wire.ask(self.init())
        if not heard or heard[16] != SA:
            raise ValueError("IKE_SA_INIT: %r" % heard)
        return self.take(heard)

    def take(self, heard):
        self.answer, self.spis = heard, (self.own, heard[8:16])
        first, text, found = heard[16], heard[28:], {}
        while first:
            following, _, length = struct.unpack(">BBH", text[:4])
            found[first] = text[4:length]
            first, text = following, text[length:]
        theirs, shared = found[NONCE], self.key.exchange(X25519PublicKey.from_public_bytes(found[KE][4:]))
        seed, stream, block = prf(self.nonce + theirs, shared), b"", b""
        for number in range(1, 8):
            block = prf(seed, block + self.nonce + theirs + self.spis[0] + self.spis[1] + bytes([number]))
            stream += block
        self.keys = {"ei": stream[32:52], "er": stream[52:72], "pi": stream[72:104], "nonce": theirs}
        return self

    def seal(self, exchange, ident, *payloads, flags=INITIATOR, fragment=None, damage=0, text=None):
        first, inside = chain(*payloads)
        inside = (inside if text is None else text) + b"\0"
        self.iv += 1
        iv = struct.pack(">Q", self.iv)
        parts = b"" if fragment is None else struct.pack(">HH", *fragment)
        size = 4 + len(parts) + 8 + len(inside) + 16
        head = header(self.spis, SK if fragment is None else SKF, exchange, flags, ident, b"",
                      length=28 + size) + struct.pack(">BBH", first, 0, size) + parts
        sealed = AESGCM(self.keys["ei"][:16]).encrypt(self.keys["ei"][16:] + iv, inside, head)
        return head + iv + sealed[:-1] + bytes([sealed[-1] ^ damage])

    def open(self, heard):
        """(type of the first, payloads)"""
        text = AESGCM(self.keys["er"][:16]).decrypt(self.keys["er"][16:] + heard[32:40], heard[40:], heard[:32])
        return heard[28], text[:-1 - text[-1]]

    def auth(self, ident=1, **how):
        identity = struct.pack(">BBH", 2, 0, 0) + NAME
        octets = self.request + self.keys["nonce"] + prf(self.keys["pi"], identity)
        mac = prf(prf(self.psk, b"Key Pad for IKEv2"), octets)
        return self.seal(AUTH, ident, (IDI, identity), (AUTH_PL, struct.pack(">BBH", 2, 0, 0) + mac), **how)

    def up(self):
        heard = self.begin().wire.ask(self.auth())
        if not heard or AUTH_PL not in types(*self.open(heard)):
            raise ValueError("IKE_AUTH: %r" % (heard and self.open(heard),))
        return self


def types(first, text):
    out = []
    while first and len(text) >= 4:
        out.append(first)
        first, text = text[0], text[struct.unpack(">H", text[2:4])[0]:]
    return out


class Judge:
    """Each message on its own: its answer, and every counter that it moved."""

    def __init__(self, vici):
        self.vici, self.wrong, self.last = vici, 0, None

    def counters(self):
        text = subprocess.run(["swanctl", "--counters", "--raw", "--uri", "unix://" + self.vici],
                              stdout=subprocess.PIPE, check=True).stdout.decode()
        found = {}
        for name, number in re.findall(r"([a-z0-9-]+)=(\d+)", text):
            found.setdefault(name, int(number))  # those of all connections come first
        return found

    def moved(self, before, wanted):
        """It may take a moment; what moved beside shows then, too."""
        for _ in range(50):
            now = self.counters()
            delta = {name: now[name] - before.get(name, 0) for name in now if now[name] != before.get(name, 0)}
            if all(delta.get(name) == wanted[name] for name in wanted):
                break
            time.sleep(0.05)
        self.last = now
        return delta

    def tell(self, name, faults):
        print("%sok - %s" % ("not " if faults else "", name))
        for fault in faults:
            print("# " + fault)
        self.wrong += bool(faults)
        sys.stdout.flush()

    def case(self, name, wire, message, want, *counters):
        """`want`: None, or a function that says what is wrong with the answer."""
        before, faults = self.last or self.counters(), []
        heard = wire.ask(message, 0.2 if want is None else 3)
        if want is None or heard is None:
            if (heard is None) != (want is None):
                faults.append("answer: %s" % (heard.hex() if heard else None))
        else:
            fault = want(heard)
            if fault:
                faults.append("answer: %s: %s" % (fault, heard.hex()))
        wanted = {word.split("*")[0]: int((word + "*1").split("*")[1]) for word in counters}
        moved = self.moved(before, wanted)
        if moved != wanted:
            faults.append("counted %r, not %r" % (moved, wanted))
        self.tell(name, faults)
        return heard


def told(spis, exchange, ident, kind, data=b"", flags=RESPONSE):
    """In the clear: the request's header, and one notify."""
    wanted = plain(spis, exchange, flags, ident, notify(kind, data))
    return lambda heard: None if heard == wanted else "not " + wanted.hex()


def inside(peer, exchange, ident, kind, data=b""):
    """Sealed: one notify; None: nothing."""
    def look(heard):
        head = header(peer.spis, SK, exchange, RESPONSE, ident, b"", length=len(heard))
        if heard[:28] != head:
            return "not " + head.hex()
        first, text = peer.open(heard)
        wanted = chain(notify(kind, data)) if kind else (0, b"")
        return None if (first, text) == wanted else "inside: %d %s" % (first, text.hex())
    return look


def answered(heard):
    return None if heard[16] == SA and heard[8:16] != bytes(8) and heard[18:20] == b"\x22\x20" else "no answer to it"


def strangers(judge, wire, psk):
    """Whoever sends these has no IKE SA with us."""
    spis, dead = (os.urandom(8), bytes(8)), (os.urandom(8), os.urandom(8))
    fresh = lambda: Peer(wire, psk)  # noqa: E731
    peer = fresh()
    body = chain(*peer.payloads())
    judge.case("IKEv1", wire, plain(spis, 2, 0, 0, (1, bytes(44)), version=0x10),
               told(spis, INFO, 0, MAJOR, b"\x20"), "in-ikev1")
    judge.case("IKEv1, aggressive mode, with all flags", wire,
               plain(dead, 4, 0xFF, 77, (1, bytes(44)), version=0x10),
               told(dead, INFO, 0, MAJOR, b"\x20"), "in-ikev1")
    judge.case("version 3", wire, plain(spis, INIT, INITIATOR, 5, version=0x30),
               told(spis, INIT, 5, MAJOR, b"\x20"), "invalid")
    judge.case("version 3, a response", wire, plain(spis, INIT, RESPONSE, 0, version=0x30), None, "invalid")
    judge.case("version 2.9", wire, fresh().init(version=0x29), answered, "ike-init-in-req", "ike-init-out-resp")
    judge.case("an unknown payload", wire, fresh().init((200, b"?")), answered,
               "ike-init-in-req", "ike-init-out-resp")
    judge.case("an unknown critical payload", wire, plain(spis, INIT, INITIATOR, 0, (200, b"?", 0x80)),
               told(spis, INIT, 0, CRITICAL, b"\xc8"), "invalid")
    for length in (0, 3, 5, 0xFFFF):
        judge.case("a payload of length %d" % length, wire,
                   header(spis, SA, INIT, INITIATOR, 0, payload(0, b"", length=length)),
                   told(spis, INIT, 0, SYNTAX), "invalid")
    judge.case("a chain that ends too early", wire, header(spis, *body[:1], INIT, INITIATOR, 0, body[1][:-3]),
               told(spis, INIT, 0, SYNTAX), "invalid")
    judge.case("a chain that goes on behind the end", wire, header(spis, body[0], INIT, INITIATOR, 0, body[1] + b"abc"),
               told(spis, INIT, 0, SYNTAX), "invalid")
    judge.case("an SA payload without a proposal", wire,
               plain(spis, INIT, INITIATOR, 0, (SA, b""), *peer.payloads()[1:]), told(spis, INIT, 0, SYNTAX), "invalid")
    judge.case("two SA payloads", wire, plain(spis, INIT, INITIATOR, 0, *peer.payloads(), (SA, proposal(SUITE))),
               told(spis, INIT, 0, SYNTAX), "invalid")
    judge.case("200 payloads", wire, plain(spis, INIT, INITIATOR, 0, *[notify(40000 + i) for i in range(200)]),
               told(spis, INIT, 0, SYNTAX), "invalid")
    for length in (0, 27, len(body[1]) + 29, 0x7FFFFFFF, 0xFFFFFFFF):
        judge.case("a header that says %d bytes" % length, wire,
                   header(spis, body[0], INIT, INITIATOR, 0, body[1], length=length), None, "invalid")
    for length in (0, 1, 16, 27):
        judge.case("%d bytes" % length, wire, peer.init()[:length], None, "invalid")
    judge.case("40000 bytes", wire, plain(spis, INIT, INITIATOR, 0, (43, bytes(39000))), None, "invalid")
    for name, message in (
            ("without an SPI", plain((bytes(8), bytes(8)), INIT, INITIATOR, 0, *peer.payloads())),
            ("with the SPI of an answer", plain(dead, INIT, INITIATOR, 0, *peer.payloads())),
            ("with message id 1", plain(spis, INIT, INITIATOR, 1, *peer.payloads())),
            ("not by the initiator", plain(spis, INIT, 0, 0, *peer.payloads()))):
        judge.case("IKE_SA_INIT " + name, wire, message, None, "ike-init-in-req", "in-unexpected")
    judge.case("IKE_SA_INIT, an answer that nobody asked for", wire,
               plain(dead, INIT, RESPONSE, 0, *peer.payloads()), None, "ike-init-in-resp", "in-unexpected")
    for name, payloads in (("without KE", [peer.payloads()[i] for i in (0, 2)]),
                           ("with half a key", peer.payloads(public=bytes(31))),
                           ("with a key of zeros", peer.payloads(public=bytes(32))),
                           ("sealed", [(SK, bytes(40))])):
        judge.case("IKE_SA_INIT " + name, wire, plain(spis, INIT, INITIATOR, 0, *payloads),
                   told(spis, INIT, 0, SYNTAX), "ike-init-in-req", "ike-init-out-resp", "invalid")
    judge.case("IKE_SA_INIT of 3DES", wire,
               plain(spis, INIT, INITIATOR, 0, *peer.payloads(((1, 3, None), (3, 2, None), (2, 2, None), (4, 31, None)))),
               told(spis, INIT, 0, NO_PROPOSAL), "ike-init-in-req", "ike-init-out-resp")
    for exchange in (AUTH, CHILD, INFO, 99):
        judge.case("exchange %d of an IKE SA that is none" % exchange, wire,
                   plain(dead, exchange, INITIATOR, 9, (SK, bytes(40))),
                   told(dead, exchange, 9, INVALID_IKE_SPI), "invalid-spi")
    judge.case("… by who did not begin it", wire, plain(dead, INFO, 0, 9, (SK, bytes(40))),
               told(dead, INFO, 9, INVALID_IKE_SPI, flags=RESPONSE | INITIATOR), "invalid-spi")
    judge.case("… as an answer", wire, plain(dead, INFO, INITIATOR | RESPONSE, 9, (SK, bytes(40))), None, "invalid-spi")
    judge.case("… of SPIs that are 0", wire, plain((bytes(8), bytes(8)), INFO, INITIATOR, 0, (SK, bytes(40))),
               told((bytes(8), bytes(8)), INFO, 0, INVALID_IKE_SPI), "invalid-spi")


def half_open(judge, wire, psk):
    """IKE_SA_INIT is done, nobody has shown who it is."""
    peer, judge.last = Peer(wire, psk).begin(), None
    for ident in (0, 2, 0x80000000, 0xFFFFFFFF):
        judge.case("IKE_AUTH with message id %d" % ident, wire, peer.auth(ident), None, "in-unexpected")
    judge.case("IKE_AUTH that is forged", wire, peer.auth(damage=1), None, "invalid")
    for number, total in ((0, 0), (0, 1), (1, 0), (3, 2), (65535, 1)):
        judge.case("fragment %d of %d" % (number, total), wire, peer.auth(fragment=(number, total)), None, "invalid")
    judge.case("fragment 1 of 65535", wire, peer.auth(fragment=(1, 65535)), None, "in-unexpected")
    judge.case("a fragment that is forged", wire, peer.auth(fragment=(1, 2), damage=1), None, "invalid")
    judge.case("a Delete in the clear", wire,
               plain(peer.spis, INFO, INITIATOR, 1, (DELETE, bytes((1, 0, 0, 0)))), None, "in-unexpected")
    judge.case("IKE_AUTH in the clear", wire,
               plain(peer.spis, AUTH, INITIATOR, 1, (IDI, b"\2\0\0\0" + NAME)), None, "in-unexpected")
    judge.case("another SPI of ours", wire, header((bytes(8), peer.spis[1]), SK, AUTH, INITIATOR, 1, payload(0, bytes(40))),
               None, "in-unexpected")
    judge.case("IKE_AUTH not by the initiator", wire, peer.auth(flags=0),
               told(peer.spis, AUTH, 1, INVALID_IKE_SPI, flags=RESPONSE | INITIATOR), "invalid-spi")
    judge.case("an answer that nobody asked for", wire, peer.seal(AUTH, 1, flags=INITIATOR | RESPONSE), None,
               "in-unexpected")
    judge.case("its own answer, sent back", wire, peer.answer, None, "ike-init-in-resp", "in-unexpected")
    judge.case("CREATE_CHILD_SA before IKE_AUTH", wire, peer.seal(CHILD, 1), None, "create-child-in-req", "in-unexpected")
    judge.case("it is up all the same", wire, peer.auth(),
               lambda heard: None if AUTH_PL in types(*peer.open(heard)) else "refused",
               "ike-auth-in-req", "ike-auth-out-resp")
    return peer


def established(judge, wire, peer):
    """Whoever sends these has shown who it is."""
    info = ("info-in-req", "info-out-resp")
    judge.case("IKE_AUTH once more", wire, peer.auth(2), None, "ike-auth-in-req", "in-unexpected")
    judge.case("an empty request", wire, request := peer.seal(INFO, 2), inside(peer, INFO, 2, None), *info)
    judge.case("the same again", wire, request, inside(peer, INFO, 2, None), "retransmit-in")
    judge.case("a number of before", wire, peer.seal(INFO, 1), None, "in-unexpected")
    judge.case("an unknown critical payload, sealed", wire, peer.seal(INFO, 3, (200, b"?", 0x80)),
               inside(peer, INFO, 3, CRITICAL, b"\xc8"), "invalid", *info)
    judge.case("INVALID_SPI of an SA that is none", wire, peer.seal(INFO, 4, notify(11, b"\1\2\3\4")),
               inside(peer, INFO, 4, None), *info)
    judge.case("INVALID_SPI of 3 bytes", wire, peer.seal(INFO, 5, notify(11, b"\1\2\3")), inside(peer, INFO, 5, None), *info)
    judge.case("a Delete of a child that is none", wire,
               peer.seal(INFO, 6, (DELETE, struct.pack(">BBHI", 3, 4, 1, 0x12345678))), inside(peer, INFO, 6, None), *info)
    judge.case("an exchange that is none", wire, peer.seal(99, 7), inside(peer, 99, 7, SYNTAX), "invalid", info[1])
    child = [(SA, proposal(((1, 20, 128), (5, 0, None)), 3, b"\xc0\1\2\3")), (NONCE, bytes(range(32)))]
    judge.case("a child of 255 selectors that are not there", wire,
               peer.seal(CHILD, 8, *child, (TSI, b"\xff\0\0\0"), (TSR, b"\xff\0\0\0")),
               inside(peer, CHILD, 8, SYNTAX), "create-child-in-req", "create-child-out-resp")
    judge.case("a rekey of a child that is none", wire,
               peer.seal(CHILD, 9, (NOTIFY, struct.pack(">BBHI", 3, 4, 16393, 0x12345678)), *child),
               lambda heard: None if notifies(*peer.open(heard))[0][0] == 44 else "not CHILD_SA_NOT_FOUND",
               "create-child-in-req", "create-child-out-resp")
    judge.case("a Delete that makes no sense ends it", wire, peer.seal(INFO, 10, (DELETE, b"\3\4\0\7abc")),
               inside(peer, INFO, 10, SYNTAX), "invalid", *info)
    judge.case("it is dead", wire, peer.seal(INFO, 11), told(peer.spis, INFO, 11, INVALID_IKE_SPI), "invalid-spi")


def floated(judge, wire, psk):
    """The same door, UDP 4500."""
    peer = Peer(wire, psk)
    judge.case("4500: the marker alone", wire, NOTHING, None, "invalid")
    judge.case("4500: the marker and 27 bytes", wire, peer.init()[:27], None, "invalid")
    judge.case("4500: IKEv1", wire, plain(peer.spis, 2, 0, 0, version=0x10),
               told(peer.spis, INFO, 0, MAJOR, b"\x20"), "in-ikev1")
    wire.send(peer.init(), marker=b"")  # its SPI stands where that of ESP does
    judge.tell("4500: IKE without a marker is not heard",
               ["it was"] if wire.hear(0.3) or judge.counters() != judge.last else [])
    judge.tell("4500: an IKE SA", [] if peer.up() else ["no"])
    judge.last = None
    judge.case("4500: and its end", wire, peer.seal(INFO, 2, (DELETE, bytes((1, 0, 0, 0)))), inside(peer, INFO, 2, None),
               "info-in-req", "info-out-resp")


def noise(judge, wire, psk, number):
    """Damaged at random; answers are not waited for."""
    chance, peer = random.Random(7296), Peer(wire, psk).begin()
    for i in range(number):
        fresh = Peer(wire, psk) if i % 64 == 0 else fresh
        message = bytearray((fresh.init(), peer.auth(), peer.auth(fragment=(1, 2)), peer.seal(INFO, 1),
                             plain(peer.spis, INFO, INITIATOR, 1, notify(11)))[i % 5])
        for _ in range(chance.randrange(4)):
            message[chance.randrange(len(message))] = chance.randrange(256)
        if i % 5 != 0 and not chance.randrange(2):
            message[16:20] = bytes((chance.randrange(256), 0x20, chance.randrange(256), chance.randrange(256)))
        wire.send(bytes(message[:chance.randrange(len(message))] if not chance.randrange(4) else message))
        if i % 16 == 0:
            time.sleep(0.002)
    time.sleep(0.5)
    while wire.hear(0.3) is not None:
        pass
    judge.tell("an honest peer after %d damaged messages" % number, [] if Peer(wire, psk).up() else ["no"])


def short(wire):
    for data in (b"\xff", NOTHING, b"\0", b"\0\0", b"\0\0\0", b"\xff\xff\xff", b"\1\2\3\4\5\6\7"):
        wire.send(data, marker=b"")


def main(words):
    if words[0] == "short":
        short(Wire(words[1], words[2], 4500))
        return 0
    wanted = int(words.pop()) if words[0] == "noise" else 0
    peer, own, vici, psk = words[-4:]
    judge, wire = Judge(vici), Wire(peer, own, 500)
    if wanted:
        noise(judge, wire, psk.encode(), wanted)
    else:
        strangers(judge, wire, psk.encode())
        established(judge, wire, half_open(judge, wire, psk.encode()))
        floated(judge, Wire(peer, own, 4500), psk.encode())
    return judge.wrong > 0


if len(sys.argv) < 4:
    sys.exit(__doc__)
sys.exit(main(sys.argv[1:]))
