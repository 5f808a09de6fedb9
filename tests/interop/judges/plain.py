# SPDX-License-Identifier: BSD-2-Clause
"""ESP straight from the RFCs, over python3-cryptography. It judges every algorithm, and alone where
Scapy has none or a wrong one (scapy_peer.py says which, and why)."""
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from . import ip
from .cases import SA


class Refused(Exception):
    """The judge finds fault with a packet."""


def _aad(sa, seq):
    """RFC 4106 5: the sequence number, whole with ESN."""
    return struct.pack("!IQ", sa.spi, seq) if sa.esn else struct.pack("!II", sa.spi, seq)


def _aead(sa, seq, iv):
    """The cipher and its nonce: the salt, then what travels, or the number (RFC 8750 4)."""
    key, salt, _ = sa.algorithm.key_parts(sa.key)
    nonce = salt + (struct.pack("!Q", seq) if sa.algorithm.implicit_iv else iv)
    if sa.algorithm.kind in ("gcm", "gmac"):
        return AESGCM(key), nonce
    if sa.algorithm.kind == "ccm":
        return AESCCM(key, tag_length=sa.algorithm.icv), nonce
    return ChaCha20Poly1305(key), nonce


def _cipher(sa, iv):
    key, salt, _ = sa.algorithm.key_parts(sa.key)
    if sa.algorithm.kind == "null":
        return None
    if sa.algorithm.kind == "cbc":
        return Cipher(algorithms.AES(key), modes.CBC(iv))
    return Cipher(algorithms.AES(key), modes.CTR(salt + iv + b"\0\0\0\1"))  # RFC 3686 4


def _mac(sa, seq, covered):
    """RFC 4303 2.2.1: the high half of an ESN counts behind what travels."""
    if sa.esn:
        covered += struct.pack("!I", seq >> 32)
    key = sa.algorithm.key_parts(sa.key)[2]
    return hmac.digest(key, covered, "sha%d" % sa.algorithm.hash_bits)[:sa.algorithm.icv]


def _encrypt(sa, seq, head, iv, text):
    """head: SPI and number as they travel. The ESP packet."""
    kind = sa.algorithm.kind
    if kind in ("gcm", "ccm", "chacha"):
        cipher, nonce = _aead(sa, seq, iv)
        return head + iv + cipher.encrypt(nonce, text, _aad(sa, seq))
    if kind == "gmac":
        # The IV is part of what is authenticated: RFC 4543 3.5 says so and its section 7 says not;
        # the published vector (see gmac_vector()) and other implementations have it in.
        cipher, nonce = _aead(sa, seq, iv)
        return head + iv + text + cipher.encrypt(nonce, b"", _aad(sa, seq) + iv + text)
    cipher = _cipher(sa, iv)
    if cipher:
        stream = cipher.encryptor()
        text = stream.update(text) + stream.finalize()
    return head + iv + text + _mac(sa, seq, head + iv + text)


def _decrypt(sa, seq, esp):
    algorithm = sa.algorithm
    iv, body = esp[8:8 + algorithm.iv], esp[8 + algorithm.iv:]
    text, icv = body[:-algorithm.icv], body[-algorithm.icv:]
    try:
        if algorithm.kind in ("gcm", "ccm", "chacha"):
            cipher, nonce = _aead(sa, seq, iv)
            return cipher.decrypt(nonce, body, _aad(sa, seq))
        if algorithm.kind == "gmac":
            cipher, nonce = _aead(sa, seq, iv)
            cipher.decrypt(nonce, icv, _aad(sa, seq) + iv + text)
            return text
    except InvalidTag as why:
        raise Refused("ICV") from why
    if not hmac.compare_digest(_mac(sa, seq, esp[:-algorithm.icv]), icv):
        raise Refused("ICV")
    cipher = _cipher(sa, iv)
    if cipher:
        stream = cipher.decryptor()
        text = stream.update(text) + stream.finalize()
    return text


def _pad(text, align, following):
    """RFC 4303 2.4."""
    count = -(len(text) + 2) % align
    return text + bytes(range(1, count + 1)) + bytes((count, following))


def _unpad(text):
    count, following = text[-2], text[-1]
    data, padding = text[:len(text) - 2 - count], text[len(text) - 2 - count:-2]
    if padding != bytes(range(1, count + 1)):
        raise Refused("padding")
    return data, following


class Plain:
    name = "python3-cryptography"

    def refuses(self, sa, shape, sealing):
        return None

    def seal(self, sa, packet, seq, iv):
        """`iv`: as many bytes as the algorithm sends."""
        head = struct.pack("!II", sa.spi, seq & 0xFFFFFFFF)
        if sa.tunnel:
            text, following = packet, ip.protocol_of(packet)
        else:
            off, name = ip.place(packet)
            text, following = packet[off:], packet[name]
        esp = _encrypt(sa, seq, head, iv, _pad(text, sa.algorithm.align, following))
        proto = ip.ESP
        if sa.udp:
            proto, esp = ip.UDP, ip.udp(sa.sport, sa.dport, esp)
        sealed = ip.outer(sa.src, sa.dst, proto, esp, seq) if sa.tunnel else \
            ip.insert(packet, esp, proto)
        if sa.udp and ip.version(sealed) == 6:
            sealed = ip.udp6_finish(sealed, len(sealed) - len(esp))
        return sealed

    def open(self, sa, packet, seq):
        off, name = ip.find(packet, ip.UDP if sa.udp else ip.ESP)
        esp = packet[off + (8 if sa.udp else 0):]
        if esp[:8] != struct.pack("!II", sa.spi, seq & 0xFFFFFFFF):
            raise Refused("SPI or number")
        data, following = _unpad(_decrypt(sa, seq, esp))
        if sa.tunnel:
            if following != ip.protocol_of(data):
                raise Refused("next header")
            return data
        front = bytearray(packet[:off])
        front[name] = following
        return ip.finish(bytes(front) + data)


def gmac_vector():
    """draft-mcgrew-gcm-test-01: settles whether the IV is in the AAD."""
    key = bytes.fromhex("4c80cdefbb5d10da906ac73c3613a63422433c64")
    text = bytes.fromhex("45000030da3a00008001df3bc0a80005c0a800010800c6cd0200070061626364"
                         "65666768696a6b6c6d6e6f707172737401020201")
    sa = SA("aes128gmac", key=key, spi=0x4321)
    return _encrypt(sa, 7, struct.pack("!II", 0x4321, 7), bytes(8), text)[-16:] == \
        bytes.fromhex("f2a9a836e155106aa8dcd618e4099aaa")
