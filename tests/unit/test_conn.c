// SPDX-License-Identifier: BSD-2-Clause
/* connections {} and secrets {}: what strongSwan's words mean here. */
#include "tests/unit/conn_fixture.h"
#include <netinet/in.h>
#include "lib/addr.h"
#include "lib/config_policy.h"

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
	};

	return cmocka_run_group_tests_name("conn", tests, config_setup, config_teardown);
}
