#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes tests/fuzz/corpus/TARGET/*: packets as they are on real links, in the layout in which each
target reads its input. Run it again when a layout changes: seeds.py [FOLDER]"""
import os
import re
import struct
import sys

from scapy.all import (ICMP, IP, TCP, UDP, IPv6, ICMPv6EchoRequest, ICMPv6PacketTooBig,
                       IPOption_RR, IPOption_Router_Alert, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                       IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, Raw, RouterAlert, SCTP)

from ike_seeds import ike_cert, ike_plain, ike_sealed, vici

HERE = os.path.dirname(os.path.abspath(__file__))

A4, B4, A6, B6 = '10.1.0.5', '10.2.0.9', 'fd00:1::5', 'fd00:2::9'
SYN = dict(sport=40000, dport=443, flags='S', options=[('MSS', 1460), ('SAckOK', b''), ('WScale', 7)])
PAYLOAD = Raw(bytes(range(60)))
QUOTE = IP(src=B4, dst=A4) / UDP(sport=53, dport=4000) / Raw(b'quoted')


def ip4(**more):
    return IP(src=A4, dst=B4, id=7, **more)


def ip6(**more):
    return IPv6(src=A6, dst=B6, **more)


PACKETS = {
    'udp4': ip4(tos=0xba) / UDP(sport=4000, dport=5000) / PAYLOAD,
    'syn4': ip4(flags='DF', tos=1) / TCP(**SYN),
    'ack4': ip4(flags='DF') / TCP(sport=40000, dport=443, flags='PA') / Raw(bytes(range(250))),
    'ping4': ip4() / ICMP(id=1, seq=2) / PAYLOAD,
    'error4': ip4() / ICMP(type=3, code=4, nexthopmtu=1400) / QUOTE,
    'options4': ip4(options=[IPOption_Router_Alert(), IPOption_RR(pointer=4, routers=['0.0.0.0'] * 2)])
                / UDP(sport=4000, dport=5000) / PAYLOAD,
    'first4': ip4(flags='MF') / UDP(sport=4000, dport=5000, len=200) / Raw(bytes(64)),
    'later4': ip4(frag=9, proto=17) / Raw(bytes(64)),
    'sctp4': ip4() / SCTP(sport=1, dport=2) / PAYLOAD,
    'telnet4': ip4() / TCP(sport=40000, dport=23, flags='PA') / PAYLOAD,
    'udp6': ip6(tc=0xba, fl=0x12345) / UDP(sport=4000, dport=5000) / PAYLOAD,
    'syn6': ip6(tc=2) / TCP(**SYN),
    'ack6': ip6() / TCP(sport=40000, dport=443, flags='PA',
                        options=[('NOP', None), ('NOP', None), ('Timestamp', (7, 8))]) / Raw(bytes(range(250))),
    'ping6': ip6() / ICMPv6EchoRequest(id=1, seq=2) / PAYLOAD,
    'error6': ip6() / ICMPv6PacketTooBig(mtu=1280) / (ip6() / UDP() / Raw(b'quoted')),
    'hop6': ip6() / IPv6ExtHdrHopByHop(options=[RouterAlert()])
            / IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0\0')]) / UDP(sport=4000, dport=5000) / PAYLOAD,
    'route6': ip6() / IPv6ExtHdrRouting(addresses=[B6], segleft=0) / TCP(**SYN),
    'frag6': ip6() / IPv6ExtHdrFragment(offset=9, m=1, id=7, nh=17) / Raw(bytes(64)),
    'atomic6': ip6() / IPv6ExtHdrFragment(offset=0, m=0, id=7) / UDP() / PAYLOAD,
}

TRANSPORT, UDP_ENCAP, ESN, OUTER6, OTHER, OPENSSL, NARROW, MANY = 1, 2, 4, 8, 16, 32, 64, 128
# One algorithm of each kind, by its place in XIPSEC_ALGS.
ALGS = {'gcm': 0, 'iiv': 2, 'gmac': 4, 'chacha': 6, 'ccm': 8, 'cbc': 14, 'ctr': 20, 'null': 26}
SHAPES = {'plain': 0, 'esn6': ESN | OUTER6, 'udp': UDP_ENCAP | OTHER, 'narrow': NARROW | OPENSSL,
          'transport': TRANSPORT | ESN, 'transport-udp6': TRANSPORT | UDP_ENCAP | OUTER6 | OTHER}
START = struct.pack('>Q', 1000)


def head(alg, shape, window=4):
    return bytes([ALGS[alg], SHAPES.get(shape, shape), window])


def carried(packet, shape):
    """What the SA carries: the packet, or in transport mode what stands behind its IP header."""
    raw = bytes(packet)
    if not SHAPES[shape] & TRANSPORT:
        return raw, 4 if packet.version == 4 else 41
    front = (raw[0] & 15) * 4 if packet.version == 4 else 40
    return raw[front:], packet.proto if packet.version == 4 else packet.nh


def of_its_family(shape, packet):
    """In transport mode an SA seals no packet of the other family."""
    shape = SHAPES[shape]
    if not shape & TRANSPORT:
        return shape
    return shape & ~OUTER6 | (OUTER6 if packet.version == 6 else 0)


def esp_in():
    algs = list(ALGS)
    for n, (name, packet) in enumerate(PACKETS.items()):
        alg, shape = algs[n % len(algs)], list(SHAPES)[n % len(SHAPES)]
        text, following = carried(packet, shape)
        padded, not_now = 8, 64
        one = lambda kind, delta: (struct.pack('>BhBB', kind, delta, following, 0x02) + b'\0'
                                   + (b'\0' if SHAPES[shape] & UDP_ENCAP else b'')
                                   + struct.pack('>H', len(text)) + text)
        # twice in one burst, the second a replay; then a newer one of which a byte is changed
        yield name, (head(alg, shape) + START + one(padded | not_now, 1) + one(padded, 1)
                     + one(padded | 1, 2) + struct.pack('>HB', 40, 0x80))
    # a datagram of which a piece comes too early, another reaches into the first one
    for name, first, later in (('pieces4', PACKETS['first4'], lambda at: ip4(frag=at, proto=17)),
                               ('pieces6', ip6() / IPv6ExtHdrFragment(m=1, id=7) / PACKETS['first4'][UDP],
                                lambda at: ip6() / IPv6ExtHdrFragment(offset=at, id=7, nh=17))):
        parts = [later(9) / Raw(bytes(64)), first, later(9) / Raw(bytes(64)), later(8) / Raw(bytes(64))]
        yield name, head('gcm', 'narrow') + START + b''.join(
            struct.pack('>BhBBBH', padded, n + 1, carried(part, 'narrow')[1], 0, 0, len(part)) + bytes(part)
            for n, part in enumerate(parts))
    # flows of two answers, in turn, two of which a worker with many selectors remembers in one place
    flows = [ip4() / UDP(sport=port, dport=to) / PAYLOAD for port, to in ((4000, 5000), (408, 23), (4000, 23)) * 2]
    yield 'many4', head('gcm', NARROW | MANY) + START + b''.join(
        struct.pack('>BhBBBH', 8, n + 1, 4, 0, 0, len(flow)) + bytes(flow) for n, flow in enumerate(flows))
    yield 'dummy', head('gcm', 'plain') + START + struct.pack('>BhBBBH', 8, 1, 59, 0, 0, 100) + bytes(100)


def esp_out():
    algs = list(ALGS)
    for n, (name, packet) in enumerate(PACKETS.items()):
        raw = bytes(packet)
        shape = of_its_family(list(SHAPES)[n % len(SHAPES)], packet)
        yield name, (head(algs[n % len(algs)], shape) + bytes([n * 8 & 127, 10, 64])
                     + (b'\0\x80' if n * 8 & 32 else b'') + struct.pack('>H', 1500)
                     + struct.pack('>BBHH', 0, 120, 0, len(raw)) + raw
                     + struct.pack('>BBHH', 4, 120, 0, 20) + raw[:20])


def ah():
    for n, (name, packet) in enumerate(PACKETS.items()):
        shape = list(SHAPES)[n % len(SHAPES)]
        text, following = carried(packet, shape)
        shape = of_its_family(shape, packet)
        # no options, then the byte of flags (IPv4), TOS, the destination's end
        front = struct.pack('>H', 0) + bytes(6)
        if shape & OUTER6:
            front = front[:-1]
        come = struct.pack('>BBhB', 0, 100, 1, following) + front + struct.pack('>H', len(text)) + text
        raw = bytes(packet)
        go = bytes([2]) + struct.pack('>HHH', 350, 1500, len(raw)) + raw
        yield name, head(['gmac', 'null'][n & 1], shape) + START + come + go
    text = bytes(PACKETS['telnet4'])
    come = struct.pack('>BBhB', 0, 200, 1, 4) + bytes(8) + struct.pack('>H', len(text)) + text
    yield 'many4', head('null', NARROW | MANY) + START + come


def inner():
    for name, packet in PACKETS.items():
        yield name, struct.pack('>HBB', 1400, 40 if packet.version == 6 else 20, 0) + bytes(packet)


def cut():
    for name, packet in PACKETS.items():
        raw = bytes(packet)
        fragments = struct.pack('>BHB', 0, 68, 0 if packet.version == 4 else 40)
        yield 'fragment-' + name, fragments.ljust(12, b'\0') + raw
    for name, kind, offset in (('udp4', 5, 6), ('syn4', 1, 16), ('udp6', 5, 6), ('syn6', 4, 16)):
        packet = PACKETS[name]
        l4 = 14 + (20 if packet.version == 4 else 40)
        raw = bytes(packet) + (bytes(100) if 'syn' in name else b'')
        hdr = struct.pack('>BBBHHHH', 3, 1, kind, 16, l4, offset, 1400)
        yield 'segment-' + name, hdr.ljust(12, b'\0') + raw
    for name in ('ack4', 'ack6'):
        yield 'join-' + name, struct.pack('>BBBHH', 6, 1, 0, 40, 0).ljust(12, b'\0') + bytes(PACKETS[name])


def reassembly():
    # three datagrams, of 300, 77 and 2000 bytes; IPv4, IPv6 and IPv6 with a header more
    made = struct.pack('>BHBHBH', 2 * 5, 299, 1 + 2 * 3, 76, 0x41 + 2 * 15, 1999)
    piece = lambda datagram, at, how=0, more=b'': bytes([datagram | how, at]) + more
    yield 'order', b'\0' + made + b''.join(piece(0, at) for at in range(7)) + b''.join(
        piece(1, at) for at in (2, 1, 0)) + b''.join(piece(2, at) for at in range(16))
    yield 'mixed', b'\0' + made + b''.join(piece(n, at) for at in (3, 0, 2, 1, 4, 6, 5) for n in (0, 1))
    yield 'again', b'\0' + made + b''.join(piece(0, at) * 2 for at in range(7))
    yield 'overlap', b'\0' + made + piece(0, 0) + piece(0, 0, 8, b'\0\x08') + piece(0, 1)
    yield 'changed', b'\0' + made + piece(1, 0) + piece(1, 0, 0x20, b'\5') + piece(1, 1)
    yield 'ends', b'\0' + made + piece(1, 2) + piece(1, 1, 0x40) + piece(1, 0, 4) + piece(1, 2, 4, b'')
    yield 'late', b'\0' + made + piece(1, 0) + bytes([0x81, 250]) + bytes([1]) + piece(1, 2)
    for name in ('first4', 'later4', 'frag6', 'atomic6'):
        raw = bytes(PACKETS[name])
        yield 'raw-' + name, b'\x80' + made + bytes([3]) + struct.pack('>H', len(raw)) + raw


def ctl():
    DEV, DEV_GONE, XSK, SA, SA_GONE, NEXTHOP, GO, BOUND, TAP, TAP_GONE, TAP_SA, SLOW = range(2, 14)
    patched, long, fds = 0x80, 0x40, 0x20
    yield 'start', bytes([DEV, 0, DEV, 1, SA, 1, 0, SA, 2, 9, SA, 7, 0x80 | 25, NEXTHOP, 1, 1, 0, GO,
                          TAP, 0, TAP, 1, SLOW, 0, SLOW, 4])
    yield 'rekey', bytes([SA, 3, 0, GO, SA, 11, 0, SA_GONE, 3, 1, SA_GONE, 3, 2])
    yield 'tunnel', bytes([TAP, 1, SA, 0, 6, TAP_SA, 1, 0, TAP_GONE, 1, TAP_SA, 1, 0])
    yield 'dev', bytes([DEV, 3, DEV_GONE, 3, DEV | patched, 3, 1, 0, 20, 255])
    yield 'sockets', bytes([XSK])
    yield 'bound', bytes([BOUND])
    yield 'slow', bytes([SLOW, 5, SLOW, 5, SLOW | patched, 0, 1, 0, 8, 9])
    yield 'cut', bytes([DEV, 0, DEV | long, 0, 0, 20])
    yield 'descriptors', bytes([SLOW, 1, DEV | fds, 0, 3])
    yield 'selectors', bytes([SA | patched, 3, 0, 2, 0, 180, 65, 0, 181, 1])


def config():
    for path in ('deploy/xipsec.conf', 'docs/examples/gateway.conf', 'docs/examples/ipv6.conf',
                 'docs/examples/closed.conf', 'tests/unit/config/good.conf'):
        with open(os.path.join(HERE, '../..', path), 'rb') as file:
            text = file.read()
        for algorithm, length in ((b'aes128gcm16', 20), (b'aes256gcm16', 36)):
            text = re.sub(b'(algorithm = ' + algorithm + b'\n[^}]*key = )file:\\S*',
                          lambda found: found[1] + b'0x' + b'5a' * length, text)
        yield os.path.basename(path), text
    yield 'sas.conf', CONFIG.encode()


CONFIG = '''datapath { interfaces { eth0 { role = unprotected } }
}
policies {
	hosts { action = protect
		local = 192.0.2.1
		remote = 192.0.2.2
	}
	net { action = protect
		local = 10.1.0.0/16
		remote = 10.2.0.0/16
		proto = udp
		local_port = 1-100
	}
}
sas {
	t-in { child = hosts
		direction = in
		src = 192.0.2.2
		dst = 192.0.2.1
		spi = 0x2001
		mode = transport
		algorithm = aes128-sha256
		key = 0x%s
		esn = yes
		replay_window = 128
		encap = yes
		src_port = 4500
		dst_port = 4500
	}
	u-out { child = net
		direction = out
		src = 192.0.2.1
		dst = 192.0.2.2
		spi = 0x2002
		algorithm = chacha20poly1305
		key = 0x%s
		dscp = 46
		df = copy
		ttl = 32
		tfc_padding = 1000
		dummies = 1
		ecn = no
		rekey_time = 1h
		life_bytes = 10000000
		life_packets = 1000
		inactivity = 60
	}
	a-out { child = net
		protocol = ah
		direction = out
		src = 192.0.2.1
		dst = 192.0.2.2
		spi = 0x2003
		algorithm = sha256
		key = 0x%s
	}
}
''' % ('5a' * 48, '5b' * 36, '5c' * 32)


def main():
    base = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, 'corpus')
    for target in (esp_in, esp_out, ah, inner, cut, reassembly, ctl, config, ike_plain, ike_sealed, ike_cert, vici):
        folder = os.path.join(base, target.__name__)
        os.makedirs(folder, exist_ok=True)
        for name, content in target():
            with open(os.path.join(folder, name), 'wb') as file:
                file.write(content)


main()
