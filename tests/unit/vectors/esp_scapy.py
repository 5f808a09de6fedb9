#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes esp_scapy.h: ESP packets that scapy's IPsec layer made, an independent judge of ours.

Run it by hand (python3-scapy, python3-cryptography) and commit what it prints:
    tests/unit/vectors/esp_scapy.py >tests/unit/vectors/esp_scapy.h
"""
import struct
import sys

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

CASES = [
    # name, key bytes, inner family, outer family, esn, seq, payload bytes, tos
    ("aes128 4in4", 16, 4, 4, False, 1, 13, 0x00),
    ("aes256 4in4", 32, 4, 4, False, 0xFFFFFFFF, 64, 0xB8),
    ("aes128 4in4 esn", 16, 4, 4, True, (1 << 32) + 7, 0, 0x02),
    ("aes256 6in6 esn", 32, 6, 6, True, 5, 101, 0x2D),
    ("aes128 6in6", 16, 6, 6, False, 0x01020304, 1200, 0x01),
    ("aes128 6in4", 16, 6, 4, False, 77, 3, 0x88),
    ("aes256 4in6 esn", 32, 4, 6, True, (3 << 32) + 0xFFFFFFFE, 10, 0x03),
]
SPI = 0x1001
ADDR = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
INNER = {4: ("10.1.0.5", "10.2.0.9"), 6: ("fd00:1::5", "fd00:2::9")}


def inner_packet(family, payload, tos, ttl):
    src, dst = INNER[family]
    data = UDP(sport=4000, dport=5000) / Raw(bytes(i & 0xFF for i in range(payload)))
    if family == 4:
        return IP(src=src, dst=dst, ttl=ttl, tos=tos, id=0x1234) / data
    return IPv6(src=src, dst=dst, hlim=ttl, tc=tos, fl=0x54321) / data


def outer_header(family, seq, tos):
    src, dst = ADDR[family]
    if family == 4:
        return IP(src=src, dst=dst, ttl=64, flags="DF", id=seq & 0xFFFF, tos=tos)
    return IPv6(src=src, dst=dst, hlim=64, tc=tos)


def seal(case):
    _, key_len, inner_family, outer_family, esn, seq, payload, tos = case
    key = bytes(0x40 + i for i in range(key_len + 4))
    # scapy keeps the high half apart, and shows the outer header's TOS and ID as it was given them.
    sa = SecurityAssociation(ESP, spi=SPI, crypt_algo="AES-GCM", crypt_key=key,
                             tunnel_header=outer_header(outer_family, seq, tos), esn_en=esn,
                             esn=seq >> 32)
    sent = inner_packet(inner_family, payload, tos, 63)
    esp = sa.encrypt(sent, seq_num=seq & 0xFFFFFFFF, iv=struct.pack(">Q", seq), esn_en=esn,
                     esn=seq >> 32)
    came = inner_packet(inner_family, payload, tos, 64)
    return key, bytes(came), bytes(esp)


def c_bytes(data):
    rows = [data[i:i + 16] for i in range(0, len(data), 16)]
    return "\n".join("\t\t" + "\"" + "".join(f"\\x{b:02x}" for b in row) + "\"" for row in rows)


def main():
    print("/* SPDX-License-Identifier: BSD-2-Clause */")
    print("/* clang-format off */")
    print("/* Made by esp_scapy.py: do not edit. */")
    print("static const struct esp_vector esp_scapy[] = {")
    for case in CASES:
        name, key_len, inner_family, outer_family, esn, seq, _, _ = case
        key, came, esp = seal(case)
        alg = {16: "XIPSEC_ALG_AES128GCM16", 32: "XIPSEC_ALG_AES256GCM16"}[key_len]
        print(f"\t{{\n\t\t.name = \"{name}\", .alg = {alg}, .outer_family = {outer_family},"
              f" .inner_family = {inner_family}, .esn = {int(esn)}, .seq = {seq}ULL,")
        print(f"\t\t.key_len = {len(key)}, .key = (const __u8 *)\n{c_bytes(key)},")
        print(f"\t\t.inner_len = {len(came)}, .inner = (const __u8 *)\n{c_bytes(came)},")
        print(f"\t\t.esp_len = {len(esp)}, .esp = (const __u8 *)\n{c_bytes(esp)},\n\t}},")
    print("};")


if __name__ == "__main__":
    sys.exit(main())
