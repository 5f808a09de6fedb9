// SPDX-License-Identifier: BSD-2-Clause
/* What is said about bad connections {} and secrets {}. */
#include "tests/unit/config_fixture.h"

#define ENDS "local { auth = psk }\nremote { auth = psk }\n"

/* Engine xfrm knows policies before there is an SA: a selector that only the SA tells is not for
 * it, wherever in the connection the addresses stand. What is one address is. */
static void test_xfrm_wants_addresses(void **state)
{
#define XFRM(ts) "children { a { engine = xfrm\n replay_window = 64\n" ts " } }\n"
	_cleanup_config_ struct config *config = NULL;

	load_bad("connections { c { " ENDS
		 "local_addrs = 192.0.2.1\n" XFRM("local_ts = 10.0.0.0/8") "} }\n",
		 "xipsec.conf:4:12: a: engine = xfrm with a dynamic selector whose address only "
		 "its SA tells: expected one address in remote_addrs, or addresses in remote_ts, "
		 "or engine = afxdp\n");
	load_bad("connections { c { " ENDS XFRM(
			 "remote_ts = 10.0.0.0/8") "remote_addrs = 192.0.2.2 } }\n",
		 "xipsec.conf:3:12: a: engine = xfrm with a dynamic selector whose address only "
		 "its SA tells: expected one address in local_addrs, or addresses in local_ts, or "
		 "engine = afxdp\n");
	load_bad("connections { c { " ENDS "local_addrs = 192.0.2.1\n" XFRM(
			 "remote_ts = 10.0.0.0/8, dynamic") "remote_addrs = peer.example.org } }\n",
		 "xipsec.conf:4:12: a: engine = xfrm with a dynamic selector whose address only "
		 "its SA tells: expected one address in remote_addrs, or addresses in remote_ts, "
		 "or engine = afxdp\n");
	load_good("connections { c { " ENDS XFRM("") "local_addrs = 192.0.2.1\n"
						     "remote_addrs = 192.0.2.2 } }\n",
		  &config);
	assert_int_equal(config->conns[0].children[0].engine, XIPSEC_ENGINE_XFRM);
	assert_true(config_names_xfrm(config));
#undef XFRM
}

/* `attach` forgets keys before it asks. */
static void test_xfrm_is_named(void **state)
{
#define SA(engine)                                                                              \
	"policies { p { action = protect\n local = 10.0.0.0/8\n remote = 10.1.0.0/16 } }\n"     \
	"sas { a { child = p\n direction = out\n src = 192.0.2.1\n dst = 192.0.2.2\n "          \
	"spi = 0x1001\n algorithm = null-sha256\n key = "                                       \
	"0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n engine = " engine \
	" } }\n"
	static const struct {
		const char *text;
		bool named;
	} rows[] = {{SA("xfrm"), true}, {SA("afxdp"), false}, {SA("auto"), false}, {"", false}};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_config_ struct config *config = NULL;

		load_good(rows[i].text, &config);
		config_forget_sas(config);
		assert_int_equal(config_names_xfrm(config), rows[i].named);
	}
#undef SA
}

/* What strongSwan has and the data path has not is refused by name, never passed over. */
static void test_what_is_not_there(void **state)
{
	static const char *const keys[] = {"mark_in",      "mark_out", "set_mark_in",
					   "set_mark_out", "reqid",    "per_cpu_sas"};
	char text[512], says[256];

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(text, sizeof(text),
			 "connections { c { " ENDS "children { a { %s = 1 } } } }\n", keys[i]);
		snprintf(says, sizeof(says),
			 "xipsec.conf:3:16: %s is not supported in this version: expected it left "
			 "out\n",
			 keys[i]);
		load_bad(text, says);
	}
	load_bad("connections { c { " ENDS "children { a { ipcomp = yes } } } }\n",
		 "xipsec.conf:3:25: ipcomp = yes: IPComp is not supported: expected no, or no "
		 "ipcomp\n");
	load_bad("datapath { tunnels { t { if_id = 3 } } }\nconnections { c { " ENDS
		 "children { a { engine = xfrm\n if_id_in = 3\n if_id_out = 3 } } } }\n",
		 "xipsec.conf:2:15: c/a: the tunnel t has another engine: expected the same in "
		 "both, or no engine here\n");
}

/* Where they do not fit, of `child` with `addrs` in the connection: behind the key's place. */
static void assert_sealing_refused(const char *addrs, const char *child, const char *says)
{
	char text[512], want[512];

	snprintf(text, sizeof(text),
		 "connections { c { " ENDS "remote_addrs = %s\nchildren { a {\n%s } } } }\n", addrs,
		 child);
	snprintf(want, sizeof(want), "xipsec.conf:5:%s\n", says);
	load_bad(text, want);
}

static void test_sealing_refused(void **state)
{
	static const struct {
		const char *addrs, *child, *says;
	} rows[] = {
		{"%any", "ttl = 0", "7: 0 is not a good ttl: expected a number from 1 to 255"},
		{"%any", "ttl = 256", "7: 256 is not a good ttl: expected a number from 1 to 255"},
		{"%any", "dscp = 64", "8: dscp = 64: expected copy, or a number from 0 to 63"},
		{"%any", "dummies = 10001",
		 "11: 10001 is not a good dummies: expected a number from 0 to 10000"},
		{"%any", "flow_label = keep",
		 "14: flow_label = keep is not known: expected copy | zero"},
		{"%any", "df = no", "6: df = no is not known: expected set | clear | copy"},
#define KEEPS "transport mode keeps the packet's own header: expected mode = tunnel"
		{"%any", "ttl = 9\n mode = transport", "7: ttl = 9: " KEEPS},
		{"%any", "dscp = 0\n mode = transport", "8: dscp = 0: " KEEPS},
		{"%any", "flow_label = copy\n mode = transport", "14: flow_label = copy: " KEEPS},
		{"%any", "df = clear\n mode = transport", "6: df = clear: " KEEPS},
		{"%any", "df = copy\n mode = transport", "6: df = copy: " KEEPS},
#undef KEEPS
		{"%any", "tfc_padding = mtu\n mode = transport",
		 "15: tfc_padding = mtu: the end of a payload without its IP header cannot be told "
		 "from padding: expected mode = tunnel"},
		{"%any", "tfc_padding = 1\n ah_proposals = sha256",
		 "15: tfc_padding = 1: AH has neither padding nor dummies: expected esp_proposals"},
		{"%any", "tfc_padding = 65536",
		 "15: tfc_padding = 65536: expected mtu, or a number from 0 to 65535"},
		{"%any", "dummies = 1\n ah_proposals = sha256",
		 "11: dummies = 1: AH has neither padding nor dummies: expected esp_proposals"},
		{"192.0.2.2", "ttl = 9\n engine = xfrm",
		 "7: ttl = 9: kernel XFRM takes the ttl of the route: expected engine = afxdp"},
		{"192.0.2.2", "dummies = 1\n engine = xfrm",
		 "11: dummies = 1: kernel XFRM sends no dummy packets: expected engine = afxdp"},
		{"192.0.2.2", "dscp = 1\n engine = xfrm",
		 "8: dscp = 1: kernel XFRM copies the dscp or writes 0: expected copy or 0, or "
		 "engine = afxdp"},
		{"192.0.2.2, %any4", "flow_label = copy",
		 "14: flow_label = copy: an IPv4 header has no flow label: expected IPv6 outer "
		 "addresses, or flow_label = zero"},
		{"2001:db8::2", "df = copy",
		 "6: df = copy: an IPv6 header has no DF: expected IPv4 outer addresses, or df = "
		 "set "
		 "or clear"},
		{"%any", "df = set\n copy_df = no", "1: df beside copy_df: expected one of both"},
		{"%any", "dscp = 0\n copy_dscp = no",
		 "1: dscp beside copy_dscp: expected one of both"},
		{"%any", "ttl = 9\n mode = drop",
		 "1: ttl: a policy alone seals nothing: expected mode = tunnel, or no ttl"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char child[256];

		snprintf(child, sizeof(child),
			 "%s\n local_ts = 10.0.0.0/8\n remote_ts = 10.0.0.0/8", rows[i].child);
		assert_sealing_refused(rows[i].addrs, child, rows[i].says);
	}
}

static void test_errors(void **state)
{
	load_bad("connections { c { version = 1 } }\n",
		 "xipsec.conf:1:29: version = 1: IKEv1 is history (RFC 9395): expected 2, or 0\n");
	load_bad("connections { c { " ENDS "local-2 { auth = psk }\n} }\n",
		 "xipsec.conf:3:1: local-2 is one more round of authentication, not supported in "
		 "this version: expected one local and one remote section\n");
	load_bad("connections { c { remote { auth = psk }\n local { auth = eap-mschapv2 } } }\n",
		 "xipsec.conf:2:17: auth = eap-mschapv2: not supported in this version: expected "
		 "psk or pubkey\n");
	load_bad("connections { c { " ENDS "children { a { remote_ts = 10.0.0.0/33 } } } }\n",
		 "xipsec.conf:3:28: remote_ts: 10.0.0.0/33 is no selector: expected dynamic, "
		 "ADDRESS/LENGTH or FIRST-LAST, with [PROTO] or [PROTO/PORTS] behind it if wanted, "
		 "ports as numbers\n");
	load_bad("connections { c { " ENDS
		 "children { a { rekey_time = 10\n life_time = 10 } } } }\n",
		 "xipsec.conf:3:12: a: life_time is not above rekey_time: expected time to rekey "
		 "in\n");
	load_bad("connections { c { " ENDS "children { a { if_id_in = 3\n if_id_out = 3 } } } }\n",
		 "xipsec.conf:1:15: c/a: no tunnel has if_id = 3: expected one in datapath { "
		 "tunnels { NAME { if_id = 3 } } }\n");
	load_bad("connections { c { " ENDS
		 "children { a { local_ts = 10.0.0.0/8\n remote_ts = fd00::/8 } } } }\n",
		 "xipsec.conf:1:15: c/a: no pair of its local_ts and remote_ts can match a packet: "
		 "expected the same family and protocol on both sides\n");
	load_bad("connections { c { " ENDS "remote_addrs = 2001:db8::1, fe80::1 } }\n",
		 "xipsec.conf:3:16: remote_addrs: fe80::1 is of one link, not supported in this "
		 "version: expected an address that needs no interface beside it\n");
	load_bad("connections { c { " ENDS "chidren { } } }\n",
		 "xipsec.conf:3:1: unknown section chidren: expected children\n");
	load_bad(
		"connections { c { " ENDS "aggressive = yes } }\n",
		"xipsec.conf:3:14: aggressive = yes: IKEv2 has no aggressive mode: expected no, or "
		"no aggressive\n");
	load_bad("policies { a { action = connections }\n b { action = connections } }\n",
		 "xipsec.conf:2:2: b: connections {} have a place already: expected action = "
		 "connections once\n");
	load_bad("connections { c { " ENDS "proposals = aes128-sha1-modp1024 } }\n",
		 "xipsec.conf:3:13: proposals: aes128-sha1-modp1024: sha1: RFC 8247 and RFC 8221 "
		 "let SHA-1 go (MUST-)\n");
	load_bad(
		"connections { c { " ENDS
		"children { a { esp_proposals = aes128gcm16-x25519, 3des-sha256 } } } }\n",
		"xipsec.conf:3:32: esp_proposals: 3des-sha256: 3des: RFC 8221 says SHOULD NOT, RFC "
		"8247 lets it go\n");
	load_bad("secrets { eap-1 { secret = x } }\n",
		 "xipsec.conf:1:11: eap-1 {} is not supported in this version: expected ike*, "
		 "private*, rsa*, ecdsa* or pkcs8*\n");
	load_bad("secrets { ike-1 { secret = 0x0102030g } }\n",
		 "xipsec.conf:1:28: secret is no secret: expected text, 0x and hex digits, or 0s "
		 "and base64, at most 1024 letters\n");
}

static void test_secret_that_others_read(void **state)
{
	_cleanup_free_ char *errors = NULL;
	struct config *out = NULL;

	put("xipsec.conf", "secrets { ike { secret = hush } }\n", 34, 0644);
	assert_int_equal(load(&out, &errors), -EINVAL);
	assert_null(strstr(errors, "hush"));
	assert_non_null(strstr(errors, "others may read it: expected mode 0600"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xfrm_wants_addresses),
		cmocka_unit_test(test_xfrm_is_named),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_sealing_refused),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_secret_that_others_read),
	};

	return cmocka_run_group_tests_name("conn_errors", tests, config_setup, config_teardown);
}
