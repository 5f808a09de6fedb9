# SPDX-License-Identifier: BSD-2-Clause
"""Seeds of the targets ike_*: each exchange as RFC 7296 draws it, certificates and a CRL, identities;
of vici: what swanctl sends."""
import datetime
import ipaddress
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SA, KE, IDI, IDR, CERT, CERTREQ, AUTH, NONCE, N, D, V, TSI, TSR, SK, CP, EAP = range(33, 49)
SKF = 53


def chain(payloads):
    """(first type, bytes) of (type, body) pairs."""
    out = b''
    for (_, body), after in zip(payloads, payloads[1:] + [(0, b'')]):
        out += struct.pack('>BBH', after[0], 0, 4 + len(body)) + body
    return (payloads[0][0] if payloads else 0), out


def message(exchange, flags, payloads):
    first, text = chain(payloads)
    return struct.pack('>QQBBBBII', 0x1122334455667788, 0, first, 0x20, exchange, flags, 0,
                       28 + len(text)) + text


def transform(last, kind, number, bits=0):
    attribute = struct.pack('>HH', 0x800e, bits) if bits else b''
    return struct.pack('>BBHBBH', 0 if last else 3, 0, 8 + len(attribute), kind, 0, number) + attribute


def proposal(last, number, protocol, spi, transforms):
    body = b''.join(transform(i + 1 == len(transforms), *t) for i, t in enumerate(transforms))
    return struct.pack('>BBHBBBB', 0 if last else 2, 0, 8 + len(spi) + len(body), number, protocol,
                       len(spi), len(transforms)) + spi + body


def notify(kind, data=b'', protocol=0, spi=b''):
    return N, struct.pack('>BBH', protocol, len(spi), kind) + spi + data


def selectors(*ranges):
    out = struct.pack('>BBH', len(ranges), 0, 0)
    for net, proto, lo, hi in ranges:
        net = ipaddress.ip_network(net)
        body = net[0].packed + net[-1].packed
        out += struct.pack('>BBHHH', 7 if net.version == 4 else 8, proto, 8 + len(body), lo, hi) + body
    return out


IKE_SA = proposal(False, 1, 1, b'', [(1, 20, 128), (2, 5), (4, 31), (4, 19)]) + \
    proposal(True, 2, 1, b'', [(1, 12, 256), (2, 5), (3, 12), (4, 14)])
ESP_SA = proposal(False, 1, 3, b'\xc0\1\2\3', [(1, 20, 128), (5, 1), (5, 0)]) + \
    proposal(True, 2, 3, b'\xc0\1\2\3', [(1, 12, 256), (3, 12), (5, 0)])
TS = selectors(('10.1.0.0/16', 6, 443, 443), ('fd00::/64', 0, 0, 65535), ('10.0.0.1/32', 1, 2048, 2303))
INIT = [(SA, IKE_SA), (KE, struct.pack('>HH', 31, 0) + bytes(range(32))), (NONCE, bytes(range(32))),
        notify(16388, bytes(20)), notify(16389, bytes(20)), notify(16430), notify(16431, b'\0\2\0\5'),
        (V, b'vendor')]
AUTHS = [(IDI, b'\2\0\0\0moon.example.org'), (CERT, b'\4' + bytes(40)), notify(16384),
         (CERTREQ, b'\4' + bytes(40)), (IDR, b'\3\0\0\0carol@example.org'), (AUTH, b'\2\0\0\0' + bytes(32)),
         (CP, b'\1\0\0\0\0\1\0\0'), (SA, ESP_SA), (TSI, TS), (TSR, TS)]
CHILD = [notify(16393, b'', 3, b'\1\2\3\4'), (SA, ESP_SA), (NONCE, bytes(32)),
         (KE, struct.pack('>HH', 19, 0) + bytes(64)), (TSI, TS), (TSR, TS)]
INFO = [(D, struct.pack('>BBHII', 3, 4, 2, 1, 2)), notify(44, b'', 3, b'\1\2\3\4'), (D, b'\1\0\0\0'),
        (200, b'unknown')]


def ike_plain():
    yield 'init', message(34, 8, INIT)
    yield 'auth', message(35, 8, AUTHS)
    yield 'child', message(36, 0x28, CHILD)
    yield 'cookie', message(34, 0x20, [notify(16390, bytes(16))])
    yield 'ke', message(34, 0x20, [notify(17, b'\0\x13')])
    yield 'sk', message(35, 8, [(SK, bytes(60))])
    yield 'skf', message(35, 8, [(SKF, b'\0\1\0\3' + bytes(60))])


def ike_sealed():
    for number, (name, payloads) in enumerate((('auth', AUTHS), ('child', CHILD), ('info', INFO),
                                               ('empty', []))):
        first, text = chain(payloads)
        yield name, bytes([number, first, 40, 3, 0, 77]) + text


def certificate(issuer, issuer_key, key, ca):
    name = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, 'CH'),
                      x509.NameAttribute(NameOID.COMMON_NAME, 'root' if ca else 'moon')])
    day = datetime.datetime(2023, 11, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer or name) \
        .public_key(key.public_key()).serial_number(8).not_valid_before(day) \
        .not_valid_after(day + datetime.timedelta(days=365)) \
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
    if not ca:
        names = [x509.DNSName('moon.example.org'), x509.RFC822Name('carol@example.org'),
                 x509.IPAddress(ipaddress.ip_address('192.0.2.1'))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False) \
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    return builder.sign(issuer_key, hashes.SHA256())


def crl(issuer, key):
    day = datetime.datetime(2023, 11, 1)
    revoked = x509.RevokedCertificateBuilder().serial_number(8).revocation_date(day).build()
    return x509.CertificateRevocationListBuilder().issuer_name(issuer).last_update(day) \
        .next_update(day + datetime.timedelta(days=30)).add_revoked_certificate(revoked) \
        .sign(key, hashes.SHA256())


def ike_cert():
    der, pem = serialization.Encoding.DER, serialization.Encoding.PEM
    key = ec.generate_private_key(ec.SECP256R1())
    root = certificate(None, key, key, True)
    leaf = certificate(root.subject, key, key, False)
    yield 'leaf', b'\0' + leaf.public_bytes(der)
    yield 'root', b'\0' + root.public_bytes(der)
    yield 'root-file', b'\1' + root.public_bytes(der)
    yield 'crl-file', b'\1' + crl(root.subject, key).public_bytes(der)
    yield 'pem-file', b'\1' + root.public_bytes(pem) + crl(root.subject, key).public_bytes(pem)
    for number, text in enumerate(('C=CH, O="a, b", CN=*', '*@example.org', 'keyid:0x00ff', '2001:db8::1',
                                   'asn1dn:#300f310d300b06035504030c046d6f6f6e', '@@carol@example.org')):
        yield 'text-%d' % number, b'\2' + text.encode()
    yield 'dn', b'\3\x09' + root.subject.public_bytes()
    yield 'fqdn', b'\3\2moon.example.org'
    yield 'auth-ed25519', b'\4\x0e\7\x30\5\6\3\x2b\x65\x70' + bytes(64)
    yield 'auth-pss', b'\4\x0e\x43' + bytes.fromhex(
        '304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108'
        '300d06096086480165030402010500a203020120') + bytes(256)
    yield 'auth-ecdsa', b'\4\x09' + bytes(64)


def section(name, body):
    return b'\1' + bytes([len(name)]) + name.encode() + body + b'\2'


def pairs(**values):
    return b''.join(b'\3' + bytes([len(k)]) + k.encode() + struct.pack('>H', len(v)) + v.encode()
                    for k, v in values.items())


def items(name, *values):
    return b'\4' + bytes([len(name)]) + name.encode() + \
        b''.join(b'\5' + struct.pack('>H', len(v)) + v.encode() for v in values) + b'\6'


def packet(kind, name, body=b''):
    return struct.pack('>IBB', 2 + len(name) + len(body), kind, len(name)) + name.encode() + body


def vici():
    child = pairs(mode='tunnel', start_action='trap', dpd_action='restart', rekey_time='1h', life_bytes='1000000',
                  replay_window='1024', policies='yes') + items('local_ts', '10.1.0.0/16[tcp/443]', 'dynamic') + \
        items('remote_ts', 'fd00::/64', '10.2.0.0-10.2.0.9') + items('esp_proposals', 'aes128gcm16-x25519', 'default')
    conn = section('net-net', pairs(version='2', encap='yes', unique='replace', dpd_delay='30s', keyingtries='0')
                   + items('local_addrs', '192.0.2.1', 'gw.example.org') + items('remote_addrs', '%any')
                   + items('proposals', 'aes256-sha256-modp2048', 'aes128gcm16-prfsha256-x25519')
                   + section('local-1', pairs(auth='psk', id='gw1.example.org'))
                   + section('remote-1', pairs(auth='psk', id='*.example.org', revocation='strict'))
                   + section('children', section('net', child) + section('deny', pairs(mode='drop'))))
    secret = section('ike-1', pairs(secret='0x0102030405060708', id='a@b', id2='C=CH, CN=*'))
    yield 'conn', b'\0' + conn
    yield 'secret', b'\0' + secret
    yield 'deep', b'\0' + b'\1\1a' * 16 + b'\2' * 16
    yield 'deeper', b'\0' + b'\1\1a' * 17 + b'\2' * 17
    yield 'initiate', b'\0' + pairs(child='net', ike='net-net', timeout='5000', loglevel='1')
    yield 'echo', b'\1' + packet(0, 'echo', conn) + packet(0, 'echo')
    yield 'stream', b'\1' + packet(3, 'list-sa') + packet(0, 'stream', pairs(a='b')) + packet(4, 'list-sa')
    yield 'late', b'\1' + packet(0, 'late', pairs(child='net')) + packet(3, 'log')
    yield 'unknown', b'\1' + packet(0, 'nothing') + packet(3, 'nothing') + packet(4, 'log')
    yield 'cut', b'\1' + packet(0, 'echo', conn)[:40]
