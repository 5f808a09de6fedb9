// SPDX-License-Identifier: BSD-2-Clause
/* The config: what a good file means, what is said about a bad one, and that garbage does no harm.
 */
#include "tests/unit/config_fixture.h"
#include <fcntl.h>
#include <time.h>
#include "tests/lib/skip.h"
#include "lib/config_key.h"
#include "lib/config_value.h"
#include "tests/unit/config/changes.h"

/* ------------------------------------------------------------------ good files */

static void test_defaults(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good("# nothing\n", &config);
	assert_int_equal(config->workers, 0);
	assert_int_equal(config->backend, XIPSEC_BACKEND_AUTO);
	assert_int_equal(config->worker_uid, 61500);
	assert_int_equal(config->max_sas, XIPSEC_SAS_DEFAULT);
	assert_int_equal(config->pmtu_age, 600);
	assert_string_equal(config->pin_dir, "/sys/fs/bpf/xipsec");
	assert_string_equal(config->run_dir, "/run/xipsec");
	assert_string_equal(config->state_dir, "/var/lib/xipsec");
	assert_int_equal(config->n_policies + config->n_sas + config->n_ifaces, 0);
}

static void test_datapath(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good(good, &config);
	assert_int_equal(config->workers, 2);
	assert_int_equal(config->backend, XIPSEC_BACKEND_OPENSSL);
	assert_int_equal(config->worker_uid, 62000);
	assert_int_equal(config->max_sas, 16);
	assert_string_equal(config->pin_dir, "/sys/fs/bpf/test");
	assert_string_equal(config->run_dir, "/run/test dir");
	assert_string_equal(config->state_dir, "/var/lib/test");
	assert_int_equal(config->allow, XIPSEC_ALLOW_DHCP | XIPSEC_ALLOW_MLD);
	assert_int_equal(config->n_ethertypes, 1);
	assert_int_equal(config->ethertypes[0], 0x88cc);
	assert_int_equal(config->n_exempt, 2);
	assert_string_equal(config->exempt[1], "docker0");
	assert_int_equal(config->n_ifaces, 2);
	assert_string_equal(config->ifaces[0].name, "eth0");
	assert_int_equal(config->ifaces[0].role, XIPSEC_ROLE_UNPROTECTED);
	assert_int_equal(config->ifaces[1].role, XIPSEC_ROLE_PROTECTED);
}

static void test_pmtu_age(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good("datapath {\n\tpmtu_age = 2h\n}\n", &config);
	assert_int_equal(config->pmtu_age, 7200);
	load_bad("datapath {\n\tpmtu_age = 299\n}\n",
		 "xipsec.conf:2:13: pmtu_age = 299: expected 5m to 24h\n");
	load_bad("datapath {\n\tpmtu_age = 25h\n}\n",
		 "xipsec.conf:2:13: pmtu_age = 25h: expected 5m to 24h\n");
}

static void test_audit(void **state)
{
	_cleanup_config_ struct config *off = NULL, *on = NULL;

	load_good("datapath {\n\taudit = no\n}\n", &off);
	assert_false(off->audit);
	load_good("datapath {\n\tworkers = 1\n}\n", &on);
	assert_true(on->audit);
}

static void test_policies(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	const struct xipsec_spd_rule *rule;

	load_good(good, &config);
	assert_int_equal(config->n_policies, 4);
	assert_int_equal(config->policies[0].n_rules, 2);
	assert_string_equal(config->policies[0].child, "");
	rule = &config->policies[0].rules[1];
	assert_int_equal(rule->action, XIPSEC_ACTION_BYPASS);
	assert_int_equal(rule->dirs, XIPSEC_DIR_IN);
	assert_int_equal(rule->line, 21);
	assert_int_equal(rule->sel.family, XIPSEC_FAMILY_IP4);
	assert_ip4(&rule->sel.local_lo, "192.0.2.1");
	assert_ip4(&rule->sel.local_hi, "192.0.2.1");
	assert_ip4(&rule->sel.remote_lo, "198.51.100.0");
	assert_ip4(&rule->sel.remote_hi, "198.51.100.255");
	assert_int_equal(rule->sel.any_proto, 0);
	assert_int_equal(rule->sel.l4_proto, 6);
	assert_int_equal(rule->sel.local_port_lo, 22);
	assert_int_equal(rule->sel.local_port_hi, 22);
	assert_int_equal(rule->sel.remote_port_lo, 1024);
	assert_int_equal(rule->sel.remote_port_hi, 65535);
	assert_int_equal(rule->sel.icmp_hi, 65535);
	rule = &config->policies[1].rules[0];
	assert_int_equal(rule->sel.family, XIPSEC_FAMILY_IP4);
	assert_int_equal(rule->sel.icmp_lo, 0x0800);
	assert_int_equal(rule->sel.icmp_hi, 0x0800);
	assert_int_equal(rule->dirs, XIPSEC_DIR_IN | XIPSEC_DIR_OUT);
	/* two families in each list: pairs of one family alone */
	assert_string_equal(config->policies[2].child, "net");
	assert_int_equal(config->policies[2].n_rules, 2);
	assert_int_equal(config->policies[2].rules[0].sel.family, XIPSEC_FAMILY_IP4);
	assert_int_equal(config->policies[2].rules[1].sel.family, XIPSEC_FAMILY_IP6);
	assert_int_equal(config->policies[2].rules[1].sel.local_hi.byte[5], 1);
	assert_int_equal(config->policies[2].rules[1].sel.local_hi.byte[6], 0xff);
	rule = &config->policies[3].rules[0];
	assert_int_equal(rule->sel.family, XIPSEC_FAMILY_ANY);
	assert_int_equal(rule->sel.any_proto, 1);
	assert_int_equal(rule->action, XIPSEC_ACTION_DISCARD);
}

/* Lists multiply; a range is one rule. */
static void test_selectors(void **state)
{
	static const char text[] =
		"policies {\n"
		"a { action = bypass\n local = 10.0.0.5-10.1.0.3, 10.9.0.0/16\n proto = udp\n"
		"    local_port = 53, 67-68\n remote_port = 1024-65535\n dscp = ef, af41, 0x3f }\n"
		"b { action = bypass\n proto = mobility-header\n mh_type = 5-6, 9 }\n"
		"c { action = bypass\n proto = tcp\n remote_port = opaque }\n"
		"d { action = bypass\n proto = opaque\n remote = fd00::1-fd00::1:5 }\n"
		"e { action = bypass\n proto = icmp\n icmp_type = 0, 8-10 }\n"
		"f { action = bypass\n direction = in\n dev = eth0.5 }\n"
		"}\n";
	_cleanup_config_ struct config *config = NULL;
	const struct xipsec_selector *sel;

	load_good(text, &config);
	assert_int_equal(config->n_policies, 6);
	assert_string_equal(config->policies[5].dev, "eth0.5");
	assert_int_equal(config->policies[5].rules[0].dev, 1); /* asks for one */
	assert_string_equal(config->policies[4].dev, "");
	assert_int_equal(config->policies[4].rules[0].dev, 0);
	assert_int_equal(config->policies[0].n_rules, 4);
	sel = &config->policies[0].rules[2].sel;
	assert_int_equal(sel->family, XIPSEC_FAMILY_IP4);
	assert_ip4(&sel->local_lo, "10.0.0.5");
	assert_ip4(&sel->local_hi, "10.1.0.3");
	assert_ip4(&sel->remote_lo, "0.0.0.0");
	assert_ip4(&sel->remote_hi, "255.255.255.255");
	assert_int_equal(sel->local_port_lo, 67);
	assert_int_equal(sel->local_port_hi, 68);
	assert_int_equal(sel->remote_port_lo, 1024);
	assert_true(sel->dscp == (1ULL << 46 | 1ULL << 34 | 1ULL << 63));
	assert_int_equal(config->policies[1].n_rules, 2);
	sel = &config->policies[1].rules[0].sel;
	assert_int_equal(sel->family, XIPSEC_FAMILY_IP6);
	assert_int_equal(sel->l4_proto, IPPROTO_MH);
	assert_int_equal(sel->icmp_lo, 5 << 8);
	assert_int_equal(sel->icmp_hi, 6 << 8 | 255);
	assert_int_equal(config->policies[1].rules[1].sel.icmp_lo, 9 << 8);
	sel = &config->policies[2].rules[0].sel;
	assert_int_equal(sel->opaque, XIPSEC_OPAQUE_PORTS);
	assert_int_equal(sel->any_proto, 0);
	assert_true(xipsec_selector_any_port(sel));
	sel = &config->policies[3].rules[0].sel;
	assert_int_equal(sel->opaque, XIPSEC_OPAQUE_PORTS | XIPSEC_OPAQUE_PROTO);
	assert_int_equal(sel->any_proto, 1);
	assert_int_equal(sel->remote_hi.byte[13], 1);
	assert_int_equal(sel->remote_hi.byte[15], 5);
	assert_int_equal(config->policies[4].n_rules, 2);
	assert_int_equal(config->policies[4].rules[1].sel.icmp_lo, 8 << 8);
	assert_int_equal(config->policies[4].rules[1].sel.icmp_hi, 10 << 8 | 255);
}

/* An IPv4 header shows its protocol. */
static void test_opaque_is_of_ip6(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good("policies { a {\n action = bypass\n proto = opaque\n "
		  "remote = 10.0.0.0/8, fd00::/16\n} b {\n action = bypass\n proto = opaque\n} }\n",
		  &config);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(config->policies[i].n_rules, 1);
		assert_int_equal(config->policies[i].rules[0].sel.family, XIPSEC_FAMILY_IP6);
	}
	load_bad(
		"policies {\n\ta {\n\taction = bypass\n\tproto = opaque\n\tremote = "
		"10.0.0.0/8\n\t}\n}\n",
		"xipsec.conf:2:2: a: no pair of its local and remote prefixes and its protocol is "
		"of one family: expected IPv4 with IPv4 or IPv6 with IPv6 (of IPv4: icmp; of IPv6: "
		"ipv6-icmp, mobility-header, opaque)\n");
}

/* A packet comes in by one interface on its way out, and by another on its way back. */
static void test_dev_has_a_direction(void **state)
{
	load_bad("policies {\n\ta {\n\taction = bypass\n\tdev = eth0\n\t}\n}\n",
		 "xipsec.conf:2:2: a has dev for both directions, but what goes out came in by "
		 "another interface than what comes back: expected direction = out or in\n");
	load_bad("policies {\n\ta {\n\taction = bypass\n\tdirection = out\n"
		 "\tdev = a-name-of-16-let\n\t}\n}\n",
		 "xipsec.conf:5:8: dev = a-name-of-16-let is no name: expected 1 to 15 letters, "
		 "digits or signs without space, slash and quote\n");
}

static void test_syntax(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	/* as strongSwan's parser takes it: quotes, escapes, braces on lines of their own */
	load_good("datapath{pin_dir=\"/a\\\"b#c\"#\n}\"policies\"\n\n{}\r\nsas {\n}", &config);
	assert_string_equal(config->pin_dir, "/a\"b#c");
}

static void test_includes(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	put_text("inc-a.conf", "a { action = discard }\n");
	put_text("inc-b.conf", "b { action = discard\n}");
	load_good("include none-*.conf\npolicies {\n\tinclude inc-*.conf\n\tc { action = bypass "
		  "}\n}\n",
		  &config);
	assert_int_equal(config->n_policies, 3);
	assert_string_equal(config->policies[0].name, "a");
	assert_string_equal(config->policies[1].name, "b");
	assert_string_equal(config->policies[2].name, "c");
}

/* ------------------------------------------------------------------ errors */

static void test_changes(void **state)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		_cleanup_free_ char *text = changed(changes[i].from, changes[i].to);
		char expected[2048];
		const char *mark = strstr(changes[i].errors, "DIR/");

		/* load() takes the folder off */
		if (mark)
			snprintf(expected, sizeof(expected), "%.*s%s",
				 (int)(mark - changes[i].errors), changes[i].errors, mark + 4);
		else
			snprintf(expected, sizeof(expected), "%s", changes[i].errors);
		load_bad(text, expected);
	}
}

static void test_all_errors_at_once(void **state)
{
	put_text("inc-b.conf", "p { action = bypas }\n q { action = discard ! }\n");
	load_bad("datapath {\n\twokers = 2\n\tbackend openssl\n\tmax_sas = x\n}\n"
		 "policies {\n\tinclude inc-b.conf\n\tr { }\n}\n"
		 "sa { }\n",
		 "xipsec.conf:3:10: unexpected a name: expected end of line or `{` or `=` or `:`\n"
		 "xipsec.conf:2:2: unknown key wokers: expected workers\n"
		 "xipsec.conf:4:12: x is not a good max_sas: expected a number from 1 to 65536\n"
		 "inc-b.conf:1:14: action = bypas is not known: expected bypass | discard | "
		 "protect | connections (did you mean bypass?)\n"
		 "inc-b.conf:2:15: action = discard ! is not known: expected bypass | discard | "
		 "protect | connections (did you mean discard?)\n"
		 "xipsec.conf:8:2: r has no action: expected `action = ...`\n"
		 "xipsec.conf:10:1: unknown section sa: expected sas\n");
}

static void test_include_loop(void **state)
{
	put_text("loop-a", "include loop-b\n");
	put_text("loop-b", "\n  include loop-a\n");
	load_bad("include loop-a\n",
		 "loop-b:2:11: include: loop-a is being read already, the include "
		 "goes in a circle: expected another file\n");
}

static void test_too_many_rules(void **state)
{
	char text[16384] = "datapath { max_rules = 256 }\npolicies {\n\tmany {\n\t\taction = "
			   "discard\n\t\tlocal = ";
	size_t len = strlen(text);

	for (unsigned int i = 0; i < 100; i++)
		len += snprintf(text + len, sizeof(text) - len, "10.0.%u.0/24,", i);
	snprintf(text + len, sizeof(text) - len,
		 "10.1.0.0/16\n\t\tremote = 10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8\n\t}\n}\n");
	load_bad(text, "xipsec.conf:3:2: many makes 303 rules after 0 before it: expected at most "
		       "max_rules = "
		       "256 in all\n");
}

static void test_exposed_keys(void **state)
{
	static const char expected[] = "xipsec.conf:53:9: a key stands in a file that its group or "
				       "others can read: expected "
				       "mode 0600 (and a new key), or file:PATH\n";
	_cleanup_free_ char *errors = NULL, *no_key = NULL;
	struct config *config = NULL;

	put("xipsec.conf", good, strlen(good), 0640);
	assert_int_equal(load(&config, &errors), -EINVAL);
	assert_string_equal(errors, expected);
	free(errors);
	/* readable by all, but without a key in it */
	put("xipsec.conf", "sas { }\n", 8, 0644);
	assert_int_equal(load(&config, &errors), 0);
	config_free(config);
	put("open-key", KEY_FILE, strlen(KEY_FILE), 0640);
	no_key = changed("file:key", "file:open-key");
	load_bad(no_key,
		 "xipsec.conf:64:9: key file open-key has mode 0640, so others than its owner "
		 "can use it: expected 0600 (and a new key, if it was ever so)\n");
}

static void test_key_file_content(void **state)
{
	_cleanup_free_ char *text = changed("file:key", "file:short-key");

	put("short-key", "", 0, 0600);
	load_bad(text,
		 "xipsec.conf:64:9: the key is empty: expected hex digits, or file:PATH of a file "
		 "with them\n");
	put_text("short-key", "0x0102 0304\n");
	load_bad(text, "xipsec.conf:64:9: the key has a letter that is no hex digit: expected hex "
		       "digits, or file:PATH of a file with them\n");
}

#define MANY 100000

/* More than 4 MiB, in the time of a person who waits: seconds, where each name compared with each
 * other one takes minutes. The name that stands twice is found. */
static void test_many_policies(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = malloc(MANY * 64), *errors = NULL;
	char *at = text + sprintf(text, "policies {\n");
	clock_t begin = clock();
	int err;

	for (unsigned int i = 0; i < MANY; i++)
		at += sprintf(at, "p%u { action = bypass\n remote = 10.%u.%u.%u/32 }\n", i, i >> 16,
			      i >> 8 & 255, i & 255);
	strcpy(at, "}\n");
	load_good(text, &config);
	assert_int_equal(config->n_policies, MANY);
	assert_string_equal(config->policies[MANY - 1].name, "p99999");
	assert_in_range((clock() - begin) / CLOCKS_PER_SEC, 0, 9);
	strcpy(at, "p5 { action = bypass\n }\n}\n");
	put_text("xipsec.conf", text);
	err = load(&config, &errors);
	assert_int_equal(err, -EINVAL);
	assert_string_equal(errors,
			    "xipsec.conf:200002:1: p5 stands twice, first at xipsec.conf:12:1: "
			    "expected it once\n");
}

/* The limit is named, of the file and of an include. */
static void test_too_large(void **state)
{
	struct config *out = NULL;
	_cleanup_free_ char *errors = NULL;
	char path[128];
	int err;

	put_text("xipsec.conf", "");
	path_of(path, sizeof(path), "xipsec.conf");
	assert_int_equal(truncate(path, (64 << 20) + 1), 0);
	err = load(&out, &errors);
	assert_int_equal(err, -EFBIG);
	assert_string_equal(errors, "xipsec.conf: is larger than 64 MiB: expected it in parts, by "
				    "`include FILE`\n");
	put_text("inc-a.conf", "");
	path_of(path, sizeof(path), "inc-a.conf");
	assert_int_equal(truncate(path, (64 << 20) + 1), 0);
	load_bad("include inc-a.conf\n", "xipsec.conf:1:9: include: inc-a.conf is larger than 64 "
					 "MiB: expected it in parts\n");
	unlink(path);
}

/* One error of the list, not of each item beyond. */
static void test_too_many_prefixes(void **state)
{
	char text[4096], *at = text + sprintf(text, "policies { a { action = bypass\n remote = ");

	for (unsigned int i = 0; i < CONFIG_NETS_MAX + 9; i++)
		at += sprintf(at, "%s10.0.%u.%u", i ? ", " : "", i >> 8, i & 255);
	strcpy(at, "\n} }\n");
	load_bad(text, "xipsec.conf:2:11: remote has too many prefixes: expected at most 128\n");
}

static void test_unreadable(void **state)
{
	struct config *out = NULL;
	_cleanup_free_ char *errors = NULL;
	char path[128];

	path_of(path, sizeof(path), "xipsec.conf");
	unlink(path);
	assert_int_equal(load(&out, &errors), -ENOENT);
	assert_string_equal(errors, "");
	assert_null(out);
	assert_int_equal(config_load(dir, &out, stderr), -EISDIR);
}

static void test_paths(void **state)
{
	_cleanup_config_ struct config *config = NULL, *none = NULL;
	char path[128];

	put_text("xipsec.conf", "garbage !\ndatapath {\n\trun_dir = /r\n\tstate_dir = relative\n"
				"\tworkers = 99\n\tpin_dir = /p\n\tpolicies { {\n");
	path_of(path, sizeof(path), "xipsec.conf");
	config = config_paths(path);
	assert_non_null(config);
	assert_string_equal(config->run_dir, "/r");
	assert_string_equal(config->pin_dir, "/p");
	assert_string_equal(config->state_dir, "/var/lib/xipsec");
	none = config_paths("/nonexistent/xipsec.conf");
	assert_non_null(none);
	assert_string_equal(none->pin_dir, "/sys/fs/bpf/xipsec");
}

static void test_nearest(void **state)
{
	static const char *const words[] = {"attach", "detach", "status", "sa", "reload"};

	assert_string_equal(config_nearest("atach", words, 5), "attach");
	assert_string_equal(config_nearest("staus", words, 5), "status");
	assert_string_equal(config_nearest("relaod", words, 5), "reload");
	assert_null(config_nearest("xyz", words, 5));
	assert_null(config_nearest("", words, 5));
}

/* ------------------------------------------------------------------ keys */

#define SECRET_LEN 20

/* How often `needle` stands in the heap. It must not come from the heap itself. */
static unsigned int heap_count(const void *needle, size_t len)
{
	_cleanup_close_ int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char line[512];
	unsigned int n = 0;
	size_t used = 0;

	/* stdio would have a buffer in the heap that we are looking at */
	assert_true(fd >= 0);
	while (used < sizeof(line) - 1 && read(fd, line + used, 1) == 1) {
		unsigned long from, to;
		const char *at, *end;

		if (line[used++] != '\n')
			continue;
		line[used] = 0;
		used = 0;
		if (!strstr(line, "[heap]") || sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		end = (const char *)to;
		for (at = (const char *)from; (at = memmem(at, end - at, needle, len)); at++)
			n++;
	}
	return n;
}

/* ASan has a heap of its own kind and keeps what was freed. */
#ifdef __SANITIZE_ADDRESS__
static const bool heap_is_plain = false;
#else
static const bool heap_is_plain = true;
#endif

static void test_keys_wiped(void **state)
{
	static const char *const more[] = {"", "\nbad = 1\n", "\nexample {\n", "\nkey 0x1"};
	char path[128], text[1024], hex[2 * SECRET_LEN + 1];
	unsigned char secret[SECRET_LEN];
	struct config *config;

	if (!heap_is_plain)
		skip_because("the sanitizer's heap cannot be searched for keys; the plain build "
			     "does it");
	path_of(path, sizeof(path), "xipsec.conf");
	for (unsigned int i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		int fd, err;

		for (unsigned int k = 0; k < SECRET_LEN; k++) {
			secret[k] = 0xa7 + 13 * k + i;
			snprintf(hex + 2 * k, 3, "%02x", secret[k]);
		}
		snprintf(text, sizeof(text),
			 "policies { c { action = protect } }\nsas { s {\nchild = c\ndirection = "
			 "out\nsrc = 192.0.2.1\ndst = 192.0.2.2\nspi = 256\nalgorithm = "
			 "aes128gcm16\nkey = \"%s\"%s\n} }\n",
			 hex, more[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
		close(fd);
		config = NULL;
		err = config_load(path, &config, NULL);
		assert_int_equal(err, i ? -EINVAL : 0);
		/* the model has it once; the search works */
		assert_int_equal(heap_count(secret, SECRET_LEN), i ? 0 : 1);
		assert_int_equal(heap_count(hex, 2 * SECRET_LEN), 0);
		config_free(config);
		config_free(config_paths(path));
		assert_int_equal(heap_count(secret, SECRET_LEN), 0);
		assert_int_equal(heap_count(hex, 2 * SECRET_LEN), 0);
	}
}

/* ------------------------------------------------------------------ examples */

static void test_examples(void **state)
{
	static const struct {
		const char *path;
		unsigned int key_len, n_sas;
	} examples[] = {
		{"docs/examples/gateway.conf", 20, 2},
		{"docs/examples/ipv6.conf", 36, 2},
		{"docs/examples/closed.conf", 0, 0},
		{"deploy/xipsec.conf", 0, 0},
	};
	char path[128], key[2 * XIPSEC_KEY_MAX + 1];

	path_of(path, sizeof(path), "keys");
	assert_int_equal(mkdir(path, 0700), 0);
	for (unsigned int i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		_cleanup_config_ struct config *config = NULL;
		_cleanup_fclose_ FILE *file = fopen(examples[i].path, "r");
		char text[8192];
		size_t n;

		assert_non_null(file);
		n = fread(text, 1, sizeof(text) - 1, file);
		text[n] = 0;
		memset(key, '1', sizeof(key));
		put("keys/a-to-b", key, 2 * examples[i].key_len, 0600);
		memset(key, '2', sizeof(key));
		put("keys/b-to-a", key, 2 * examples[i].key_len, 0600);
		load_good(text, &config);
		assert_int_equal(config->n_sas, examples[i].n_sas);
	}
	path_of(path, sizeof(path), "keys/a-to-b");
	unlink(path);
	path_of(path, sizeof(path), "keys/b-to-a");
	unlink(path);
	path_of(path, sizeof(path), "keys");
	assert_int_equal(rmdir(path), 0);
}

/* ------------------------------------------------------------------ garbage */

static uint32_t random_next(uint32_t *state)
{
	/* xorshift32: the same on every machine, so that a crash comes again */
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static size_t mutate(char *text, size_t len, size_t size, uint32_t *random)
{
	static const char signs[] = "{}=\"#\\\n,: \t/-.0xfany\0\xff";
	unsigned int n = 1 + random_next(random) % 8;

	while (n--) {
		size_t at = random_next(random) % len, span = 1 + random_next(random) % 40;

		if (span > len - at)
			span = len - at;
		switch (random_next(random) % 4) {
		case 0: text[at] = signs[random_next(random) % sizeof(signs)]; break;
		case 1: text[at] ^= 1 << random_next(random) % 8; break;
		case 2: /* take a piece out */
			if (len - span < 16)
				break;
			memmove(text + at, text + at + span, len - at - span);
			len -= span;
			break;
		default: /* double a piece */
			if (len + span > size)
				break;
			memmove(text + at + span, text + at, len - at);
			len += span;
			break;
		}
	}
	return len;
}

static void test_garbage(void **state)
{
	_cleanup_free_ char *base = changed("secrets { }", "include inc-a.conf\n");
	_cleanup_fclose_ FILE *sink = fopen("/dev/null", "w");
	static char text[16384];
	unsigned int good_ones = 0, rounds = 5000;
	uint32_t random = 20261121;
	char path[128];

	put_text("inc-a.conf", "secrets {\n}\n");
	path_of(path, sizeof(path), "xipsec.conf");
	for (unsigned int i = 0; i < rounds; i++) {
		size_t len = strlen(base);
		struct config *config = NULL, *paths;
		int err;

		memcpy(text, base, len);
		if (i)
			len = mutate(text, len, sizeof(text), &random);
		put("xipsec.conf", text, len, 0600);
		err = config_load(path, &config, sink);
		assert_true(err == 0 || err == -EINVAL);
		assert_true((err == 0) == (config != NULL));
		good_ones += err == 0;
		config_free(config);
		paths = config_paths(path);
		assert_non_null(paths);
		config_free(paths);
	}
	/* the loop saw both kinds, so it tested something */
	assert_true(good_ones > 0 && good_ones < rounds);
}

static void test_deep(void **state)
{
	static char text[8192];
	_cleanup_free_ char *errors = NULL;
	struct config *config = NULL;

	for (unsigned int i = 0; i < 4000; i++)
		memcpy(text + 2 * i, "a{", 2);
	put("xipsec.conf", text, 8000, 0600);
	assert_int_equal(load(&config, &errors), -EINVAL);
	assert_non_null(strstr(errors, "xipsec.conf:1:130: unexpected one `{` too deep"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_datapath),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_pmtu_age),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_opaque_is_of_ip6),
		cmocka_unit_test(test_dev_has_a_direction),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_all_errors_at_once),
		cmocka_unit_test(test_include_loop),
		cmocka_unit_test(test_too_many_rules),
		cmocka_unit_test(test_exposed_keys),
		cmocka_unit_test(test_key_file_content),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_many_policies),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_many_prefixes),
		cmocka_unit_test(test_keys_wiped),
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests_name("config", tests, config_setup, config_teardown);
}
