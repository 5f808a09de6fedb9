/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_CONFIG_CHANGES_H
#define TESTS_UNIT_CONFIG_CHANGES_H

/* The key of net-out in good.conf. */
#define KEY_BYTES "000102030405060708090a0b0c0d0e0f10111213"

/* One change of the good file, and all that is said then. */
static const struct change {
	const char *from, *to, *errors;
} changes[] = {
	{"workers = 2", "wokers = 2", "xipsec.conf:3:2: unknown key wokers: expected workers\n"},
	{"workers = 2", "workers = 65",
	 "xipsec.conf:3:12: workers = 65: expected auto or 1 to 64\n"},
	{"backend = openssl", "backend = opnssl",
	 "xipsec.conf:4:12: backend = opnssl is not known: expected auto | ipsec-mb | openssl (did "
	 "you mean openssl?)\n"},
	{"worker_uid = 62000", "worker_uid = 0",
	 "xipsec.conf:5:15: 0 is not a good worker_uid: expected a number from 1 to 2147483392\n"},
	{"max_sas = 16", "max_sas = 1",
	 "xipsec.conf:57:2: more SAs than max_sas = 1: expected a larger max_sas\n"},
	{"max_sas = 16",
	 "max_sas =", "xipsec.conf:6:2: max_sas has no value: expected `max_sas = ...`\n"},
	{"pin_dir = /sys", "pin_dir = sys",
	 "xipsec.conf:7:12: pin_dir = sys/fs/bpf/test: expected an absolute path of less than 256 "
	 "bytes\n"},
	{"dhcp,", "dchp,",
	 "xipsec.conf:10:10: allow: dchp is not known: expected dhcp, mld or an ethertype from "
	 "0x0600 "
	 "to 0xffff\n"},
	{"0x88cc", "0x0800",
	 "xipsec.conf:10:10: allow: 0x0800 cannot be let through as a whole: expected an ethertype "
	 "other than IPv4, IPv6, ARP and VLAN; IP is for policies {}\n"},
	{"lo, docker0", "lo,, docker0",
	 "xipsec.conf:11:11: exempt has an empty item: expected items with one comma between\n"},
	{"lo, docker0", "lo, eth1",
	 "xipsec.conf:2:1: eth1 has a role and is exempt: expected one of both\n"},
	{"role = unprotected", "", "xipsec.conf:13:3: eth0 has no role: expected `role = ...`\n"},
	{"role = unprotected", "role = red",
	 "xipsec.conf:13:17: role = red is not known: expected protected | unprotected\n"},
	{"eth1\n", "eth0\n",
	 "xipsec.conf:14:3: eth0 stands twice, first at xipsec.conf:13:3: expected it once\n"},
	{"eth1\n", "an-interface-of-16\n",
	 "xipsec.conf:14:3: bad name an-interface-of-16: expected 1 to 15 letters, digits or signs "
	 "without space, slash and quote\n"},
	{"policies {", "polices {",
	 "xipsec.conf:20:1: unknown section polices: expected policies\n"},
	{"direction = in\n", "direction = in\n\t\tdirection = in\n",
	 "xipsec.conf:24:3: direction stands twice, first at xipsec.conf:23:3: expected it once\n"},
	{"local = 192.0.2.1", "local = 192.0.2.300",
	 "xipsec.conf:24:11: local: 192.0.2.300 is no prefix: expected ADDRESS/LENGTH, FIRST-LAST, "
	 "an address, "
	 "or "
	 "any\n"},
	{"192.0.2.0/24,", "192.0.2.1/24,",
	 "xipsec.conf:25:12: remote: 192.0.2.1/24 has host bits set: expected 192.0.2.0/24, or "
	 "192.0.2.1/32 for the one address\n"},
	{"192.0.2.0/24,", "192.0.2.0/33,",
	 "xipsec.conf:25:12: remote: 192.0.2.0/33 has a bad prefix length: expected 0 to 32\n"},
	{"local = 192.0.2.1", "local = 2001:db8::1",
	 "xipsec.conf:21:2: mgmt: no pair of its local and remote prefixes and its protocol is of "
	 "one family: expected IPv4 with IPv4 or IPv6 with IPv6 (of IPv4: icmp; of IPv6: "
	 "ipv6-icmp, mobility-header, opaque)\n"},
	{"proto = tcp", "proto = gre",
	 "xipsec.conf:21:2: mgmt has ports, but its protocol has none: expected proto = tcp, udp, "
	 "sctp, dccp or udplite\n"},
	{"proto = tcp", "proto = 256",
	 "xipsec.conf:26:11: 256 is not a good proto: expected a number from 0 to 255\n"},
	{"local_port = 22", "local_port = 23-22",
	 "xipsec.conf:27:16: local_port = 23-22 is no range: expected N or N-M with N <= M from 0 "
	 "to "
	 "65535, or any\n"},
	{"proto = icmp", "proto = udp",
	 "xipsec.conf:30:2: ping has icmp_type or icmp_code for another protocol: expected proto = "
	 "icmp "
	 "or ipv6-icmp\n"},
	{"icmp_type = 8", "icmp_type = 8-9",
	 "xipsec.conf:30:2: ping has icmp_code without one icmp_type: expected icmp_type = N\n"},
	{"local_port = 22", "local_port = 22, 80-79",
	 "xipsec.conf:27:16: local_port = 80-79 is no range: expected N or N-M with N <= M from 0 "
	 "to "
	 "65535, or any\n"},
	{"local_port = 22", "local_port = opaque",
	 "xipsec.conf:21:2: mgmt: a packet hides both ports or none: expected opaque alone, or "
	 "local_port = opaque and remote_port = opaque\n"},
	{"icmp_type = 8\n\t\ticmp_code = 0", "local_port = opaque",
	 "xipsec.conf:30:2: ping has opaque ports, but its protocol has none: expected proto = "
	 "any, "
	 "tcp, udp, sctp, dccp or udplite\n"},
	{"icmp_type = 8\n\t\ticmp_code = 0", "icmp_type = opaque",
	 "xipsec.conf:30:2: ping: expected icmp_type and mh_type as numbers or any; local_port = "
	 "opaque is for what hides ports\n"},
	{"icmp_type = 8\n\t\ticmp_code = 0", "mh_type = 5",
	 "xipsec.conf:30:2: ping has mh_type for another protocol: expected proto = "
	 "mobility-header\n"},
	{"direction = in", "direction = forward",
	 "xipsec.conf:23:15: direction = forward is not known: expected out | in | both\n"},
	{"local = 192.0.2.1", "local = 192.0.2.9-192.0.2.1",
	 "xipsec.conf:24:11: local: 192.0.2.9-192.0.2.1 is no range of addresses: expected "
	 "FIRST-LAST of one family, the lower one first\n"},
	{"local = 192.0.2.1", "local = 192.0.2.9-2001:db8::1",
	 "xipsec.conf:24:11: local: 192.0.2.9-2001:db8::1 is no range of addresses: expected "
	 "FIRST-LAST of one family, the lower one first\n"},
	{"local_port = 22", "local_port = 22\n\t\tdscp = 64",
	 "xipsec.conf:28:10: 64 is not a good dscp: expected a number from 0 to 63\n"},
	{"child = net\n", "child = two words\n",
	 "xipsec.conf:47:11: child = two words is no name: expected 1 to 63 letters, digits or "
	 "signs without space, slash and quote\n"},
	{"action = discard", "action = discard\n\t\tchild = x",
	 "xipsec.conf:41:2: rest names a child, but does not protect: expected action = protect\n"},
	{"child = net\n", "child = nett\n",
	 "xipsec.conf:46:2: net-out: no policy protects its child nett in direction out: expected "
	 "one "
	 "with action = protect, that child and that direction\n"},
	{"action = protect", "action = protect\n\t\tdirection = out",
	 "xipsec.conf:58:2: net-in: no policy protects its child net in direction in: expected one "
	 "with "
	 "action = protect, that child and that direction\n"},
	{"src = 192.0.2.1\n", "src = 224.0.0.1\n",
	 "xipsec.conf:49:9: src = 224.0.0.1: expected a unicast IPv4 or IPv6 address\n"},
	{"src = 192.0.2.1\n", "src = 2001:db8::1\n",
	 "xipsec.conf:46:2: src and dst of net-out are of two families: expected IPv4 with IPv4 or "
	 "IPv6 "
	 "with IPv6\n"},
	{"src = 192.0.2.1\n", "src = 192.0.2.2\n",
	 "xipsec.conf:46:2: src and dst of net-out are the same: expected two gateways\n"},
	{"spi = 0x1001", "spi = 255",
	 "xipsec.conf:51:9: spi = 255: expected a number from 256 to 0xffffffff\n"},
	{"spi = 0x1001", "spi = " KEY_BYTES,
	 "xipsec.conf:51:9: spi = (hidden: looks like a key): expected a number from 256 to "
	 "0xffffffff\n"},
	{"algorithm = aes128gcm16", "algorithm = aes256gcm16",
	 "xipsec.conf:53:9: the key of net-out has 20 bytes: expected 36 for aes256gcm16, 32 of "
	 "key and "
	 "then 4 of salt\n"},
	{"key = 0x", "key 0x",
	 "xipsec.conf:53:7: unexpected a name: expected end of line or `{` or `=` or `:`\n"},
	{"key = 0x", "0x" KEY_BYTES " =",
	 "xipsec.conf:53:3: unknown key (hidden: looks like a key): expected one of child, "
	 "direction, "
	 "src, dst, spi, algorithm, key, protocol, mode, esn, replay_window, engine, fresh_key, "
	 "local_ts, remote_ts, if_id, later_fragments, encap, src_port, dst_port, follow, df, "
	 "dscp, ecn, "
	 "flow_label, ttl, "
	 "tfc_padding, dummies, rekey_time, rekey_bytes, rekey_packets, life_time, life_bytes, "
	 "life_packets, inactivity\nxipsec.conf:46:2: net-out has no key: expected `key = ...`\n"},
	{"key = 0x00", "key = 0x0",
	 "xipsec.conf:53:9: the key has an odd number of hex digits: expected hex digits, or "
	 "file:PATH "
	 "of a file with them\n"},
	{"key = 0x00", "key = 0xg0",
	 "xipsec.conf:53:9: the key has a letter that is no hex digit: expected hex digits, or "
	 "file:PATH "
	 "of a file with them\n"},
	{"key = file:key", "key = 0x" KEY_BYTES KEY_BYTES KEY_BYTES KEY_BYTES KEY_BYTES KEY_BYTES,
	 "xipsec.conf:64:9: the key is longer than that of any algorithm: expected hex digits, or "
	 "file:PATH of a file with them\n"},
	{"aes256gcm16\n\t\tkey = file:key", "aes128gcm16\n\t\tkey = " KEY_BYTES,
	 "xipsec.conf:64:9: net-in has the key of net-out (xipsec.conf:46), so nonces would be "
	 "used "
	 "twice: expected a key of its own\n"},
	{"aes256gcm16\n\t\tkey = file:key",
	 "aes128ctr-sha256\n\t\tkey = " KEY_BYTES
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 "xipsec.conf:64:9: net-in has the cipher key and salt of net-out (xipsec.conf:46), so "
	 "nonces "
	 "would be used twice: expected a key of its own\n"},
	{"dst = 192.0.2.1\n\t\tspi = 4098", "dst = 192.0.2.2\n\t\tspi = 4097",
	 "xipsec.conf:57:2: src and dst of net-in are the same: expected two gateways\n"},
	{"src = 192.0.2.2\n\t\tdst = 192.0.2.1\n\t\tspi = 4098",
	 "src = 192.0.2.1\n\t\tdst = 192.0.2.2\n\t\tspi = 4097",
	 "xipsec.conf:57:2: net-in has the dst and spi of net-out (xipsec.conf:46): expected "
	 "another "
	 "spi\n"},
	{"key = file:key", "key = file:missing",
	 "xipsec.conf:64:9: cannot open key file DIR/missing (No such file or directory): expected "
	 "a "
	 "file with hex digits\n"},
	{"esn = yes", "esn = maybe", "xipsec.conf:54:9: esn = maybe: expected yes | no\n"},
	{"replay_window = 2048", "replay_window = 63",
	 "xipsec.conf:55:19: 63 is not a good replay_window: expected a number from 64 to 8192\n"},
	{"replay_window = 2048", "replay_window = 8193",
	 "xipsec.conf:55:19: 8193 is not a good replay_window: expected a number from 64 to "
	 "8192\n"},
	{"replay_window = 2048", "replay_window = 1023",
	 "xipsec.conf:55:19: net-out: a replay window of 1023 is too narrow for an outbound SA "
	 "that 2 "
	 "workers share: expected replay_window of at least 1024 on both gateways, or workers = "
	 "1\n"},
	{"engine = afxdp", "engine = xfrm",
	 "xipsec.conf:63:15: algorithm = aes256gcm16: kernel XFRM makes IVs from a secret that no "
	 "record on disk has: with a key from a file they could repeat: expected AES-CBC with a "
	 "hash, or engine = afxdp\n"},
	{"mode = tunnel", "mode = transport",
	 "xipsec.conf:57:2: net-in: policies of child net reach beyond src and dst, which is all "
	 "that transport mode carries: expected local and remote to be those two addresses, or "
	 "mode = tunnel\n"},
	{"mode = tunnel", "local_ts = 10.1.0.0/15",
	 "xipsec.conf:66:14: local_ts: 10.1.0.0/15 has host bits set: expected 10.0.0.0/15, or "
	 "10.1.0.0/32 for the one address\n"},
	{"mode = tunnel", "local_ts = 10.0.0.0/15",
	 "xipsec.conf:57:2: net-in: local_ts and remote_ts are wider than the policies of child "
	 "net: "
	 "expected each pair inside one of them\n"},
	{"connections {",
	 "connections {\n\tgw {\n\t\tlocal_addrs = 192.0.2.1\n\t\tchildren { }\n\t}",
	 "xipsec.conf:71:2: gw does not say who the peer is: expected `remote { ... }`\n"
	 "xipsec.conf:71:2: gw does not say who this end is: expected `local { ... }`\n"},
	{"secrets { }", "secrets { ike-1 { secret = \"two words\"\nid = } }",
	 "xipsec.conf:73:1: id has no value: expected `id = ...`\n"},
	{"connections {\n", "secrets {\n",
	 "xipsec.conf:72:1: secrets stands twice, first at xipsec.conf:70:1: expected it once\n"},
	{"secrets { }", "}\nsecrets { }",
	 "xipsec.conf:72:1: unexpected `}`: no section is open here\n"},
	{"secrets { }", "secrets {",
	 "xipsec.conf:73:1: end of file inside a section: expected `}` for the `{` of line 72\n"},
	{"secrets { }", "secrets : other { }",
	 "xipsec.conf:72:1: secrets refers to other sections: expected `name {`, references are "
	 "not "
	 "supported in this version\n"},
	{"secrets { }", "secrets = 1",
	 "xipsec.conf:72:1: secrets has a value: expected a section, `secrets { ... }`\n"},
	{"secrets { }", "include gone.conf",
	 "xipsec.conf:72:9: include: there is no DIR/gone.conf: expected a file\n"},
	{"secrets { }", "include xipsec.conf",
	 "xipsec.conf:72:9: include: DIR/xipsec.conf is being read already, the include goes in a "
	 "circle: expected another file\n"},
	{"secrets { }", "include .",
	 "xipsec.conf:72:9: include: cannot read DIR/. (Is a directory): expected a readable "
	 "file\n"},
};

#endif
