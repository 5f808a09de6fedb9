# SPDX-License-Identifier: BSD-2-Clause
"""Scapy's IPsec layer as the peer, as far as it can be one."""
import logging

logging.getLogger("scapy").setLevel(logging.ERROR)
# pylint: disable=wrong-import-position
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import AH, CRYPT_ALGOS, ESP, IPSecIntegrityError  # noqa: E402
from scapy.layers.ipsec import SecurityAssociation  # noqa: E402

from . import ip  # noqa: E402
from .plain import Refused  # noqa: E402

CRYPT = {"gcm": "AES-GCM", "ccm": "AES-CCM", "chacha": "CHACHA20-POLY1305", "cbc": "AES-CBC",
         "ctr": "AES-CTR", "null": "NULL"}
AUTH = {256: "SHA2-256-128", 384: "SHA2-384-192", 512: "SHA2-512-256"}


# RFC 4303 2.2.1 counts the high half of an ESN, AuthAlgo.sign() of ESP does not.
NO_ESN = "leaves the high half of an ESN out of an HMAC"
# _encrypt_esp() names UDP in the first IPv6 header, not in the last one before it; _decrypt_esp()
# writes the next header into UDP, which has none.
NO_UDP6 = "cannot do UDP encapsulation in IPv6 transport mode"
# zero_mutable_fields(sending=True) moves the destination into the routing header whatever its
# segments left say (RFC 4302 3.3.3.1.2.2: as it will be at the receiver, where it is already).
NO_ROUTING = "takes a routing header at its end for one at its beginning"


class Scapy:
    name = "scapy"

    def refuses(self, sa, shape, sealing):
        """None, or why Scapy cannot judge this."""
        algorithm, options6 = sa.algorithm, shape.options and shape.inner == 6
        if algorithm.kind not in CRYPT or CRYPT[algorithm.kind] not in CRYPT_ALGOS:
            return "has no %s" % algorithm.kind
        if algorithm.implicit_iv:
            return "has no implicit IV"
        if algorithm.hash_bits and sa.esn and sa.proto == ip.ESP:
            return NO_ESN
        if sa.udp and not sa.tunnel and sa.family == 6 and (options6 or not sealing):
            return NO_UDP6
        if sa.proto == ip.AH and sealing and shape.options == "all":
            return NO_ROUTING
        return None

    def _sa(self, sa):
        algorithm = sa.algorithm
        cipher_key, salt, auth_key = algorithm.key_parts(sa.key)
        outer = IP if sa.family == 4 else IPv6
        crypt = {} if sa.proto == ip.AH else {
            "crypt_algo": CRYPT[algorithm.kind], "crypt_key": cipher_key + salt or None,
            "crypt_icv_size": None if algorithm.hash_bits else algorithm.icv}
        return SecurityAssociation(
            AH if sa.proto == ip.AH else ESP, spi=sa.spi, seq_num=0,
            auth_algo=AUTH.get(algorithm.hash_bits), auth_key=auth_key or None,
            tunnel_header=outer(src=sa.src, dst=sa.dst) if sa.tunnel else None,
            nat_t_header=UDP(sport=sa.sport, dport=sa.dport) if sa.udp else None, esn_en=sa.esn,
            **crypt)

    def seal(self, sa, packet, seq, iv):
        layer = (IP if ip.version(packet) == 4 else IPv6)(packet)
        iv = None if sa.proto == ip.AH else iv
        sealed = bytes(self._sa(sa).encrypt(layer, seq_num=seq & 0xFFFFFFFF, iv=iv, esn=seq >> 32))
        if sa.udp and ip.version(sealed) == 4:
            # It rebuilds the IPv4 header before ESP stands behind UDP: UDP's length stays 8.
            at = ip.place(sealed)[0]
            length = (len(sealed) - at).to_bytes(2, "big")
            sealed = sealed[:at + 4] + length + sealed[at + 6:]
        return sealed

    def open(self, sa, packet, seq):
        layer = (IP if ip.version(packet) == 4 else IPv6)(packet)
        try:
            return bytes(self._sa(sa).decrypt(layer, esn=seq >> 32))
        except IPSecIntegrityError as why:
            raise Refused("ICV") from why
