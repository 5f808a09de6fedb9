// SPDX-License-Identifier: BSD-2-Clause
/* sas {}: what an SA is, and what may come out of it by the policies. */
#include "tests/unit/config_fixture.h"

static const char *rule_name(const struct config *config, const struct xipsec_selector *sel,
			     char *name, size_t size)
{
	for (unsigned int p = 0; p < config->n_policies; p++)
		for (unsigned int r = 0; r < config->policies[p].n_rules; r++)
			if (memcmp(sel, &config->policies[p].rules[r].sel, sizeof(*sel)) == 0) {
				snprintf(name, size, "%s.%u", config->policies[p].name, r);
				return name;
			}
	return "?";
}

/* `expected`: POLICY.RULE of each selector in order, those that refuse with a - before. */
static void assert_selectors(const struct xipsec_sa *sa, const char *expected,
			     const struct config *config)
{
	char found[512] = "", name[80];
	size_t len = 0;

	for (__u32 i = 0; i < sa->n_selectors; i++)
		len += snprintf(found + len, sizeof(found) - len, "%s%s%s", len ? " " : "",
				sa->refuse[i] ? "-" : "",
				rule_name(config, &sa->selector[i], name, sizeof(name)));
	assert_string_equal(found, expected);
}

/* The good file without its bypasses, with policies before and after `net`. Caller frees. */
static char *order_file(const char *before, const char *after)
{
	const char *from = strstr(good, "\tmgmt {"), *net = strstr(good, "\tnet {"),
		   *rest = strstr(good, "\trest {");
	char *text;

	assert_true(asprintf(&text, "%.*s%s%.*s%s%s", (int)(from - good), good, before,
			     (int)(rest - net), net, after, rest) > 0);
	return text;
}

static void test_sas(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	const struct xipsec_sa *out, *in;

	load_good(good, &config);
	assert_int_equal(config->n_sas, 2);
	out = &config->sas[0].sa;
	in = &config->sas[1].sa;
	assert_int_equal(config->sas[0].line, 46);
	assert_string_equal(out->name, "net-out");
	assert_string_equal(out->child, "net");
	assert_ip4(&out->src, "192.0.2.1");
	assert_ip4(&out->dst, "192.0.2.2");
	assert_int_equal(ntohl(out->spi), 0x1001);
	assert_int_equal(out->outer_family, XIPSEC_FAMILY_IP4);
	assert_int_equal(out->l4_proto, 50);
	assert_int_equal(out->dir, XIPSEC_DIR_OUT);
	assert_int_equal(out->mode, XIPSEC_MODE_TUNNEL);
	assert_int_equal(out->engine, XIPSEC_ENGINE_NONE);
	assert_int_equal(out->alg, XIPSEC_ALG_AES128GCM16);
	assert_int_equal(out->flags, XIPSEC_SA_ESN | XIPSEC_SA_MANUAL);
	assert_int_equal(out->window, 2048);
	assert_int_equal(out->key_len, 20);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(out->key[i], i);
	assert_int_equal(ntohl(in->spi), 4098);
	assert_int_equal(in->engine, XIPSEC_ENGINE_AFXDP);
	assert_int_equal(in->flags, XIPSEC_SA_FRESH_KEY | XIPSEC_SA_MANUAL);
	assert_int_equal(in->window, 1024);
	assert_int_equal(in->key_len, 36);
	for (unsigned int i = 0; i < 36; i++)
		assert_int_equal(in->key[i], 0x20 + i);
	/* from the policies of the child, after the one before them that overlaps */
	assert_selectors(in, "-ping.0 net.0 net.1", config);
	assert_selectors(out, "net.0 net.1", config);
}

static void test_sa_selectors(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = changed("engine = afxdp", "local_ts = 10.1.2.0/24\n"
							      "remote_ts = 10.2.0.0/16");
	const struct xipsec_sa *in;

	load_good(text, &config);
	in = &config->sas[1].sa;
	assert_int_equal(in->n_selectors, 2);
	assert_int_equal(in->refuse[0], 1); /* ping */
	assert_int_equal(in->refuse[1], 0);
	assert_ip4(&in->selector[1].local_lo, "10.1.2.0");
	assert_ip4(&in->selector[1].remote_hi, "10.2.255.255");
	assert_int_equal(in->selector[1].any_proto, 1);
	assert_int_equal(in->selector[1].remote_port_hi, 65535);
}

/* Policies before `rest` in the good file, and what net-in gets of them: - refuses. */
static void test_sa_order(void **state)
{
#define NOGO  "nogo { action = discard\n local = 10.1.0.2\n proto = udp\n local_port = 7001 }\n"
#define NOGO2 "nogo2 { action = discard\n local = 10.1.0.2\n proto = udp\n local_port = 7001 }\n"
#define NET2 \
	"net2 { action = protect\n child = net\n local = 10.1.0.0/24\n remote = 10.3.0.0/16 }\n"
	static const struct {
		const char *before, *after, *expected;
	} orders[] = {
		{NOGO, "", "-nogo.0 net.0 net.1"},
		/* what comes after the last of the child takes nothing */
		{"", NOGO, "net.0 net.1"},
		/* between two of them, only from the second */
		{"", NOGO NET2, "net.0 net.1 -nogo.0 net2.0"},
		{NET2, NOGO, "net2.0 net.0 net.1"},
		{NOGO, NOGO2 NET2, "-nogo.0 net.0 net.1 net2.0"},
		/* other nets, family, protocol's family or direction: nothing in common */
		{"x { action = discard\n local = 10.9.0.0/16 }\n", "", "net.0 net.1"},
		{"x { action = discard\n remote = 2001:db8:3::/48 }\n", "", "net.0 net.1"},
		{"x { action = discard\n direction = out }\n", "", "net.0 net.1"},
		{"x { action = discard\n direction = in\n remote = 2001:db8::/32 }\n", "",
		 "-x.0 net.0 net.1"},
		/* another child's DSCPs take nothing, those that are discarded do (RFC 4301 4.1) */
		{"x { action = protect\n dscp = ef }\n", "", "net.0 net.1"},
		{"x { action = discard\n dscp = ef }\n", "", "-x.0 net.0 net.1"},
		/* what an SA brought came in by no interface */
		{"x { action = discard\n dev = eth1\n direction = in }\n", "", "net.0 net.1"},
		{"x { action = protect\n child = net\n dev = eth1\n direction = in\n"
		 " remote = 10.77.0.0/16 }\n",
		 "", "net.0 net.1"},
		/* ranges that meet, or do not */
		{"x { action = discard\n local = 10.0.0.0-10.1.0.0 }\n", "", "-x.0 net.0 net.1"},
		{"x { action = discard\n local = 10.0.0.0-10.0.255.255 }\n", "", "net.0 net.1"},
		/* whatever is not its child's */
		{"x { action = bypass\n proto = tcp }\n", "", "-x.0 net.0 net.1"},
		{"x { action = protect\n remote = 10.2.3.0/24 }\n", "", "-x.0 net.0 net.1"},
		{"x { action = protect\n child = net\n direction = out }\n", "", "net.0 net.1"},
		/* inside an earlier one of its kind */
		{"x { action = discard\n proto = udp }\n" NOGO, "", "-x.0 net.0 net.1"},
		{"",
		 "x { action = protect\n child = net\n local = 10.1.9.0/24\n"
		 " remote = 10.2.0.0/16 }\n",
		 "net.0 net.1"},
	};

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		_cleanup_config_ struct config *config = NULL;
		_cleanup_free_ char *text = order_file(orders[i].before, orders[i].after);

		load_good(text, &config);
		assert_selectors(&config->sas[1].sa, orders[i].expected, config);
	}
}

/* What goes out is sealed whole where the peer's list, this one turned round, asks for ports or
 * types of what comes out: by the child's own rules, or by earlier ones. */
static void test_sa_whole(void **state)
{
	static const struct {
		const char *before, *after;
		bool whole, apart;
	} cases[] = {
		{"x { action = discard\n local_port = opaque }\n", "", true, true},
		{"x { action = discard\n local_port = opaque\n local = 10.9.0.0/16 }\n", "", false,
		 false},
		{"", "x { action = discard\n local_port = opaque }\n", false, false},
		{"", "", false, false},
		{NOGO, "", true, false},
		{"", NOGO, false, false},
		{"", NOGO NET2, true, false},
		{NET2, NOGO, false, false},
		{"x { action = protect\n child = net\n proto = udp\n remote_port = 7 }\n", "", true,
		 false},
		{"x { action = bypass\n proto = icmp\n icmp_type = 8 }\n", "", false, false},
		{"x { action = bypass\n proto = icmp }\n", "", false, false},
		{"x { action = protect\n proto = tcp\n local_port = 80 }\n", "", false, false},
		{"x { action = protect\n child = net\n proto = tcp\n local_port = 80 }\n", "", true,
		 false},
		{"x { action = discard\n proto = udp\n local_port = 7\n local = 10.9.0.0/16 }\n",
		 "", false, false},
		{"x { action = discard\n proto = udp\n local_port = 7\n direction = in }\n", "",
		 false, false},
		{"x { action = discard\n proto = udp\n local_port = 7\n direction = out }\n", "",
		 true, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_config_ struct config *config = NULL;
		_cleanup_free_ char *text = order_file(cases[i].before, cases[i].after);

		load_good(text, &config);
		assert_int_equal(!!(config->sas[0].sa.flags & XIPSEC_SA_WHOLE), cases[i].whole);
		assert_int_equal(!!(config->sas[0].sa.flags & XIPSEC_SA_APART), cases[i].apart);
		assert_int_equal(config->sas[1].sa.flags & (XIPSEC_SA_WHOLE | XIPSEC_SA_APART), 0);
	}
}

/* Its own selectors cut the rules; the rules before them stay. */
/* RFC 4301 4.1: which DSCP goes by which SA is the sender's; what comes by any is taken. */
static void test_sa_dscp(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = order_file("x { action = protect\n child = net\n dscp = ef\n"
					       " remote = 10.77.0.0/16 }\n",
					       "");
	const struct xipsec_sa *in;

	load_good(text, &config);
	assert_true(config->policies[0].rules[0].sel.dscp == 1ULL << 46);
	in = &config->sas[1].sa;
	assert_int_equal(in->n_selectors, 3);
	assert_ip4(&in->selector[0].remote_lo, "10.77.0.0");
	assert_int_equal(in->refuse[0], 0);
	for (__u32 i = 0; i < in->n_selectors; i++)
		assert_true(in->selector[i].dscp == 0);
}

static void test_sa_order_ts(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *with = order_file(NOGO, NET2), *text = NULL;
	const struct xipsec_sa *in;
	char *at = strstr(with, "engine = afxdp");

	assert_true(asprintf(&text,
			     "%.*slocal_ts = 10.1.0.0/28\n\t\tremote_ts = 10.2.0.0/24, "
			     "10.3.0.0/24\n\t\t%s",
			     (int)(at - with), with, at) > 0);
	load_good(text, &config);
	in = &config->sas[1].sa;
	assert_int_equal(in->n_selectors, 3);
	assert_int_equal(in->refuse[0], 1);
	assert_int_equal(in->selector[0].local_port_lo, 7001);
	assert_int_equal(in->refuse[1] + in->refuse[2], 0);
	assert_ip4(&in->selector[1].local_lo, "10.1.0.0");
	assert_ip4(&in->selector[1].local_hi, "10.1.0.15");
	assert_ip4(&in->selector[1].remote_lo, "10.2.0.0");
	assert_ip4(&in->selector[2].remote_lo, "10.3.0.0");
	assert_ip4(&in->selector[2].remote_hi, "10.3.0.255");
}

/* ------------------------------------------------------------------ too many */

/* 32 local and 16 remote networks, and a pair of IPv6. */
static void test_too_many_selectors(void **state)
{
	_cleanup_free_ char *text = NULL;
	char list[2048] = "local = ";
	size_t len = strlen(list);

	for (unsigned int i = 0; i < 32; i++)
		len += snprintf(list + len, sizeof(list) - len, "172.16.%u.0/24,", i);
	len += snprintf(list + len, sizeof(list) - len, "2001:db8:1::/48\n\t\tremote = ");
	for (unsigned int i = 0; i < 16; i++)
		len += snprintf(list + len, sizeof(list) - len, "172.17.%u.0/24,", i);
	text = changed("local = 10.1.0.0/16, 2001:db8:1::/48\n\t\tremote = 10.2.0.0/16,", list);
	load_bad(text, "xipsec.conf:46:2: net-out has too many selectors: expected at most 512\n"
		       "xipsec.conf:57:2: net-in has too many selectors: expected at most 512\n");
}

/* Five policies of 102 networks each. */
static void put_five(char *before, size_t size)
{
	size_t len = 0;

	for (unsigned int p = 0; p < 5; p++) {
		len += snprintf(before + len, size - len, "x%u { action = discard\n local = ", p);
		for (unsigned int i = 0; i < 102; i++)
			len += snprintf(before + len, size - len, "%s10.1.%u.%u/25", i ? "," : "",
					p * 51 + i / 2, i % 2 * 128);
		len += snprintf(before + len, size - len, " }\n");
	}
}

/* Rules before those of the child count with its selectors: 510 and 2 fit, 511 and 2 do not. */
static void test_too_many_before(void **state)
{
	for (unsigned int n = 510; n <= 511; n++) {
		_cleanup_config_ struct config *config = NULL;
		_cleanup_free_ char *text = NULL;
		char before[16384];

		put_five(before, sizeof(before));
		if (n == 511)
			strcat(before, "y { action = discard\n local = 10.1.255.0/25 }\n");
		text = order_file(before, "");
		if (n == 510) {
			load_good(text, &config);
			assert_int_equal(config->sas[1].sa.n_selectors, 512);
			continue;
		}
		load_bad(text, "xipsec.conf:54:2: net-in has too many selectors: 513 with the 511 "
			       "earlier rules that take something from them: expected at most 512; "
			       "put the policies of child net earlier, or use fewer and wider "
			       "prefixes\n");
	}
}

#define CHILDREN                                                                     \
	"connections { p { local_addrs = 192.0.2.1\nremote_addrs = 192.0.2.2\n"      \
	"local { auth = psk }\nremote { auth = psk }\nchildren {\n"                  \
	"  some { local_ts = 10.1.0.0/17\n remote_ts = 10.2.0.0/16 }\n"              \
	"  all { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16 }\n"               \
	"  later { remote_ts = dynamic }\n"                                          \
	"  not { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16\n mode = pass }\n" \
	"} } }\n"

/* A file with these rules before connections {}. The caller frees. */
static char *children_file(const char *more)
{
	static const char others[] =
		"out { action = discard\n direction = out\n remote = 10.2.0.0/16 }\n"
		"far { action = discard\n remote = 10.3.0.0/16 }\n";
	char five[16384], *text;

	put_five(five, sizeof(five));
	assert_true(asprintf(&text, "policies {\n%s%s%s}\n%s", more, five, others, CHILDREN) > 0);
	return text;
}

/* The same for a child that IKE speaks of: 510 rules and `some` take something from `all`, others
 * nothing. */
static void test_too_many_before_a_child(void **state)
{
	_cleanup_free_ char *fits = children_file("");
	_cleanup_free_ char *not =
		children_file("y { action = bypass\n remote = 10.2.255.0/25 }\n");
	_cleanup_free_ char *first = children_file("here { action = connections }\n");
	_cleanup_config_ struct config *one = NULL;
	_cleanup_config_ struct config *two = NULL;

	load_good(fits, &one);
	load_bad(not,
		 "xipsec.conf:27:3: child p/all has too many selectors: 513 with the 512 earlier "
		 "rules that take something from them: expected at most 512; put connections {} "
		 "before them (action = connections), offer less (local_ts, remote_ts), or use "
		 "fewer and wider prefixes\n");
	load_good(first, &two);
}

/* Of thousands that are in the way no more are counted than it takes to say so. */
static void test_thousands_before_a_child(void **state)
{
	_cleanup_free_ char *text = NULL, *errors = NULL;
	struct config *out = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	fprintf(file, "policies {\n");
	for (unsigned int i = 0; i < 20000; i++)
		fprintf(file, "x%u { action = discard\n remote = 10.2.%u.%u/32 }\n", i, i >> 8,
			i & 255);
	fprintf(file, "}\n%s", CHILDREN);
	fclose(file);
	put_text("xipsec.conf", text);
	assert_int_equal(load(&out, &errors), -EINVAL);
	assert_non_null(strstr(
		errors, "child p/some has too many selectors: at least 2049 with the 2048 "));
	assert_non_null(
		strstr(errors, "child p/all has too many selectors: at least 2049 with the 2048 "));
	assert_null(strstr(errors, "p/later"));
	assert_null(strstr(errors, "p/not"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sas),
		cmocka_unit_test(test_sa_selectors),
		cmocka_unit_test(test_sa_order),
		cmocka_unit_test(test_sa_whole),
		cmocka_unit_test(test_sa_dscp),
		cmocka_unit_test(test_sa_order_ts),
		cmocka_unit_test(test_too_many_selectors),
		cmocka_unit_test(test_too_many_before),
		cmocka_unit_test(test_too_many_before_a_child),
		cmocka_unit_test(test_thousands_before_a_child),
	};

	return cmocka_run_group_tests_name("config_sa", tests, config_setup, config_teardown);
}
