#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""backwards.py PCAP MAC IFACE: sends the fragments in PCAP that came from MAC out of IFACE, each
datagram's last one first, and prints how many datagrams there were."""
import sys

from scapy.all import IP, Ether, IPv6ExtHdrFragment, rdpcap, sendp

datagrams = {}
for frame in rdpcap(sys.argv[1]):
    if frame[Ether].src != sys.argv[2]:
        continue
    if IP in frame and (frame[IP].frag or frame[IP].flags.MF):
        datagrams.setdefault((4, frame[IP].id), []).append(frame)
    elif IPv6ExtHdrFragment in frame:
        datagrams.setdefault((6, frame[IPv6ExtHdrFragment].id), []).append(frame)
for pieces in datagrams.values():
    sendp(pieces[::-1], iface=sys.argv[3], verbose=0)
print(len(datagrams))
