// SPDX-License-Identifier: BSD-2-Clause
/* connections {} and secrets {}: what strongSwan's words mean here, and what is said about bad
 * ones. */
#include "tests/unit/config_fixture.h"
#include <netinet/in.h>
#include "lib/addr.h"
#include "lib/config_policy.h"

#define ENDS "local { auth = psk }\nremote { auth = psk }\n"

static const char full[] =
	"connections {\n"
	"  gw-gw {\n"
	"    version = 2\n"
	"    local_addrs = 192.0.2.1\n"
	"    remote_addrs = 198.51.100.1, peer.example.org, 203.0.113.0/24, "
	"203.0.114.1-203.0.114.9\n"
	"    proposals = aes128gcm16-prfsha256-x25519, default\n"
	"    encap = yes\n"
	"    dscp = 101110\n"
	"    dpd_delay = 30s\n"
	"    keyingtries = 0\n"
	"    unique = replace\n"
	"    reauth_time = 0\n"
	"    rekey_time = 1h\n"
	"    fragmentation = force\n"
	"    send_cert = always\n"
	"    local {\n"
	"      auth = rsa/pss-3072-sha384\n"
	"      certs = gw.pem, other.pem\n"
	"      id = moon.example.org\n"
	"    }\n"
	"    remote-1 {\n"
	"      auth = ike:ecdsa-256-sha256-sha384\n"
	"      id = \"C=CH, O=strongSwan, CN=*\"\n"
	"      cacerts = ca.pem\n"
	"      cacert-2 { file = /etc/ca2.pem }\n"
	"      revocation = strict\n"
	"    }\n"
	"    children {\n"
	"      net-net {\n"
	"        local_ts = 10.1.0.0/16\n"
	"        remote_ts = 10.2.0.0/16, 10.3.0.1-10.3.0.4\n"
	"        esp_proposals = aes128gcm16-x25519, aes256-sha256-esn\n"
	"        start_action = trap\n"
	"        dpd_action = restart\n"
	"        close_action = start\n"
	"        rekey_time = 100\n"
	"        rekey_bytes = 1k\n"
	"        life_bytes = 4k\n"
	"        copy_df = no\n"
	"        tfc_padding = mtu\n"
	"        replay_window = 64\n"
	"        engine = xfrm\n"
	"      }\n"
	"      web {\n"
	"        local_ts = dynamic[tcp/1024-65535]\n"
	"        remote_ts = 10.9.0.0/24[tcp/443]\n"
	"        mode = transport\n"
	"        ah_proposals = sha256\n"
	"      }\n"
	"      gap { mode = pass\n local_ts = 10.1.0.0/16[icmp/2048]\n remote_ts = 10.4.0.0/16 }\n"
	"    }\n"
	"  }\n"
	"}\n"
	"secrets {\n"
	"  ike-moon { id = moon.example.org\n id-2 = 192.0.2.1\n secret = 0sVGhpcw== }\n"
	"  ike { secret = \"a b\" }\n"
	"  ike-hex { secret = 0x0102ff }\n"
	"  private-a { file = a.key\n secret = pass }\n"
	"}\n"
	"policies {\n"
	"  first { action = bypass\n remote = 192.0.2.0/24 }\n"
	"  here { action = connections }\n"
	"  last { action = discard }\n"
	"}\n";

static void test_connection(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	const struct conn *conn;

	load_good(full, &config);
	assert_int_equal(config->n_conns, 1);
	conn = config->conns;
	assert_string_equal(conn->name, "gw-gw");
	assert_int_equal(conn->local_addrs.n, 1);
	assert_ip4(&conn->local_addrs.host[0].lo, "192.0.2.1");
	assert_int_equal(conn->remote_addrs.n, 4);
	assert_int_equal(conn->remote_addrs.host[1].kind, CONN_HOST_NAME);
	assert_string_equal(conn->remote_addrs.host[1].name, "peer.example.org");
	assert_ip4(&conn->remote_addrs.host[2].hi, "203.0.113.255");
	assert_ip4(&conn->remote_addrs.host[3].lo, "203.0.114.1");
	assert_int_equal(conn->proposals.n, 2);
	assert_true(conn->encap);
	assert_true(conn->mobike);
	assert_int_equal(conn->dscp, 46);
	assert_int_equal(conn->dpd_delay, 30);
	assert_int_equal(conn->keyingtries, 0);
	assert_int_equal(conn->unique, CONN_UNIQUE_REPLACE);
	assert_int_equal(conn->fragmentation, CONN_FRAG_FORCE);
	assert_int_equal(conn->send_cert, CONN_SEND_CERT_ALWAYS);
	assert_int_equal(conn->rekey_time, 3600);
	assert_int_equal(conn->over_time, 360);
	assert_int_equal(conn->rand_time, 360);
	assert_int_equal(conn->local_port, 500);
}

static void test_auth(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	const struct conn_auth *auth;

	load_good(full, &config);
	auth = &config->conns[0].local;
	assert_int_equal(auth->kind, CONN_AUTH_PUBKEY);
	assert_int_equal(auth->keys, CONN_KEY_RSA_PSS);
	assert_int_equal(auth->min_rsa, 3072);
	assert_int_equal(auth->min_ecdsa, 0);
	assert_int_equal(auth->chain_hashes, CONN_HASH_SHA384);
	assert_int_equal(auth->hashes, CONN_HASH_SHA384);
	assert_int_equal(auth->certs.n, 2);
	assert_string_equal(auth->certs.blob[1].file, "other.pem");
	assert_string_equal(auth->id, "moon.example.org");
	auth = &config->conns[0].remote;
	assert_int_equal(auth->keys, CONN_KEY_ECDSA);
	assert_int_equal(auth->min_ecdsa, 256);
	assert_int_equal(auth->min_rsa, 0);
	assert_int_equal(auth->chain_hashes, 0); /* ike: of AUTH alone */
	assert_int_equal(auth->hashes, CONN_HASH_SHA256 | CONN_HASH_SHA384);
	assert_string_equal(auth->id, "C=CH, O=strongSwan, CN=*");
	assert_int_equal(auth->cacerts.n, 2);
	assert_string_equal(auth->cacerts.blob[1].file, "/etc/ca2.pem");
	assert_int_equal(auth->revocation, CONN_REVOCATION_STRICT);
}

/* Strengths are of the type of key that stands before them. */
static void test_strengths(void **state)
{
	static const struct {
		const char *auth;
		unsigned int min_rsa, min_ecdsa; /* both 0: refused */
	} rows[] = {{"rsa-3072-ecdsa-256", 3072, 256},
		    {"ecdsa-384-rsa-2048-sha256", 2048, 384},
		    {"rsa/pss-sha256-4096", 4096, 0},
		    {"rsa-4096-3072", 3072, 0},
		    {"ecdsa-256-ed25519", 0, 256},
		    {"pubkey-2048", 0, 0},
		    {"ed25519-256", 0, 0},
		    {"2048", 0, 0},
		    {"ecdsa-256-ed25519-256", 0, 0},
		    {"rsa-0", 0, 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_config_ struct config *config = NULL;
		_cleanup_free_ char *errors = NULL;
		char text[200];

		snprintf(text, sizeof(text),
			 "connections { c { local { auth = psk }\nremote { auth = %s\n} } }\n",
			 rows[i].auth);
		put_text("xipsec.conf", text);
		if (!rows[i].min_rsa && !rows[i].min_ecdsa) {
			assert_int_equal(load(&config, &errors), -EINVAL);
			assert_non_null(strstr(errors, "expected psk, pubkey"));
			continue;
		}
		assert_int_equal(load(&config, &errors), 0);
		assert_int_equal(config->conns[0].remote.min_rsa, rows[i].min_rsa);
		assert_int_equal(config->conns[0].remote.min_ecdsa, rows[i].min_ecdsa);
	}
}

static void test_children(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	const struct conn_child *child;

	load_good(full, &config);
	child = conn_child_find(config->conns, "net-net");
	assert_non_null(child);
	assert_string_equal(child->sadb_name, "gw-gw/net-net");
	assert_int_equal(child->proposals.n, 2);
	assert_int_equal(child->l4_proto, IPPROTO_ESP);
	assert_int_equal(child->start_action, CONN_ACTION_TRAP);
	assert_int_equal(child->close_action, CONN_ACTION_START);
	assert_int_equal(child->dpd_action, CONN_ACTION_START);
	assert_int_equal(child->rekey_time, 100);
	assert_int_equal(child->life_time, 110);
	assert_int_equal(child->rand_time, 10);
	assert_int_equal(child->rekey_bytes, 1024);
	assert_int_equal(child->rand_bytes, 3072);
	assert_int_equal(child->df, XIPSEC_DF_CLEAR);
	assert_int_equal(child->tfc_size, XIPSEC_TFC_MTU);
	assert_int_equal(child->replay_window, 64);
	assert_int_equal(child->engine, XIPSEC_ENGINE_XFRM);
	assert_int_equal(child->remote_ts.n, 2);
	assert_ip4(&child->remote_ts.ts[1].lo, "10.3.0.1");
	child = conn_child_find(config->conns, "web");
	assert_int_equal(child->l4_proto, IPPROTO_AH);
	assert_int_equal(child->mode, CONN_MODE_TRANSPORT);
	assert_true(child->local_ts.ts[0].dynamic);
	assert_int_equal(child->local_ts.ts[0].port_lo, 1024);
	assert_int_equal(child->rekey_time, 3600);
	assert_int_equal(child->life_time, 3960);
	assert_int_equal(child->replay_window, 1024);
	assert_int_equal(child->engine, XIPSEC_ENGINE_NONE);
	assert_null(conn_child_find(config->conns, "none"));
}

/* Keys of ours, called as in sas {}; of IKE packets the connection's own `dscp` tells. */
static void test_sealing(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	const struct conn_child *child;

	load_good("connections { c { " ENDS
		  "dscp = 101110\nremote_addrs = 2001:db8::2\nchildren {\n"
		  "all { remote_ts = 10.1.0.0/16\n df = set\n dscp = 34\n flow_label = copy\n "
		  "ttl = 17\n dummies = 10000 }\n"
		  "none { remote_ts = 10.2.0.0/16 }\n"
		  "kept { remote_ts = 10.3.0.0/16\n df = clear\n dscp = copy\n flow_label = zero\n "
		  "dummies = 0 }\n"
		  "zero { local_ts = 10.6.0.0/16\n remote_ts = 10.4.0.0/16\n dscp = 0\n copy_df = "
		  "no\n engine = xfrm }\n"
		  "host { remote_ts = 10.5.0.0/16\n mode = transport\n df = set\n dscp = copy\n "
		  "flow_label = zero\n dummies = 7 }\n"
		  "} } }\n",
		  &config);
	assert_int_equal(config->conns[0].dscp, 46);
	child = conn_child_find(config->conns, "all");
	assert_int_equal(child->df, XIPSEC_DF_SET);
	assert_int_equal(child->copy_dscp, CONN_DSCP_NO);
	assert_int_equal(child->dscp, 34);
	assert_true(child->flow_copy);
	assert_int_equal(child->ttl, 17);
	assert_int_equal(child->dummies, 10000);
	child = conn_child_find(config->conns, "none");
	assert_int_equal(child->df, XIPSEC_DF_COPY);
	assert_int_equal(child->copy_dscp, CONN_DSCP_OUT);
	assert_false(child->flow_copy);
	assert_int_equal(child->dscp + child->ttl + child->dummies, 0);
	child = conn_child_find(config->conns, "kept");
	assert_int_equal(child->df, XIPSEC_DF_CLEAR);
	assert_int_equal(child->copy_dscp, CONN_DSCP_OUT);
	assert_false(child->flow_copy);
	child = conn_child_find(config->conns, "zero");
	assert_int_equal(child->copy_dscp, CONN_DSCP_NO);
	assert_int_equal(child->dscp, 0);
	child = conn_child_find(config->conns, "host");
	assert_int_equal(child->copy_dscp, CONN_DSCP_OUT);
	assert_int_equal(child->dummies, 7);
}

static void test_secrets(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good(full, &config);
	assert_int_equal(config->n_secrets, 4);
	assert_int_equal(config->secrets[0].kind, CONN_SECRET_IKE);
	assert_int_equal(config->secrets[0].owners.n, 2);
	assert_string_equal(config->secrets[0].owners.text[1], "192.0.2.1");
	assert_int_equal(config->secrets[0].len, 4);
	assert_memory_equal(config->secrets[0].data, "This", 4);
	assert_int_equal(config->secrets[1].owners.n, 0);
	assert_memory_equal(config->secrets[1].data, "a b", 3);
	assert_int_equal(config->secrets[2].len, 3);
	assert_memory_equal(config->secrets[2].data, "\x01\x02\xff", 3);
	assert_int_equal(config->secrets[3].kind, CONN_SECRET_PRIVATE);
	assert_string_equal(config->secrets[3].file, "a.key");
	config_forget_sas(config);
	assert_int_equal(config->n_secrets, 0);
}

/* RFC 7296 2.15: 64 octets at least, as they are. */
static void test_long_secret(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	char text[256], secret[101];

	for (int i = 0; i < 100; i++)
		secret[i] = (char)('a' + i % 26);
	secret[100] = 0;
	snprintf(text, sizeof(text), "secrets { ike { secret = %s } }\n", secret);
	load_good(text, &config);
	assert_int_equal(config->n_secrets, 1);
	assert_int_equal(config->secrets[0].len, 100);
	assert_memory_equal(config->secrets[0].data, secret, 100);
}

/* ------------------------------------------------------------------ the SPD */

static void assert_rule(const struct xipsec_spd_rule *rule, unsigned int action,
			const char *local_lo, const char *local_hi, const char *remote_lo,
			const char *remote_hi)
{
	assert_int_equal(rule->action, action);
	assert_int_equal(rule->dirs, XIPSEC_DIR_IN | XIPSEC_DIR_OUT);
	assert_ip4(&rule->sel.local_lo, local_lo);
	assert_ip4(&rule->sel.local_hi, local_hi);
	assert_ip4(&rule->sel.remote_lo, remote_lo);
	assert_ip4(&rule->sel.remote_hi, remote_hi);
}

static void test_rules_have_their_place(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	static const char *const names[] = {"first", "gw-gw/net-net", "gw-gw/web", "gw-gw/gap",
					    "last"};
	const struct xipsec_spd_rule *rule;

	load_good(full, &config);
	assert_int_equal(config->n_policies, 5);
	for (unsigned int i = 0; i < 5; i++)
		assert_string_equal(config->policies[i].name, names[i]);
	assert_string_equal(config->policies[1].child, "gw-gw/net-net");
	assert_string_equal(config->policies[3].child, "");
	/* 10.3.0.1-10.3.0.4 is one rule, though no prefix */
	rule = config->policies[1].rules;
	assert_int_equal(config->policies[1].n_rules, 2);
	assert_rule(&rule[0], XIPSEC_ACTION_PROTECT, "10.1.0.0", "10.1.255.255", "10.2.0.0",
		    "10.2.255.255");
	assert_rule(&rule[1], XIPSEC_ACTION_PROTECT, "10.1.0.0", "10.1.255.255", "10.3.0.1",
		    "10.3.0.4");
	/* dynamic is the one local address */
	rule = config->policies[2].rules;
	assert_int_equal(config->policies[2].n_rules, 1);
	assert_rule(rule, XIPSEC_ACTION_PROTECT, "192.0.2.1", "192.0.2.1", "10.9.0.0",
		    "10.9.0.255");
	assert_int_equal(rule->sel.l4_proto, IPPROTO_TCP);
	assert_int_equal(rule->sel.local_port_lo, 1024);
	assert_int_equal(rule->sel.remote_port_lo, 443);
	assert_int_equal(rule->sel.remote_port_hi, 443);
	rule = config->policies[3].rules;
	assert_rule(rule, XIPSEC_ACTION_BYPASS, "10.1.0.0", "10.1.255.255", "10.4.0.0",
		    "10.4.255.255");
	assert_int_equal(rule->sel.icmp_lo, 2048);
	assert_int_equal(rule->sel.icmp_hi, 2048);
	assert_int_equal(rule->sel.local_port_hi, XIPSEC_PORT_MAX);
}

static void test_rules_come_last_otherwise(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good("connections { c { " ENDS "children { n { start_action = none\n remote_ts = "
		  "10.0.0.0/8 } } } }\npolicies { all { action = bypass } }\n",
		  &config);
	assert_int_equal(config->n_policies, 2);
	assert_string_equal(config->policies[0].name, "all");
	assert_string_equal(config->policies[1].name, "c/n");
	/* whose address is not known: closed for every one, until an SA says more */
	assert_int_equal(config->policies[1].n_rules, 1);
	assert_rule(config->policies[1].rules, XIPSEC_ACTION_DISCARD, "0.0.0.0", "255.255.255.255",
		    "10.0.0.0", "10.255.255.255");
}

/* A range is one rule, whatever it crosses. */
static void test_ranges(void **state)
{
	static const char *const ranges[] = {
		"0.0.0.0-255.255.255.255",
		"0.0.0.1-255.255.255.254",
		"10.0.0.0-10.0.0.0",
		"1.2.3.4-4.3.2.1",
		"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"2001:db8::1-2001:db8::ffff:0",
	};

	for (unsigned int i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct conn_ts ts[2] = {{.any_proto = true, .port_hi = XIPSEC_PORT_MAX},
					{.any_proto = true, .port_hi = XIPSEC_PORT_MAX}};
		struct conn_child child = {.local_ts = {1, &ts[0]}, .remote_ts = {1, &ts[1]}};
		struct conn conn = {0};
		_cleanup_free_ struct xipsec_spd_rule *rule = NULL;
		struct xipsec_addr first, last;
		unsigned int n;

		assert_true(text_addr_range(ranges[i], &ts[0].lo, &ts[0].hi, &ts[0].family));
		addr_any(ts[0].family, &first, &last);
		assert_int_equal(conn_child_rules(&conn, &child, &rule, &n), 0);
		assert_int_equal(n, 1);
		assert_int_equal(rule->sel.family, ts[0].family);
		assert_memory_equal(&rule->sel.local_lo, &ts[0].lo, sizeof(ts[0].lo));
		assert_memory_equal(&rule->sel.local_hi, &ts[0].hi, sizeof(ts[0].hi));
		assert_memory_equal(&rule->sel.remote_lo, &first, sizeof(first));
		assert_memory_equal(&rule->sel.remote_hi, &last, sizeof(last));
	}
}

/* OPAQUE is for packets that hide their ports, and no others. */
static void test_opaque(void **state)
{
	struct conn_ts ts[2] = {{.l4_proto = IPPROTO_UDP, .opaque = true},
				{.l4_proto = IPPROTO_UDP, .port_hi = XIPSEC_PORT_MAX}};
	struct conn_child child = {.local_ts = {1, &ts[0]}, .remote_ts = {1, &ts[1]}};
	struct conn conn = {0};
	_cleanup_free_ struct xipsec_spd_rule *rule = NULL;
	unsigned int n;

	assert_true(text_addr_range("10.0.0.0/8", &ts[0].lo, &ts[0].hi, &ts[0].family));
	assert_int_equal(conn_child_rules(&conn, &child, &rule, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rule->sel.opaque, XIPSEC_OPAQUE_PORTS);
	assert_int_equal(rule->sel.l4_proto, IPPROTO_UDP);
	assert_true(xipsec_selector_any_port(&rule->sel));
}

/* ------------------------------------------------------------------ reload */

static void digests(const char *text, struct config **out)
{
	load_good(text, out);
	assert_int_equal((*out)->n_conns, 1);
}

static void test_same(void **state)
{
	static const char base[] = "connections { c { " ENDS
				   "dpd_delay = 5\nchildren { a { remote_ts = 10.0.0.0/8\n "
				   "rekey_time = 5m } } } }\n";
	static const char order[] = "connections { c { children { a { rekey_time = 5m\n remote_ts "
				    "= 10.0.0.0/8 } }\n dpd_delay = 5\n " ENDS "} }\n";
	static const char child[] = "connections { c { " ENDS
				    "dpd_delay = 5\nchildren { a { remote_ts = 10.0.0.0/9\n "
				    "rekey_time = 5m } } } }\n";
	static const char other[] = "connections { c { " ENDS
				    "dpd_delay = 6\nchildren { a { remote_ts = 10.0.0.0/8\n "
				    "rekey_time = 5m } } } }\n";
	static const char swapped[] = "connections { c { local { auth = psk\n id = x }\nremote { "
				      "auth = psk }\ndpd_delay = 5\nchildren { a { remote_ts = "
				      "10.0.0.0/8\n rekey_time = 5m } } } }\n";
	_cleanup_config_ struct config *a = NULL;
	static const struct {
		const char *text;
		bool same, child_same;
	} rows[] = {
		{base, true, true},   {order, true, true},    {child, true, false},
		{other, false, true}, {swapped, false, true},
	};

	digests(base, &a);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_config_ struct config *b = NULL;

		digests(rows[i].text, &b);
		assert_int_equal(conn_same(a->conns, b->conns), rows[i].same);
		assert_int_equal(conn_child_same(a->conns[0].children, b->conns[0].children),
				 rows[i].child_same);
	}
}

static void test_hosts_match(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	struct conn_hosts none = {0};
	struct xipsec_addr addr = {0};
	static const struct {
		const char *addr;
		bool in;
	} rows[] = {{"198.51.100.1", true}, {"198.51.100.2", false}, {"203.0.113.77", true},
		    {"203.0.114.9", true},  {"203.0.114.10", false}, {"203.0.114.0", false}};

	load_good(full, &config);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		inet_pton(AF_INET, rows[i].addr, addr.byte);
		assert_int_equal(
			conn_hosts_match(&config->conns[0].remote_addrs, &addr, XIPSEC_FAMILY_IP4),
			rows[i].in);
	}
	assert_true(conn_hosts_match(&none, &addr, XIPSEC_FAMILY_IP4));
	assert_false(conn_hosts_match(&config->conns[0].remote_addrs, &addr, XIPSEC_FAMILY_IP6));
}

/* ------------------------------------------------------------------ clients */

/* What was written makes the same rules as what was loaded, behind those of the file. */
static void test_clients(void **state)
{
	_cleanup_config_ struct config *config = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL;

	load_good(full, &config);
	assert_int_equal(config_client_write(dir, 7, config->conns), 0);
	assert_true(asprintf(&text,
			     "datapath { run_dir = %s }\npolicies { first { action = discard "
			     "} }\n",
			     dir) > 0);
	load_good(text, &again);
	assert_int_equal(again->n_conns, 1);
	assert_int_equal(again->conns[0].client, 7);
	assert_int_equal(config->conns[0].client, 0);
	assert_int_equal(again->n_policies, 4);
	for (unsigned int i = 1; i < 4; i++) {
		const struct config_policy *a = &config->policies[i], *b = &again->policies[i];

		assert_string_equal(a->name, b->name);
		assert_string_equal(a->child, b->child);
		assert_int_equal(a->n_rules, b->n_rules);
		for (unsigned int k = 0; k < a->n_rules; k++) {
			assert_memory_equal(&a->rules[k].sel, &b->rules[k].sel,
					    sizeof(a->rules[k].sel));
			assert_int_equal(a->rules[k].action, b->rules[k].action);
		}
	}
}

/* The file that a user wrote wins. */
static void test_clients_lose(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = NULL, *errors = NULL;
	struct config *bad = NULL;

	assert_true(asprintf(&text,
			     "datapath { run_dir = %s }\nconnections { gw-gw { " ENDS "} }\n",
			     dir) > 0);
	load_good(text, &config);
	assert_int_equal(config->n_conns, 1);
	assert_false(config->conns[0].client);
	assert_int_equal(config->n_policies, 0);
	put_text("connections.d/0000000007.conf", "connections { x { } }\n");
	put_text("xipsec.conf", text);
	assert_int_equal(load(&bad, &errors), -EINVAL);
	assert_non_null(strstr(
		errors, "connections.d/0000000007.conf:1:15: x does not say who the peer is"));
	assert_int_equal(config_client_write(dir, 7, NULL), 0);
}

/* What config_client_set() made of a config step by step is what reading all the files makes. */
static void compare_with_files(const struct config *config, const char *text)
{
	_cleanup_config_ struct config *read = NULL;

	load_good(text, &read);
	assert_int_equal(config->n_conns, read->n_conns);
	for (unsigned int i = 0; i < read->n_conns; i++) {
		const struct conn *a = &config->conns[i], *b = &read->conns[i];

		assert_string_equal(a->name, b->name);
		assert_int_equal(a->client, b->client);
		assert_true(conn_same_all(a, b));
		assert_ptr_equal(config_conn_find(config, b->name), a);
	}
	assert_int_equal(config->conns_at, read->conns_at);
	assert_int_equal(config->n_conns_policies, read->n_conns_policies);
	assert_int_equal(config->n_policies, read->n_policies);
	for (unsigned int i = 0; i < read->n_policies; i++) {
		const struct config_policy *a = &config->policies[i], *b = &read->policies[i];

		assert_string_equal(a->name, b->name);
		assert_string_equal(a->child, b->child);
		assert_int_equal(a->n_rules, b->n_rules);
		for (unsigned int k = 0; k < a->n_rules; k++)
			assert_memory_equal(&a->rules[k].sel, &b->rules[k].sel,
					    sizeof(a->rules[k].sel));
	}
}

/* A connection with so many children. */
static struct conn some_conn(unsigned int name, unsigned int children)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = NULL;
	struct conn conn;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	fprintf(file, "connections { c%u { " ENDS "children {", name);
	for (unsigned int i = 0; i < children; i++)
		fprintf(file, " n%u { local_ts = 10.%u.0.0/16\n remote_ts = 10.9.%u.0/24 }\n", i,
			name, i);
	fprintf(file, "} } }\n");
	fclose(file);
	load_good(text, &config);
	conn = config->conns[0];
	memset(&config->conns[0], 0, sizeof(conn));
	return conn;
}

static void set_one(struct config *config, __u32 number, unsigned int name, unsigned int children)
{
	_cleanup_client_change_ struct config_client_change change = {0};
	struct conn conn = {0};

	if (children) {
		struct conn made = some_conn(name, children);

		assert_int_equal(config_client_write(dir, number, &made), 0);
		conn_clear(&made);
		assert_int_equal(config_client_read(dir, number, &conn, stderr), 0);
	} else {
		assert_int_equal(config_client_write(dir, number, NULL), 0);
		assert_int_equal(config_client_read(dir, number, &conn, stderr), -ENOENT);
	}
	assert_int_equal(
		config_client_set(config, number, children ? &conn : NULL, &change, stderr), 0);
	assert_int_equal(change.n_new, children);
}

/* Behind the file's connection, before the policy that stands behind connections {}. */
static void test_client_set(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = NULL;
	unsigned int seed = 1;

	assert_true(asprintf(&text,
			     "datapath { run_dir = %s }\npolicies { first { action = discard }\n"
			     "all { action = connections }\nlast { action = bypass } }\n"
			     "connections { file { " ENDS
			     "children { n { remote_ts = 10.77.0.0/16 } } } }\n",
			     dir) > 0);
	load_good(text, &config);
	for (unsigned int i = 0; i < 200; i++) {
		/* A name belongs to a number, as iked has it. */
		unsigned int name = (unsigned int)rand_r(&seed) % 12;

		set_one(config, name + 1, name, (unsigned int)rand_r(&seed) % 4);
		compare_with_files(config, text);
	}
}

static void test_client_set_refuses(void **state)
{
	_cleanup_config_ struct config *config = NULL, *tunnel = NULL;
	struct config_client_change change;
	struct conn conn = some_conn(1, 1);

	load_good("datapath { tunnels { t { if_id = 7 } } }\nconnections { c1 { " ENDS
		  "children { n { remote_ts = 10.77.0.0/16 } } } }\n",
		  &config);
	/* The file's own name. */
	assert_int_equal(config_client_set(config, 5, &conn, &change, stderr), -EEXIST);
	assert_int_equal(conn.n_children, 0);
	load_good("datapath { tunnels { t { if_id = 7 } } }\nconnections { c2 { " ENDS
		  "children { n { if_id_in = 7\n if_id_out = 7 } } } }\n",
		  &tunnel);
	conn = tunnel->conns[0];
	memset(&tunnel->conns[0], 0, sizeof(conn));
	assert_int_equal(config_client_set(config, 5, &conn, &change, stderr), -ENOTSUP);
	assert_int_equal(config->n_conns, 1);
	assert_int_equal(config->n_policies, 1);
}

/* Who may speak for what: rights are given by these names. */
static void test_child_known(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good("datapath { tunnels { t { if_id = 7 }\n u { if_id = 8 } } }\n"
		  "policies { p { action = protect\n remote = 10.1.0.0/16 } }\nconnections { c "
		  "{ " ENDS "children { n { remote_ts = 10.77.0.0/16 }\n"
		  "open { remote_ts = 10.78.0.0/16\n mode = pass }\n"
		  "v { if_id_in = 7\n if_id_out = 7 } } } }\n",
		  &config);
	assert_true(config_conn_child_known(config, "c/n"));
	assert_true(config_conn_child_known(config, "t"));
	assert_false(config_conn_child_known(config, "u"));
	assert_false(config_conn_child_known(config, "c/open"));
	assert_false(config_conn_child_known(config, "c/v"));
	assert_false(config_conn_child_known(config, "c/m"));
	assert_false(config_conn_child_known(config, "d/n"));
	assert_false(config_conn_child_known(config, "c"));
	assert_false(config_conn_child_known(config, "p"));
	assert_false(config_conn_child_known(config, ""));
}

/* ------------------------------------------------------------------ errors */

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
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_strengths),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_sealing),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_long_secret),
		cmocka_unit_test(test_rules_have_their_place),
		cmocka_unit_test(test_rules_come_last_otherwise),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_hosts_match),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_clients_lose),
		cmocka_unit_test(test_client_set),
		cmocka_unit_test(test_client_set_refuses),
		cmocka_unit_test(test_child_known),
		cmocka_unit_test(test_xfrm_wants_addresses),
		cmocka_unit_test(test_xfrm_is_named),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_sealing_refused),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_secret_that_others_read),
	};

	return cmocka_run_group_tests_name("conn", tests, config_setup, config_teardown);
}
