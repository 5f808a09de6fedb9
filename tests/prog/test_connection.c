// SPDX-License-Identifier: BSD-2-Clause
/*
 * A client's connection that comes, changes and goes (loader/connection.c): what stands in the
 * program's maps then is, rule by rule, what reading all files anew would make; and where that
 * cannot be done alone, everything is read anew. SAs and stand-ins are this test's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/config_clients.h"
#include "lib/config_policy.h"
#include "loader/daemon_inside.h"
#include "loader/manual.h"
#include "loader/spd_change.h"
#include "loader/spd_edit.h"
#include "tests/lib/spd_reference.h"
#include "tests/prog/classify.h"

static char dir[] = "/tmp/xipsec-connection-XXXXXX";
static struct classify c;
static struct spd_editor *editor;
static struct daemon d;

/* What was called, in what order matters: */
static unsigned int withdrawn, switched, at_withdrawal, anew, events;
static char event_of[XIPSEC_NAME_LEN];
static int refuse_withdrawal, refuse_anew;
static bool manual_sa; /* the change speaks of one */

/* By which generation the program answers. */
static __u32 in_force(void)
{
	classify_run(&c, 1);
	return c.answer[0].generation;
}

/* ------------------------------------------------------------------ the daemon around it */

/* What came and went, where it stands. */
static void assert_change(const struct config *config, const struct config_client_change *change)
{
	assert_true(change->at + change->n_new < config->n_policies);
	for (unsigned int i = 0; i < change->n_new; i++)
		assert_int_equal(config->policies[change->at + i].rules[0].action,
				 XIPSEC_ACTION_PROTECT);
}

bool manual_concerned(struct sas *sas, const struct config *config,
		      const struct config_client_change *change)
{
	assert_change(config, change);
	return manual_sa;
}

int manual_withdraw_by(struct sas *sas, const struct config *config,
		       const struct config_client_change *change, char *text)
{
	assert_change(config, change);
	withdrawn++;
	at_withdrawal = in_force();
	return refuse_withdrawal;
}

int manual_switched_by(struct sas *sas, const struct config *config,
		       const struct config_client_change *change, char *text)
{
	assert_change(config, change);
	switched++;
	assert_int_not_equal(in_force(), at_withdrawal);
	return 0;
}

int standins_editor(struct daemon *daemon, struct spd_editor **out)
{
	*out = editor;
	return editor ? 0 : -ENOENT;
}

void standins_withdraw(struct daemon *daemon, const struct config *config)
{
}

void standins_sync(struct daemon *daemon)
{
}

void sas_kernel_policies(struct sas *sas)
{
}

void sadb_server_event(struct sadb_server *server, struct sadb_event *event)
{
	events++;
	assert_int_equal(event->event, XIPSEC_EVENT_RELOAD);
	memcpy(event_of, event->sa, sizeof(event_of));
}

static int everything_anew(void *ctx, const char *path, char *text)
{
	assert_ptr_equal(ctx, &d);
	assert_string_equal(path, "");
	assert_string_equal(text, "");
	anew++;
	return refuse_anew;
}

const struct sadb_hooks requests_hooks = {.policies = everything_anew};

/* ------------------------------------------------------------------ files */

#define ENDS "local { auth = psk }\nremote { auth = psk }\n"

static struct config *read_files(void)
{
	struct config *config;
	char path[64];

	snprintf(path, sizeof(path), "%s/xipsec.conf", dir);
	assert_int_equal(config_load(path, &config, stderr), 0);
	return config;
}

static void put_file(const char *name, const char *text)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, 0600);
}

/* The file of that number: a connection with so many children, or none. */
static void put_client(__u32 number, const char *name, unsigned int children, const char *more)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;
	FILE *file;

	if (!children) {
		assert_int_equal(config_client_write(dir, number, NULL), 0);
		return;
	}
	file = open_memstream(&text, &len);
	fprintf(file, "connections { %s { " ENDS "children {", name);
	for (unsigned int i = 0; i < children; i++)
		fprintf(file,
			" n%u { local_ts = 10.%u.0.0/16, 10.77.%u.0/24\nremote_ts = "
			"10.9.%u.0/24\n%s\n}\n",
			i, number, i, i, more);
	fprintf(file, "} } }\n");
	fclose(file);
	snprintf(path, sizeof(path), CONFIG_CLIENTS_DIR "/" CONFIG_CLIENT_FILE, number);
	put_file(path, text);
}

static int request(const char *number)
{
	char text[XIPSEC_SADB_ERR_TEXT] = "";

	return request_connection(&d, number, text);
}

/* ------------------------------------------------------------------ comparing */

static const struct xipsec_spd_rule *rule_at(const __u32 *number, __u32 i)
{
	return &spd_editor_classifier(editor)->rule[number[i]];
}

/* In the maps is what all files make together. */
static void assert_as_read_anew(void)
{
	_cleanup_spd_source_ struct spd_source want = {0};
	struct config *config = read_files();
	struct spd_ids ids = spd_ids_of(&c.dp);
	_cleanup_free_ __u32 *number = NULL;
	__u32 n;

	assert_int_equal(spd_compile(config, &ids, &want), 0);
	number = spd_editor_order(editor, &n);
	assert_non_null(number);
	assert_int_equal(n, want.n_rules);
	for (__u32 i = 0; i < n; i++) {
		const struct xipsec_spd_rule *is = rule_at(number, i), *should = &want.rule[i];

		assert_memory_equal(&is->sel, &should->sel, sizeof(is->sel));
		assert_int_equal(is->action, should->action);
		assert_int_equal(is->dirs, should->dirs);
		assert_int_equal(is->child, should->child);
		assert_int_equal(is->origin, should->origin);
		assert_int_equal(is->policy, should->policy);
	}
	assert_true(spd_is_of(&c.dp, config));
	config_free(config);
}

/* The SPD of the files is in force, the daemon's config is theirs. */
static void begin(void)
{
	struct spd_source source = {0};
	struct spd_ids ids = spd_ids_of(&c.dp);

	config_free(d.config);
	d.config = read_files();
	assert_int_equal(spd_compile(d.config, &ids, &source), 0);
	classify_spd(&c, source.rule, source.n_rules);
	free(source.rule);
	spd_editor_close(editor);
	assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, d.config->max_rules, &editor), 0);
	withdrawn = switched = anew = events = 0;
	event_of[0] = 0;
	refuse_withdrawal = refuse_anew = 0;
	d.open = true;
}

/* The rules of the program's answers, too: editor and maps agree. */
static void assert_verdict(__u8 net, __u8 remote, const char *child)
{
	struct xipsec_flow *flow = &c.flow[0];
	int id = child ? datapath_child_id(&c.dp, child) : 0;

	memset(flow, 0, sizeof(*flow));
	flow->family = XIPSEC_FAMILY_IP4;
	flow->dir = XIPSEC_DIR_OUT;
	flow->l4_proto = IPPROTO_UDP;
	memcpy(flow->local.byte, (__u8[]){10, net, 0, 1}, 4);
	memcpy(flow->remote.byte, (__u8[]){10, 9, remote, 1}, 4);
	classify_run(&c, 1);
	if (child)
		assert_int_equal(c.answer[0].child, id);
	else
		assert_int_equal(c.answer[0].verdict, REFERENCE_DISCARD);
}

/* ------------------------------------------------------------------ alone */

static void test_comes_changes_goes(void **state)
{
	__u32 before;

	begin();
	before = in_force();
	assert_verdict(5, 0, NULL);
	put_client(5, "five", 2, "");
	assert_int_equal(request("5"), 0);
	assert_as_read_anew();
	assert_verdict(5, 0, "five/n0");
	assert_verdict(5, 1, "five/n1");
	put_client(3, "three", 1, ""); /* stands before it */
	assert_int_equal(request("3"), 0);
	assert_as_read_anew();
	assert_verdict(3, 0, "three/n0");
	put_client(5, "five", 3, ""); /* changes */
	assert_int_equal(request("5"), 0);
	assert_as_read_anew();
	assert_verdict(5, 2, "five/n2");
	put_client(3, "three", 0, "");
	assert_int_equal(request("3"), 0);
	assert_as_read_anew();
	assert_verdict(3, 0, NULL);
	put_client(5, "five", 0, "");
	assert_int_equal(request("5"), 0);
	assert_as_read_anew();
	assert_verdict(5, 0, NULL);
	assert_int_equal(in_force(), before + 5); /* one generation each */
	assert_int_equal(withdrawn, 5);           /* whoever stands behind, as one comes, too */
	assert_int_equal(switched, 5);
	assert_int_equal(anew, 0);
}

/* SAs are taken away before the policies that bore them go: at_withdrawal has the old ones. */
static void test_order(void **state)
{
	__u32 before;

	begin();
	put_client(5, "five", 2, "");
	assert_int_equal(request("5"), 0);
	before = in_force();
	put_client(5, "five", 1, "");
	assert_int_equal(request("5"), 0);
	assert_int_equal(at_withdrawal, before);
	assert_int_equal(in_force(), before + 1);
	/* what cannot be taken away keeps its policies; then everything is read anew */
	put_client(5, "five", 3, "");
	refuse_withdrawal = -EIO;
	assert_int_equal(request("5"), 0);
	assert_int_equal(in_force(), before + 1);
	assert_int_equal(anew, 1);
	/* and should that fail, SAs are added by what is in force */
	assert_int_equal(config_conn_find(d.config, "five")->n_children, 1);
	put_client(4, "four", 1, "");
	assert_int_equal(request("4"), 0);
	assert_int_equal(anew, 2);
	assert_null(config_conn_find(d.config, "four"));
	put_client(4, "four", 0, "");
	put_client(5, "five", 0, "");
	assert_int_equal(request("5"), 0);
	assert_int_equal(anew, 3);
	assert_int_equal(config_conn_find(d.config, "five")->n_children, 1);
}

/* Who listens hears which one it was. */
static void test_events(void **state)
{
	begin();
	d.server = (void *)&d;
	put_client(5, "five", 1, "");
	assert_int_equal(request("5"), 0);
	assert_string_equal(event_of, "five");
	put_client(5, "six", 1, "");
	assert_int_equal(request("5"), 0);
	assert_string_equal(event_of, "six");
	put_client(5, "six", 0, "");
	assert_int_equal(request("5"), 0);
	assert_string_equal(event_of, "six");
	assert_int_equal(events, 3);
	assert_int_equal(request("5"), 0); /* it is gone already: nothing of anybody */
	assert_int_equal(events, 3);
	d.server = NULL;
}

/* ------------------------------------------------------------------ with everything else */

static void assert_anew(const char *number, unsigned int times)
{
	__u32 before = in_force();

	anew = events = 0;
	assert_int_equal(request(number), 0);
	assert_int_equal(anew, times);
	assert_int_equal(events, 0);
	if (in_force() != before)
		fail_msg("%s: the SPD in force is another one", number);
	anew = 0;
	refuse_anew = -EINVAL; /* what that says is the answer */
	assert_int_equal(request(number), -EINVAL);
	refuse_anew = 0;
}

static void test_everything_anew(void **state)
{
	struct xipsec_spd_rule stranger = {.sel = selector_any,
					   .action = XIPSEC_ACTION_DISCARD,
					   .dirs = XIPSEC_DIR_IN | XIPSEC_DIR_OUT};

	/* the list of a manual SA is made with its key, which is in the config */
	begin();
	put_client(5, "five", 1, "");
	manual_sa = true;
	assert_anew("5", 1);
	manual_sa = false;
	put_client(5, "five", 0, "");
	/* an if_id concerns more than its own rules */
	begin();
	put_client(5, "five", 1, "if_id_in = 7\nif_id_out = 7");
	assert_anew("5", 1);
	/* a file that cannot be understood */
	put_file(CONFIG_CLIENTS_DIR "/0000000005.conf", "connections { five { nonsense } }\n");
	assert_anew("5", 1);
	/* the name is the file's */
	put_client(5, "own", 1, "");
	assert_anew("5", 1);
	put_client(5, "own", 0, "");
	/* nothing is attached */
	begin();
	d.open = false;
	put_client(5, "five", 1, "");
	assert_anew("5", 1);
	put_client(5, "five", 0, "");
	/* the SPD in force is not that of our config: somebody has switched */
	begin();
	put_client(5, "five", 1, "");
	classify_spd(&c, &stranger, 1);
	assert_false(spd_is_of(&c.dp, d.config));
	assert_anew("5", 1);
	put_client(5, "five", 0, "");
	/* there is no SPD that could be edited */
	begin();
	put_client(5, "five", 1, "");
	spd_editor_close(editor);
	editor = NULL;
	assert_anew("5", 1);
	put_client(5, "five", 0, "");
}

/* Rules of an SA (stand-ins) stand before the rule that they belong to: nothing comes between. */
static void test_before_rules_of_sas(void **state)
{
	struct spd_add add = {.rule = {.sel = selector_any,
				       .action = XIPSEC_ACTION_DISCARD,
				       .dirs = XIPSEC_DIR_OUT,
				       .origin = XIPSEC_RULE_OF_SA}};
	_cleanup_free_ __u32 *number = NULL, *then = NULL;
	__u32 n, n_then, generation;

	begin();
	number = spd_editor_order(editor, &n);
	add.before = number[n - 1]; /* of the last policy, behind connections {} */
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
	put_client(5, "five", 1, "");
	assert_int_equal(request("5"), 0);
	assert_int_equal(anew, 0);
	then = spd_editor_order(editor, &n_then);
	assert_true(n_then > n + 1);
	assert_true(rule_at(then, n_then - 2)->origin & XIPSEC_RULE_OF_SA);
	assert_int_equal(rule_at(then, n_then - 3)->child, datapath_child_id(&c.dp, "five/n0"));
	put_client(5, "five", 0, "");
	assert_int_equal(request("5"), 0);
	free(then);
	then = spd_editor_order(editor, &n_then);
	assert_int_equal(n_then, n + 1);
	/* which are no matter of the config's, that others are */
	assert_true(spd_is_of(&c.dp, d.config));
	assert_int_equal(spd_edit(editor, NULL, 0, &then[0], 1, &generation), 0);
	assert_false(spd_is_of(&c.dp, d.config));
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {"", "x", "5x", "0", "4294967296", "99999999999999999999"};

	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(request(bad[i]), -EINVAL);
	assert_int_equal(anew, 0);
}

/* ------------------------------------------------------------------ around the tests */

static int map_of_names(const char *name, __u32 key_len, __u32 max)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);

	return bpf_map_create(BPF_MAP_TYPE_HASH, name, key_len, sizeof(__u32), max + 1, &opts);
}

static int setup(void **state)
{
	char text[2048];

	if (!mkdtemp(dir))
		return -1;
	snprintf(text, sizeof(text), "%s/" CONFIG_CLIENTS_DIR, dir);
	if (mkdir(text, 0700))
		return -1;
	snprintf(text, sizeof(text),
		 "datapath { run_dir = %s\npin_dir = /sys/fs/bpf/none-such\n}\n"
		 "policies {\nfirst { action = bypass\nremote = 192.0.2.0/24 }\n"
		 "here { action = connections }\nlast { action = discard }\n}\n"
		 "connections { own { " ENDS "children { a { local_ts = 10.1.0.0/16\n"
		 "remote_ts = 10.2.0.0/16 } } } }\n",
		 dir);
	put_file("xipsec.conf", text);
	classify_load(&c, 1, CLASSIFY_TABLES);
	c.dp.child_ids = map_of_names("child_ids", XIPSEC_NAME_LEN, XIPSEC_CHILDREN_MAX);
	c.dp.dev_ids = map_of_names("dev_ids", XIPSEC_IFNAME_LEN, XIPSEC_DEVS_MAX);
	d.home.dp = c.dp;
	return c.dp.child_ids < 0 || c.dp.dev_ids < 0;
}

static int teardown(void **state)
{
	bool any;
	char path[96];

	spd_editor_close(editor);
	config_free(d.config);
	classify_end(&c);
	config_clients_forget(dir, &any);
	snprintf(path, sizeof(path), "%s/" CONFIG_CLIENTS_DIR, dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/xipsec.conf", dir);
	unlink(path);
	rmdir(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_changes_goes),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_everything_anew),
		cmocka_unit_test(test_before_rules_of_sas),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
