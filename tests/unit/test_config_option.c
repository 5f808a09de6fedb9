// SPDX-License-Identifier: BSD-2-Clause
/* Options of SAs and tunnels {}: every key, what goes together, and what a client may bring. */
#include "tests/unit/config_fixture.h"
#include <netinet/in.h>
#include "lib/sa_selectors.h"

/* ------------------------------------------------------------------ options */

#define HOSTS "src = 192.0.2.1\ndst = 192.0.2.2\n"
#define SIX   "src = 2001:db8::1\ndst = 2001:db8::2\n"
#define BACK  "src = 192.0.2.2\ndst = 192.0.2.1\n"
#define HEX8  "a1a2a3a4a5a6a7a8"
#define HEX32 HEX8 HEX8 HEX8 HEX8
#define GCM   "algorithm = aes128gcm16\nkey = " HEX8 HEX8 "a9aaabac\n"
#define MAC   "protocol = ah\nalgorithm = sha256\nkey = " HEX32 "\n"
#define OUT   "direction = out\n" HOSTS "child = net\n" GCM
#define OUT6  "direction = out\n" SIX "child = net\n" GCM
#define IN    "direction = in\n" BACK "child = net\n" GCM
#define AH    "direction = out\n" HOSTS "child = net\n" MAC
#define HOST  "direction = out\nmode = transport\n" HOSTS "child = host\n" GCM
#define TUN   "direction = out\n" HOSTS GCM

/* Line 15 is the first of `lines`. */
static char *sa_file(const char *lines)
{
	char *text;

	assert_true(asprintf(&text,
			     "datapath {\n\ttunnels {\n\t\tipsec7 { if_id = 7 }\n\t}\n}\n"
			     "policies {\n\thost { action = protect\n\t\tlocal = 192.0.2.1\n"
			     "\t\tremote = 192.0.2.2 }\n\tnet { action = protect }\n}\n"
			     "sas {\n\ts {\n\tspi = 256\n%s\t}\n}\n",
			     lines) > 0);
	return text;
}

/* Loads the one SA; its key has gone with the model. */
static struct xipsec_sa sa_of(const char *lines)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = sa_file(lines);

	load_good(text, &config);
	assert_int_equal(config->n_sas, 1);
	return config->sas[0].sa;
}

static void test_header_options(void **state)
{
	struct xipsec_sa sa = sa_of("df = copy\ndscp = 46\necn = no\nttl = 17\n"
				    "tfc_padding = 1400\ndummies = 10\n" OUT);

	assert_int_equal(sa.l4_proto, IPPROTO_ESP);
	assert_int_equal(sa.mode, XIPSEC_MODE_TUNNEL);
	assert_int_equal(sa.df, XIPSEC_DF_COPY);
	assert_int_equal(sa.dscp, 46);
	assert_int_equal(sa.ttl, 17);
	assert_int_equal(sa.tfc_size, 1400);
	assert_int_equal(sa.dummies, 10);
	assert_int_equal(sa.flags, XIPSEC_SA_MANUAL | XIPSEC_SA_DSCP | XIPSEC_SA_NO_ECN);
	sa = sa_of("df = clear\ndscp = 0\ntfc_padding = mtu\n" OUT);
	assert_int_equal(sa.df, XIPSEC_DF_CLEAR);
	assert_int_equal(sa.dscp, 0);
	assert_int_equal(sa.tfc_size, XIPSEC_TFC_MTU);
	assert_int_equal(sa.flags, XIPSEC_SA_MANUAL | XIPSEC_SA_DSCP);
	sa = sa_of("dummies = 10000\n" HOST);
	assert_int_equal(sa.mode, XIPSEC_MODE_TRANSPORT);
	assert_int_equal(sa.dummies, 10000);
	sa = sa_of("flow_label = copy\n" OUT6);
	assert_int_equal(sa.flags, XIPSEC_SA_MANUAL | XIPSEC_SA_FLOW_COPY);
	/* defaults may stand anywhere */
	sa = sa_of("df = set\ndscp = copy\necn = yes\nflow_label = zero\ntfc_padding = 0\n"
		   "dummies = 0\nencap = no\nfollow = yes\nlater_fragments = no\nif_id = 0\n" IN);
	assert_int_equal(sa.flags, XIPSEC_SA_MANUAL);
	assert_int_equal(sa.df + sa.dscp + sa.ttl + sa.tfc_size + sa.dummies + sa.if_id, 0);
	assert_int_equal(sa.src_port + sa.dst_port, 0);
}

static void test_later_fragments(void **state)
{
	struct xipsec_sa sa = sa_of("later_fragments = yes\n" IN);

	assert_int_equal(sa.flags, XIPSEC_SA_MANUAL | XIPSEC_SA_LATER);
}

static void test_encap(void **state)
{
	struct xipsec_sa sa = sa_of("encap = yes\nsrc_port = 4501\n" IN);

	assert_int_equal(sa.flags, XIPSEC_SA_MANUAL | XIPSEC_SA_UDP);
	assert_int_equal(ntohs(sa.src_port), 4501);
	assert_int_equal(ntohs(sa.dst_port), 4500);
	sa = sa_of("encap = yes\nfollow = yes\n" IN);
	assert_int_equal(sa.flags, XIPSEC_SA_MANUAL | XIPSEC_SA_UDP);
	sa = sa_of("encap = yes\nfollow = no\n" IN);
	assert_int_equal(sa.flags, XIPSEC_SA_MANUAL | XIPSEC_SA_UDP | XIPSEC_SA_STAY);
}

static void test_limits(void **state)
{
	struct xipsec_sa sa = sa_of("rekey_time = 4h\nlife_time = 1 d\ninactivity = 5M\n"
				    "rekey_bytes = 6g\nlife_bytes = 18446744073709551615\n"
				    "rekey_packets = 4294967296\nlife_packets = 4294967296\n" IN);

	assert_int_equal(sa.limits.soft_time, 14400);
	assert_int_equal(sa.limits.hard_time, 86400);
	assert_int_equal(sa.limits.idle, 300);
	assert_true(sa.limits.soft_bytes == 6442450944ULL);
	assert_true(sa.limits.hard_bytes == ~0ULL);
	assert_true(sa.limits.soft_packets == 1ULL << 32);
	assert_true(sa.limits.hard_packets == 1ULL << 32);
	/* a soft limit without a hard one, as above a hard one of 0 */
	sa = sa_of("rekey_time = 90s\nrekey_bytes = 3k\n" OUT);
	assert_int_equal(sa.limits.soft_time, 90);
	assert_true(sa.limits.soft_bytes == 3072);
	assert_int_equal(sa.limits.hard_time, 0);
}

/* Every algorithm that there is, with a key of its length. */
static void test_algorithms(void **state)
{
	static const struct {
		const char *name;
		unsigned int alg, len;
		bool esp, ah;
	} algs[] = {
#define ROW(sym, text, key, auth, salt, iv, icv, align) \
	{text, XIPSEC_ALG_##sym, key + auth + salt, true, false},
		XIPSEC_ALGS(ROW)
#undef ROW
			{"sha256", XIPSEC_ALG_NULL_SHA256, 32, false, true},
		{"sha384", XIPSEC_ALG_NULL_SHA384, 48, false, true},
		{"SHA512", XIPSEC_ALG_NULL_SHA512, 64, false, true},
		{"aes128gmac", XIPSEC_ALG_AES128GMAC, 20, true, true},
		{"aes256gmac", XIPSEC_ALG_AES256GMAC, 36, true, true},
	};

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		char lines[512], key[2 * XIPSEC_KEY_MAX + 1];
		struct xipsec_sa sa;

		memset(key, 'b', 2 * algs[i].len);
		key[2 * algs[i].len] = 0;
		for (int ah = 0; ah < 2; ah++) {
			if (!(ah ? algs[i].ah : algs[i].esp))
				continue;
			snprintf(lines, sizeof(lines),
				 "algorithm = %s\nkey = %s\nprotocol = %s\nchild = net\n"
				 "direction = out\n" HOSTS,
				 algs[i].name, key, ah ? "ah" : "ESP");
			sa = sa_of(lines);
			assert_int_equal(sa.alg, algs[i].alg);
			assert_int_equal(sa.key_len, algs[i].len);
			assert_int_equal(sa.l4_proto, ah ? IPPROTO_AH : IPPROTO_ESP);
		}
	}
}

static void test_transport(void **state)
{
	static const char *const good_ones[] = {
		HOST,
		"local_ts = 192.0.2.1\n" HOST,
		"local_ts = 192.0.2.1/32\nremote_ts = 192.0.2.2\n" HOST,
		"mode = transport\ndirection = in\nremote_ts = 192.0.2.2\n" BACK
		"child = host\n" GCM,
	};

	for (size_t i = 0; i < sizeof(good_ones) / sizeof(good_ones[0]); i++) {
		struct xipsec_sa sa = sa_of(good_ones[i]);

		assert_int_equal(sa.mode, XIPSEC_MODE_TRANSPORT);
		assert_int_equal(sa.n_selectors, 1);
		assert_ip4(&sa.selector[0].local_lo, "192.0.2.1");
		assert_ip4(&sa.selector[0].local_hi, "192.0.2.1");
		assert_ip4(&sa.selector[0].remote_lo, "192.0.2.2");
		assert_ip4(&sa.selector[0].remote_hi, "192.0.2.2");
		assert_int_equal(sa.refuse[0], 0);
	}
}

static void test_if_id(void **state)
{
	struct xipsec_sa sa = sa_of("if_id = 7\n" TUN);

	assert_int_equal(sa.if_id, 7);
	assert_string_equal(sa.child, "ipsec7");
	assert_int_equal(sa.n_selectors, 1);
	assert_int_equal(sa.selector[0].family, XIPSEC_FAMILY_ANY);
	assert_int_equal(sa.selector[0].any_proto, 1);
	assert_int_equal(sa.refuse[0], 0);
	sa = sa_of("if_id = 0x7\nchild = ipsec7\nlocal_ts = 10.1.0.0/16, 2001:db8:1::/48\n"
		   "direction = in\n" BACK GCM);
	assert_int_equal(sa.n_selectors, 2);
	assert_ip4(&sa.selector[0].local_lo, "10.1.0.0");
	assert_int_equal(sa.selector[1].family, XIPSEC_FAMILY_IP6);
}

static const struct {
	const char *lines, *errors;
} options_bad[] = {
	/* values */
	{"protocol = udp\n" OUT, "15:12: protocol = udp is not known: expected esp | ah\n"},
	{"df = no\n" OUT, "15:6: df = no is not known: expected set | clear | copy\n"},
	{"dscp = 64\n" OUT, "15:8: dscp = 64: expected copy, or a number from 0 to 63\n"},
	{"ecn = 2\n" OUT, "15:7: ecn = 2: expected yes | no\n"},
	{"flow_label = keep\n" OUT,
	 "15:14: flow_label = keep is not known: expected copy | zero\n"},
	{"ttl = 0\n" OUT, "15:7: 0 is not a good ttl: expected a number from 1 to 255\n"},
	{"tfc_padding = 65536\n" OUT,
	 "15:15: tfc_padding = 65536: expected mtu, or a number from 0 to 65535\n"},
	{"dummies = 10001\n" OUT,
	 "15:11: 10001 is not a good dummies: expected a number from 0 to 10000\n"},
	{"encap = yes\nsrc_port = 0\n" OUT,
	 "16:12: 0 is not a good src_port: expected a number from 1 to 65535\n"},
	{"rekey_time = 1w\n" OUT,
	 "15:14: rekey_time = 1w: expected seconds below 2^32, or a number with s, m, h or "
	 "d\n"},
	{"life_time = 49711d\n" OUT,
	 "15:13: life_time = 49711d: expected seconds below 2^32, or a number with s, m, h "
	 "or d\n"},
	{"life_time = -1\n" OUT,
	 "15:13: life_time = -1: expected seconds below 2^32, or a number with s, m, h or "
	 "d\n"},
	{"rekey_bytes = 17179869184g\n" OUT, "15:15: rekey_bytes = 17179869184g: expected "
					     "bytes below 2^64, or a number with k, "
					     "m or g\n"},
	{"life_bytes = 1kb\n" OUT,
	 "15:14: life_bytes = 1kb: expected bytes below 2^64, or a number with k, m or "
	 "g\n"},
	{"life_packets = 1k\n" OUT, "15:16: life_packets = 1k: expected a number below 2^64\n"},
	/* soft above hard */
	{"rekey_time = 2h\nlife_time = 119m\n" OUT,
	 "15:14: rekey_time = 2h: rekey_time is above life_time, so it would never come: "
	 "expected a shorter rekey_time\n"},
	{"rekey_bytes = 2\nlife_bytes = 1\n" OUT,
	 "15:15: rekey_bytes = 2: rekey_bytes is above life_bytes, so it would never come: "
	 "expected a smaller rekey_bytes\n"},
	{"rekey_packets = 2\nlife_packets = 1\n" OUT,
	 "15:17: rekey_packets = 2: rekey_packets is above life_packets, so it would never "
	 "come: expected a smaller rekey_packets\n"},
/* sides */
#define SIDE(column, text)                                                                       \
	{                                                                                        \
		text "\n" IN, "15:" column ": " text ": this is done where packets are sealed: " \
			      "expected it on the outbound SA alone\n"                           \
	}
	SIDE("6", "df = clear"),
	SIDE("8", "dscp = 10"),
	SIDE("7", "ecn = no"),
	SIDE("7", "ttl = 64"),
	SIDE("15", "tfc_padding = mtu"),
	SIDE("11", "dummies = 1"),
#undef SIDE
/* modes */
#define HEADER(column, text)                                                                      \
	{                                                                                         \
		text "\n" HOST,                                                                   \
			"15:" column ": " text ": transport mode keeps the packet's own header: " \
			"expected mode = tunnel\n"                                                \
	}
	HEADER("6", "df = copy"),
	HEADER("8", "dscp = 10"),
	HEADER("7", "ecn = no"),
	HEADER("7", "ttl = 1"),
#undef HEADER
	{"tfc_padding = 1\n" HOST, "15:15: tfc_padding = 1: the end of a payload without "
				   "its IP header cannot be told "
				   "from padding: expected mode = tunnel\n"},
	/* families */
	{"flow_label = copy\n" OUT,
	 "15:14: flow_label = copy: an IPv4 header has no flow label: expected IPv6 outer "
	 "addresses, or flow_label = zero\n"},
	{"df = copy\n" OUT6,
	 "15:6: df = copy: an IPv6 header has no DF: expected IPv4 outer addresses, or df = set or "
	 "clear\n"},
	/* UDP and AH */
	{"dst_port = 4500\n" OUT,
	 "15:12: dst_port = 4500: only ESP in UDP has ports: expected encap = yes\n"},
	{"encap = yes\ndst_port = 5500\n" IN,
	 "16:12: dst_port = 5500: ESP in UDP is received at port 4500 alone: expected 4500\n"},
	{"follow = no\n" IN,
	 "15:10: follow = no: whom to follow shows in what comes in by ESP in UDP: expected it on "
	 "the inbound SA, with encap = yes\n"},
	{"later_fragments = yes\n" OUT, "15:19: later_fragments = yes: fragments follow out of "
					"inbound tunnels alone: expected it on "
					"the inbound SA, with mode = tunnel\n"},
	{"encap = yes\nfollow = no\n" OUT,
	 "16:10: follow = no: whom to follow shows in what comes in by ESP in UDP: expected it on "
	 "the inbound SA, with encap = yes\n"},
	{"encap = yes\n" AH,
	 "15:9: encap = yes: AH cannot pass NAT, its ICV covers the addresses (RFC 3715 "
	 "2.1): expected encap = no, or protocol = esp\n"},
	{"tfc_padding = mtu\n" AH, "15:15: tfc_padding = mtu: AH has neither padding nor "
				   "dummies: expected protocol = "
				   "esp\n"},
	{"dummies = 1\n" AH,
	 "15:11: dummies = 1: AH has neither padding nor dummies: expected protocol = "
	 "esp\n"},
	/* keys */
	{"child = net\ndirection = out\n" HOSTS "algorithm = aes128ctr-sha256\nkey = " HEX32 "\n",
	 "20:7: the key of s has 32 bytes: expected 52 for aes128ctr-sha256, 16 of cipher "
	 "key and then 4 of nonce and then 32 of integrity key\n"},
	{"child = net\ndirection = out\nprotocol = ah\n" HOSTS "algorithm = sha384\nkey = " HEX32
	 "\n",
	 "21:7: the key of s has 32 bytes: expected 48 for sha384, 48 of key\n"},
	/* transport mode */
	{"local_ts = 192.0.2.0/24\n" HOST,
	 "15:12: local_ts = 192.0.2.0/24: transport mode carries only packets between src "
	 "and dst: expected the address of src, or no local_ts\n"},
	{"remote_ts = any\n" HOST,
	 "15:13: remote_ts = any: transport mode carries only packets between src and dst: "
	 "expected the address of dst, or no remote_ts\n"},
	{"remote_ts = 192.0.2.1\n" HOST,
	 "15:13: remote_ts = 192.0.2.1: transport mode carries only packets between src "
	 "and "
	 "dst: expected the address of dst, or no remote_ts\n"},
	{"mode = transport\n" OUT,
	 "13:2: s: policies of child net reach beyond src and dst, which is all that "
	 "transport mode carries: expected local and remote to be those two addresses, or "
	 "mode = tunnel\n"},
	/* tunnels */
	{TUN, "13:2: s has no child: expected `child = ...`, or if_id of a tunnel\n"},
	{"if_id = 8\n" TUN,
	 "15:9: s: no tunnel has if_id = 8: expected one in datapath { tunnels { NAME { "
	 "if_id = 8 } } }\n"},
	{"if_id = 7\n" OUT,
	 "15:9: s: if_id = 7 leads it to the tunnel ipsec7, no policy to its child net: "
	 "expected no child, or child = ipsec7\n"},
	{"if_id = 7\nengine = xfrm\ndirection = out\n" HOSTS "algorithm = null-sha256\nkey = " HEX32
	 "\n",
	 "15:9: s: the tunnel ipsec7 has another engine: expected the same in both, or no engine "
	 "here\n"},
	{"if_id = 7\nlocal_ts = 10.0.0.0/8\nremote_ts = 2001:db8::/32\n" TUN,
	 "13:2: s: no pair of local_ts and remote_ts is of one family: expected IPv4 with "
	 "IPv4 or IPv6 with IPv6\n"},
};

static void test_options_bad(void **state)
{
	for (size_t i = 0; i < sizeof(options_bad) / sizeof(options_bad[0]); i++) {
		_cleanup_free_ char *text = sa_file(options_bad[i].lines), *expected = NULL;

		assert_true(asprintf(&expected, "xipsec.conf:%s", options_bad[i].errors) > 0);
		load_bad(text, expected);
	}
}

/* RFC 8221 and what else is not there: by name, with the reason. */
static void test_algorithms_refused(void **state)
{
	static const struct {
		const char *name, *why, *expected;
		bool ah;
	} rows[] = {
		{"des-md5", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"DES-sha256", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"des_iv64-sha256", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"des_iv32-sha256", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"blowfish256-sha256", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"3idea-sha256", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"aes128-md5", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"aes128-kpdk_md5", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"aes128-des_mac", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"aes128", ": RFC 8221 says MUST NOT without integrity", "aes128gcm16 | ", false},
		{"aes256ctr", ": RFC 8221 says MUST NOT without integrity", "aes128gcm16 | ",
		 false},
		{"null", ": RFC 8221 says MUST NOT without integrity", "aes128gcm16 | ", false},
		{"aes128-none", ": RFC 8221 says MUST NOT without integrity", "aes128gcm16 | ",
		 false},
		{"AES256CTR-null", ": RFC 8221 says MUST NOT without integrity", "aes128gcm16 | ",
		 false},
		{"null-none", ": RFC 8221 says MUST NOT without integrity", "aes128gcm16 | ",
		 false},
		{"aes128cbc", ": RFC 8221 says MUST NOT without integrity", "aes128gcm16 | ",
		 false},
		{"aes128gcm16-none", " is not known", "aes128gcm16 | ", false},
		{"null-md5", ": RFC 8221 says MUST NOT", "aes128gcm16 | ", false},
		{"3des-sha256", ": RFC 8221 says SHOULD NOT", "aes128gcm16 | ", false},
		{"aes256-sha1", ": RFC 8221 lets SHA-1 go (MUST-)", "aes128gcm16 | ", false},
		{"idea-sha256", ": RFC 8221 does not have it", "aes128gcm16 | ", false},
		{"cast128-sha256", ": RFC 8221 does not have it", "aes128gcm16 | ", false},
		{"rc5-sha256", ": RFC 8221 does not have it", "aes128gcm16 | ", false},
		{"aes192gcm16", " is not known", "aes128gcm16 | ", false},
		{"sha256", " is not known", "aes128gcm16 | ", false},
		{"md5", ": RFC 8221 says MUST NOT", "aes128gmac | aes256gmac | sha256", true},
		{"sha1", ": RFC 8221 lets SHA-1 go (MUST-)", "aes128gmac | ", true},
		{"aes128gcm16", " is none of AH", "aes128gmac | aes256gmac | sha256", true},
		{"null-sha256", " is none of AH", "aes128gmac | aes256gmac | sha256", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_free_ char *errors = NULL, *lines = NULL, *text = NULL, *start = NULL;
		struct config *config = NULL;

		assert_true(asprintf(&lines,
				     "algorithm = %s\nkey = " HEX32
				     "\nprotocol = %s\ndirection = out\nchild = net\n" HOSTS,
				     rows[i].name, rows[i].ah ? "ah" : "esp") > 0);
		text = sa_file(lines);
		put_text("xipsec.conf", text);
		assert_int_equal(load(&config, &errors), -EINVAL);
		assert_true(asprintf(&start,
				     "xipsec.conf:15:13: algorithm = %s%s: expected one of %s",
				     rows[i].name, rows[i].why, rows[i].expected) > 0);
		errors[strlen(errors) > strlen(start) ? strlen(start) : 0] = 0;
		assert_string_equal(errors, start);
	}
}

/* ------------------------------------------------------------------ tunnels */

static void test_tunnels(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good("datapath { tunnels {\nipsec7 { if_id = 7\nmtu = 1400 }\nvti0 { if_id = "
		  "0xffffffff\nengine = xfrm }\n} }",
		  &config);
	assert_int_equal(config->n_tunnels, 2);
	assert_string_equal(config->tunnels[0].name, "ipsec7");
	assert_int_equal(config->tunnels[0].mtu, 1400);
	assert_int_equal(config->tunnels[1].mtu, 0);
	assert_int_equal(config->tunnels[0].engine, XIPSEC_ENGINE_AFXDP);
	assert_int_equal(config->tunnels[1].engine, XIPSEC_ENGINE_XFRM);
	assert_true(config_names_xfrm(config));
	assert_true(config_tunnel_takes(&config->tunnels[1], XIPSEC_ENGINE_NONE));
	assert_true(config_tunnel_takes(&config->tunnels[1], XIPSEC_ENGINE_XFRM));
	assert_false(config_tunnel_takes(&config->tunnels[1], XIPSEC_ENGINE_AFXDP));
	assert_ptr_equal(config_tunnel_find(config, 0xffffffff), &config->tunnels[1]);
	assert_null(config_tunnel_find(config, 8));
	load_bad("datapath {\ntunnels {\na { if_id = 0 }\nb { mtu = 1400 }\nc { if_id = 3\n"
		 "mtu = 575 }\nd { if_id = 4 }\ne { if_id = 4 }\nxipsec0 { if_id = 6 }\n"
		 "sixteen-letters- { if_id = 9 }\nf { if_id = 5\nengine = auto }\n} }",
		 "xipsec.conf:3:13: 0 is not a good if_id: expected a number from 1 to 4294967295\n"
		 "xipsec.conf:4:1: b has no if_id: expected `if_id = ...`\n"
		 "xipsec.conf:6:7: 575 is not a good mtu: expected a number from 576 to 65535\n"
		 "xipsec.conf:8:1: e has the if_id of d, 4: expected an if_id of its own\n"
		 "xipsec.conf:9:1: xipsec0 is the interface of xipsecd itself: expected another "
		 "name\n"
		 "xipsec.conf:10:1: bad name sixteen-letters-: expected 1 to 15 letters, digits or "
		 "signs without space, slash and quote\n"
		 "xipsec.conf:12:10: engine = auto is not known: expected afxdp | xfrm\n");
	load_bad(
		"datapath {\ninterfaces { t { role = protected } }\ntunnels {\nt { if_id = 1 }\n}"
		"\n}\npolicies {\np { action = protect\nchild = t }\n}",
		"xipsec.conf:4:1: t has a role and is a tunnel: expected one of both\n"
		"xipsec.conf:8:1: p leads into t, which is a tunnel: what goes there is for routes "
		"to say: expected another child\n");
	/* a broken datapath {}: nothing is concluded from tunnels that are not there */
	load_bad("datapath {\ntunels { t { if_id = 1 } }\n}\nsas {\ns {\nif_id = 1\nspi = 256\n" TUN
		 "}\n}",
		 "xipsec.conf:2:1: unknown section tunels: expected tunnels\n");
}

static void test_tunnel_unused(void **state)
{
	static const char expected[] = ":1:22: warning: t: no SA of sas {} has if_id = 1\n";
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);
	char path[128];

	put_text("xipsec.conf", "datapath { tunnels { t { if_id = 1 } } }");
	path_of(path, sizeof(path), "xipsec.conf");
	assert_int_equal(config_load_warn(path, &config, stderr, file), 0);
	fclose(file);
	assert_string_equal(text + strlen(path), expected);
}

/* ------------------------------------------------------------------ a client's */

/* What a client may bring of tunnels and transport mode, by the config of sa_file(). */
static void test_client(void **state)
{
	_cleanup_free_ char *text = sa_file("if_id = 7\n" TUN);
	_cleanup_config_ struct config *config = NULL;
	struct xipsec_sa sa;

	load_good(text, &config);
	sa = (struct xipsec_sa){.dir = XIPSEC_DIR_IN,
				.mode = XIPSEC_MODE_TUNNEL,
				.outer_family = XIPSEC_FAMILY_IP4,
				.child = "ipsec7",
				.if_id = 7};
	assert_null(sa_selectors_narrow(config, &sa));
	assert_int_equal(sa.n_selectors, 1);
	sa.if_id = 8;
	assert_non_null(strstr(sa_selectors_narrow(config, &sa), "no tunnel"));
	/* rights are names of children: those of policies must not open a tunnel, nor go beyond
	 * the policies by it */
	sa.if_id = 7;
	strcpy(sa.child, "host");
	assert_non_null(strstr(sa_selectors_narrow(config, &sa), "not the tunnel"));
	sa.if_id = 0;
	strcpy(sa.child, "ipsec7");
	sa.n_selectors = 0;
	assert_non_null(strstr(sa_selectors_narrow(config, &sa), "no policy"));
	/* transport mode: `net` is any to any, `host` those two */
	sa.mode = XIPSEC_MODE_TRANSPORT;
	assert_int_equal(inet_pton(AF_INET, "192.0.2.2", sa.src.byte), 1);
	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", sa.dst.byte), 1);
	strcpy(sa.child, "net");
	assert_non_null(strstr(sa_selectors_narrow(config, &sa), "beyond"));
	strcpy(sa.child, "host");
	assert_null(sa_selectors_narrow(config, &sa));
	assert_int_equal(sa.n_selectors, 1);
	assert_ip4(&sa.selector[0].remote_lo, "192.0.2.2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_options),
		cmocka_unit_test(test_later_fragments),
		cmocka_unit_test(test_encap),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_if_id),
		cmocka_unit_test(test_options_bad),
		cmocka_unit_test(test_algorithms_refused),
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_tunnel_unused),
		cmocka_unit_test(test_client),
	};

	return cmocka_run_group_tests_name("config_option", tests, config_setup, config_teardown);
}
