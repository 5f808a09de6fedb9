# SPDX-License-Identifier: BSD-2-Clause
"""AH (RFC 4302) straight from the RFC."""
import hmac
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import ip
from .plain import Refused

# Appendix A1: of IPv4's options only these arrive as they were sent.
IMMUTABLE4 = (130, 133, 134, 148, 149)


def _mask_options4(options):
    masked, at = bytearray(options), 0
    while at < len(masked) and masked[at]:
        length = 1 if masked[at] == 1 else masked[at + 1]
        if length > 1 and masked[at] not in IMMUTABLE4:
            masked[at:at + length] = bytes(length)
        at += length
    return masked


def _mask_options6(header):
    masked, at = bytearray(header), 2
    while at < len(masked):
        length = 1 if masked[at] == 0 else 2 + masked[at + 1]
        if masked[at] & 0x20:
            masked[at + 2:at + length] = bytes(length - 2)
        at += length
    return masked


def mask(front):
    """3.3.3.1: what may change under way counts as zero."""
    front = bytearray(front)
    if ip.version(front) == 4:
        front[1] = 0
        front[6:9] = bytes(3)
        front[10:12] = bytes(2)
        return bytes(front[:20] + _mask_options4(front[20:]))
    front[0] &= 0xF0
    front[1:4] = bytes(3)
    kind, front[7], at = front[6], 0, 40
    while at < len(front):
        end = at + 8 + front[at + 1] * 8
        if kind in (ip.HOPOPTS, ip.DSTOPTS):
            front[at:end] = _mask_options6(front[at:end])
        kind, at = front[at], end
    return bytes(front)


def header_len(sa, family, align4):
    """2.6: a multiple of 4 bytes over IPv4, of 8 over IPv6."""
    align = align4 if family == 4 else 8
    return -(-(12 + sa.algorithm.iv + sa.algorithm.icv) // align) * align


def _icv(sa, seq, front, ah, rest):
    """`ah` has the IV and zeroes for the ICV. RFC 4543 7 and figure 5: with GMAC the ICV is what
    follows the IV, and the IV is authenticated. RFC 4302 2.5.1: so is the high half of an ESN."""
    covered = mask(front) + ah + rest + (struct.pack("!I", seq >> 32) if sa.esn else b"")
    key, salt, auth_key = sa.algorithm.key_parts(sa.key)
    if sa.algorithm.kind == "gmac":
        return AESGCM(key).encrypt(salt + ah[12:20], b"", covered)
    return hmac.digest(auth_key, covered, "sha%d" % sa.algorithm.hash_bits)[:sa.algorithm.icv]


class PlainAh:
    name = "python3-cryptography"
    align4 = 4

    def refuses(self, sa, shape, sealing):
        return None

    def seal(self, sa, packet, seq, iv):
        if sa.tunnel:
            text, following = packet, ip.protocol_of(packet)
        else:
            off, name = ip.place(packet)
            text, following = packet[off:], packet[name]
        length = header_len(sa, sa.family, self.align4)
        ah = struct.pack("!BBHII", following, length // 4 - 2, 0, sa.spi, seq & 0xFFFFFFFF) + iv
        ah += bytes(length - len(ah))
        sealed = ip.outer(sa.src, sa.dst, ip.AH, ah + text, seq) if sa.tunnel else \
            ip.insert(packet, ah + text, ip.AH)
        at = len(sealed) - len(text) - length
        icv = _icv(sa, seq, sealed[:at], ah, text)
        at += 12 + sa.algorithm.iv
        return sealed[:at] + icv + sealed[at + len(icv):]

    def open(self, sa, packet, seq):
        off, name = ip.find(packet, ip.AH)
        length = header_len(sa, ip.version(packet), self.align4)
        ah, rest = bytearray(packet[off:off + length]), packet[off + length:]
        following, icv_off = ah[0], 12 + sa.algorithm.iv
        if ah[1:12] != struct.pack("!BHII", length // 4 - 2, 0, sa.spi, seq & 0xFFFFFFFF):
            raise Refused("length, SPI or number")
        icv = bytes(ah[icv_off:icv_off + sa.algorithm.icv])
        ah[icv_off:icv_off + len(icv)] = bytes(len(icv))
        if not hmac.compare_digest(_icv(sa, seq, packet[:off], bytes(ah), rest), icv):
            raise Refused("ICV")
        if sa.tunnel:
            if following != ip.protocol_of(rest):
                raise Refused("next header")
            return rest
        front = bytearray(packet[:off])
        front[name] = following
        return ip.finish(bytes(front) + rest)


class PlainAhOfLinux(PlainAh):
    """Linux pads to 8 bytes over IPv4 too, unless told otherwise: also this must open."""
    name = "python3-cryptography, padded as by Linux"
    align4 = 8
