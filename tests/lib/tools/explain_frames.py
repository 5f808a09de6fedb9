#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Frames for tests/netns/explain.sh: the same ones are explained and sent.

write WHERE FILE MAC   the frames that WHERE (red, black, guard of gw-a) sees, to MAC, as a capture;
                       prints a name for each
send FILE IFACE N...   sends frames N (from 1) of the capture, one right after the other
"""
import sys

from scapy.all import (ARP, ICMP, IP, TCP, UDP, Ether, ICMPv6EchoRequest, IPv6,
                       IPv6ExtHdrFragment, Raw, rdpcap, sendp, wrpcap)

DATA = Raw(b"x" * 40)
OTHER = "02:00:00:00:77:77"


def red(mac):
    ether = Ether(src="02:00:00:00:00:66", dst=mac)
    ip = dict(src="10.1.0.2", dst="10.2.0.77")
    yield "protected ping", ether / IP(**ip) / ICMP() / DATA
    yield "protected ping, v6", ether / IPv6(src="fd01::2", dst="fd02::77") / ICMPv6EchoRequest() / DATA
    yield "bypassed port", ether / IP(**ip) / UDP(sport=5, dport=7009) / DATA
    yield "discarded port", ether / IP(**ip) / UDP(sport=5, dport=7010) / DATA
    yield "no policy", ether / IP(src="10.1.0.2", dst="192.0.2.77") / UDP(dport=9) / DATA
    yield "to the gateway", ether / IP(src="10.1.0.2", dst="10.1.0.1") / UDP(dport=9) / DATA
    yield "no SA", ether / IP(src="10.1.0.2", dst="10.2.9.9") / TCP(dport=80)
    yield "hidden ports", ether / IP(id=77, frag=100, proto=17, **ip) / DATA
    yield "lying length", ether / IP(len=900, **ip) / UDP(dport=9) / DATA
    yield "UDP cut", ether / IP(proto=17, **ip) / Raw(b"1234")
    yield "another MAC", Ether(dst=OTHER) / IP(**ip) / ICMP() / DATA
    yield "ARP", ether / ARP(pdst="10.1.0.1", psrc="10.1.0.2")
    yield "first fragment without its header", (
        ether / IP(proto=6, flags="MF", **ip) / Raw(b"12345678"))
    yield "two fragment headers", (
        ether / IPv6(src="fd01::2", dst="fd02::77") / IPv6ExtHdrFragment(nh=44, m=1)
        / IPv6ExtHdrFragment(nh=17, m=1) / Raw(b"x" * 16))
    yield "three tags", Ether(
        bytes(ether)[:12] + bytes.fromhex("88a80001" "81000002" "81000003" "0800") + b"\x45" * 40)


def black(mac):
    ether = Ether(src="02:00:00:00:00:66", dst=mac)
    us = dict(src="192.0.2.77", dst="192.0.2.1")
    yield "ESP of no SA", ether / IP(proto=50, **us) / Raw(bytes.fromhex("0000beef00000001") + b"y" * 60)
    yield "ESP of our SA", ether / IP(proto=50, **us) / Raw(bytes.fromhex("0000100200000001") + b"y" * 60)
    yield "IKE", ether / IP(**us) / UDP(sport=500, dport=500) / DATA
    yield "plaintext", ether / IP(src="10.2.0.2", dst="10.1.0.77") / ICMP() / DATA
    yield "bypass", ether / IP(src="10.2.0.2", dst="10.1.0.77") / UDP(sport=7009, dport=5) / DATA
    yield "no policy", ether / IP(**us) / TCP(dport=22)
    yield "another MAC", Ether(dst=OTHER) / IP(**us) / TCP(dport=22)
    yield "strange ethertype", Ether(src="02:00:00:00:00:66", dst=mac, type=0x88cc) / DATA
    yield "NAT keepalive", ether / IP(**us) / UDP(sport=4500, dport=4500) / Raw(b"\xff")
    yield "later fragment of ESP", ether / IP(proto=50, id=9, frag=100, **us) / DATA


def guard(mac):
    ether = Ether(dst=mac)
    yield "no policy", ether / IP(src="192.0.2.1", dst="192.0.2.77") / TCP(dport=22)
    yield "protected, our own", ether / IP(src="10.1.0.1", dst="10.2.0.77") / UDP(dport=9) / DATA
    yield "bypass", ether / IP(src="10.1.0.1", dst="10.2.0.77") / UDP(dport=7009) / DATA
    yield "IKE without a mark", ether / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=500, dport=500)
    yield "strange ethertype", Ether(dst=mac, type=0x88cc) / DATA
    yield "no SA", ether / IP(src="10.1.0.1", dst="10.2.9.9") / TCP(dport=80)


def write(where, path, mac):
    named = list({"red": red, "black": black, "guard": guard}[where](mac))
    wrpcap(path, [frame for _, frame in named])
    for name, _ in named:
        print(name)


def send(path, iface, *numbers):
    frames = rdpcap(path)
    for number in numbers:
        try:
            sendp(bytes(frames[int(number) - 1]), iface=iface, verbose=0)
        except OSError:
            pass  # the guard dropped it: ENOBUFS


if len(sys.argv) < 2 or sys.argv[1] not in ("write", "send"):
    sys.exit(__doc__)
globals()[sys.argv[1]](*sys.argv[2:])
