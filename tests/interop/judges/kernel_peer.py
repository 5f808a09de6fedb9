# SPDX-License-Identifier: BSD-2-Clause
"""Kernel XFRM of this network namespace as a peer: SAs and policies by `ip xfrm`, packets by TUNs and
raw sockets. Which of them there are: kernel.py."""
import fcntl
import os
import select
import socket
import struct
import subprocess
import time

from . import ip
from .cases import PORTS

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
ICMPV6 = 58
UDP_ENCAP, UDP_ENCAP_ESPINUDP = 100, 2
WAIT = 5.0  # seconds that a packet which must come may take, on an emulated processor
WINDOW = 1024

CIPHER = {"cbc": "cbc(aes)", "ctr": "rfc3686(ctr(aes))", "null": "ecb(cipher_null)"}
AEAD = {"gcm": "rfc4106(gcm(aes))", "gmac": "rfc4543(gcm(aes))", "ccm": "rfc4309(ccm(aes))",
        "chacha": "rfc7539esp(chacha20,poly1305)"}


def refuses(sa):
    """None, or what the kernel cannot do."""
    if sa.algorithm.implicit_iv:
        return "has no implicit IV"
    if sa.proto == ip.AH and sa.algorithm.kind not in ("null",):
        return "has no AES-GMAC for AH"
    return None


def _hex(key):
    return "0x" + key.hex() if key else '""'


def _algorithm(sa):
    algorithm = sa.algorithm
    key, salt, auth_key = algorithm.key_parts(sa.key)
    if algorithm.kind in AEAD:
        return "aead %s %s %d" % (AEAD[algorithm.kind], _hex(key + salt), algorithm.icv * 8)
    auth = "auth-trunc hmac(sha%d) %s %d" % (algorithm.hash_bits, _hex(auth_key),
                                             algorithm.icv * 8)
    if sa.proto == ip.AH:
        return auth
    return "%s enc %s %s" % (auth, CIPHER[algorithm.kind], _hex(key + salt))


def _proto(sa):
    return "ah" if sa.proto == ip.AH else "esp"


def _mode(sa):
    return "tunnel" if sa.tunnel else "transport"


def state_command(sa, number, inbound, seq):
    """`seq`: the number of the next packet."""
    words = ["xfrm state add src", sa.src, "dst", sa.dst, "proto", _proto(sa),
             "spi 0x%x reqid %d mode" % (sa.spi, number), _mode(sa), _algorithm(sa)]
    if sa.udp:
        words.append("encap espinudp %d %d %s" % (sa.sport, sa.dport,
                                                  "0.0.0.0" if sa.family == 4 else "::"))
    last, flags = seq - 1, []
    words.append("replay-window %d" % (WINDOW if sa.esn else 32))
    words.append("%s 0x%x" % ("replay-seq" if inbound else "replay-oseq", last & 0xFFFFFFFF))
    if sa.esn:
        words.append("%s 0x%x" % ("replay-seq-hi" if inbound else "replay-oseq-hi", last >> 32))
        flags.append("esn")
    if sa.tunnel:
        flags.append("af-unspec")  # either family inside
    if sa.proto == ip.AH and sa.family == 4:
        flags.append("align4")  # RFC 4302 3.3.3.2.1: Linux pads to 8 bytes without
    return " ".join(words + (["flag"] + flags if flags else []))


def policy_command(sa, number, family):
    """What carries the mark `number` is sealed by the SA of that number."""
    anything = "0.0.0.0/0" if family == 4 else "::/0"
    ends = "src %s dst %s" % (sa.src, sa.dst) if sa.tunnel else ""
    return "xfrm policy add src %s dst %s dir out mark %d mask 0xffffffff tmpl %s proto %s " \
        "reqid %d mode %s" % (anything, anything, number, ends, _proto(sa), number, _mode(sa))


def ip_batch(commands):
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True, check=True)


def forget_states(policies_too):
    ip_batch(["xfrm state flush"] + (["xfrm policy flush"] if policies_too else []))


def moment():
    time.sleep(0.01)


def statistics():
    """/proc/net/xfrm_stat: counters of what it refuses, by name."""
    with open("/proc/net/xfrm_stat", encoding="ascii") as lines:
        return {name: int(count) for name, count in (line.split() for line in lines)}


class Tun:
    def __init__(self, name):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        ip_batch(["link set %s mtu 3000 up" % name])

    def send(self, packet):
        os.write(self.fd, packet)

    def receive(self):
        """None: ICMPv6, the stack's own talk with its neighbours."""
        packet = os.read(self.fd, 65536)
        own = ip.version(packet) == 6 and ip.find(packet, ICMPV6)
        return None if own else packet

    def wait(self, seconds=WAIT):
        return bool(select.select([self.fd], [], [], seconds)[0])


def silent(source):
    """Nothing has come that was let through."""
    while source.wait(0):
        if source.receive():
            return False
    return True


def receive_all(source, count):
    """So many packets, or fewer when no more come. `source`: wait() and receive()."""
    found = []
    while len(found) < count and source.wait():
        packet = source.receive()
        if packet:
            found.append(packet)
    return found


class Sender:
    """Whole packets into the stack, as those of a socket with a mark."""

    def __init__(self):
        self.raw = {4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
                    6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)}

    def send(self, packet, mark):
        raw = self.raw[ip.version(packet)]
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        if ip.version(packet) == 4:
            raw.sendto(packet, (socket.inet_ntop(socket.AF_INET, packet[16:20]), 0))
        else:
            raw.sendto(packet, (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0, 0, 0))


class Datagrams:
    """UDP to this host as raw sockets see it, past decryption: IPv4 with its header, IPv6 from the
    UDP header on. Others than the cases' are left out: ESP in UDP passes here too."""

    def __init__(self, family):
        self.family = family
        self.raw = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                                 socket.SOCK_RAW, socket.IPPROTO_UDP)

    def wait(self, seconds=WAIT):
        return bool(select.select([self.raw], [], [], seconds)[0])

    def receive(self):
        packet = self.raw.recv(65536)
        at = (packet[0] & 15) * 4 if self.family == 4 else 0
        return packet if struct.unpack("!HH", packet[at:at + 4]) == PORTS else None


def encapsulation_sockets():
    """Port 4500 of both families takes ESP in UDP; keep what this returns."""
    sockets = []
    for family in socket.AF_INET, socket.AF_INET6:
        one = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(("", 4500))
        one.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)
        sockets.append(one)
    return sockets
