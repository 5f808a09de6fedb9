#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Packets that no ordinary program sends. packets.py COMMAND ARGS, in the sender's namespace.

replay FILE IFACE DSTMAC   send the ESP frames of a capture again, to that MAC
elsewhere FILE IFACE DSTMAC SRC DST PORT [AHEAD]   send the ESP in UDP of a capture to DST again, from
                           another place; AHEAD is added to the sequence numbers
forged FILE IFACE DSTMAC KEY WHAT   the newest ESP packet of a capture made anew with the key (AES-GCM in
                           hex), a few numbers on: WHAT is icv, padding or selector
advert FILE IFACE DSTMAC KEY TO   a router advertisement, sealed like that; TO is an address inside
tail IFACE GATEWAY MARKER DST    a non-first IPv4 UDP fragment alone
dscp IFACE GATEWAY TOS TTL DST   one UDP datagram with that TOS byte and TTL, don't fragment set
"""
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from scapy.all import (IP, UDP, Ether, ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6, Raw, getmacbyip, rdpcap,
                       sendp)


def via(gateway, packet, iface):
    mac = getmacbyip(gateway)
    if not mac:
        sys.exit("packets.py: %s: no MAC" % gateway)
    sendp(Ether(dst=mac) / packet, iface=iface, verbose=0)


def replay(path, iface, mac):
    frames = [f for f in rdpcap(path) if IP in f and f[IP].proto == 50 and f[Ether].dst == mac]
    sendp(frames, iface=iface, verbose=0)
    print(len(frames))


def elsewhere(path, iface, mac, src, dst, port, ahead="0"):
    frames = []
    for f in rdpcap(path):
        layer = IPv6 if IPv6 in f else IP
        if layer not in f or UDP not in f or f[layer].dst != dst or f[UDP].dport != 4500:
            continue
        esp = bytearray(bytes(f[UDP].payload))
        if len(esp) < 32:
            continue
        seq = int.from_bytes(esp[4:8], "big") + int(ahead)
        esp[4:8] = (seq & 0xffffffff).to_bytes(4, "big")
        udp = UDP(sport=int(port), dport=4500)
        if layer is IP:
            udp.chksum = 0
        frames.append(Ether(dst=mac) / layer(src=src, dst=dst) / udp / Raw(bytes(esp)))
    sendp(frames, iface=iface, verbose=0)
    print(len(frames))


def newest(path, mac):
    return [f for f in rdpcap(path) if IP in f and f[IP].proto == 50 and f[Ether].dst == mac][-1]


def sealed_again(f, key, ahead, text, flip=0):
    """The packet f with another text, `ahead` numbers on."""
    esp, salt = bytes(f[IP].payload), key[-4:]
    head = esp[:4] + (int.from_bytes(esp[4:8], "big") + ahead).to_bytes(4, "big")
    iv = ahead.to_bytes(8, "little")
    sealed = bytearray(AESGCM(key[:-4]).encrypt(salt + iv, bytes(text), head))
    sealed[-1] ^= flip
    return IP(src=f[IP].src, dst=f[IP].dst, proto=50) / Raw(head + iv + bytes(sealed))


def forged(path, iface, mac, key, what):
    f, key = newest(path, mac), bytes.fromhex(key)
    esp = bytes(f[IP].payload)
    text = bytearray(AESGCM(key[:-4]).decrypt(key[-4:] + esp[8:16], esp[16:], esp[:8]))
    # Each at a number of its own, so that none is a replay of another.
    ahead = {"icv": 3, "padding": 4, "selector": 5}[what]
    if what == "padding":
        text = text[:-2] + b"\x07\x02\x03\x04" + bytes([4]) + text[-1:]
    if what == "selector":
        inner = IP(bytes(text))
        inner.src = "10.77.0.1"
        del inner.chksum
        text[:20] = bytes(inner)[:20]
    sendp(Ether(dst=mac) / sealed_again(f, key, ahead, text, what == "icv"), iface=iface, verbose=0)


def advert(path, iface, mac, key, to):
    f = newest(path, mac)
    inner = bytes(IPv6(src="fe80::1", dst=to, hlim=255) / ICMPv6ND_RA(routerlifetime=1800)
                  / ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64))
    pad = -(len(inner) + 2) % 4
    text = inner + bytes(range(1, pad + 1)) + bytes([pad, 41])
    sendp(Ether(dst=mac) / sealed_again(f, bytes.fromhex(key), 100, text), iface=iface, verbose=0)


def tail(iface, gateway, marker, dst):
    via(gateway, IP(dst=dst, id=4712, frag=100, proto=17) / Raw(marker.encode() * 20), iface)


def dscp(iface, gateway, tos, ttl, dst):
    via(gateway, IP(dst=dst, tos=int(tos, 0), ttl=int(ttl), flags="DF")
        / UDP(sport=1234, dport=1234) / Raw(b"x" * 64), iface)


if len(sys.argv) < 2 or sys.argv[1] not in ("replay", "elsewhere", "forged", "advert", "tail", "dscp"):
    sys.exit(__doc__)
globals()[sys.argv[1]](*sys.argv[2:])
