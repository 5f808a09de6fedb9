// SPDX-License-Identifier: BSD-2-Clause
/*
 * Several editors of one SPD, as xipsecd and a reload are, and what is told of rules when one of
 * them has it built anew: counts and names.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/wait.h>
#include "loader/spd_change.h"
#include "loader/spd_edit_inside.h"
#include "loader/spd_names.h"
#include "tests/lib/bpffs.h"
#include "tests/lib/spd_generate.h"
#include "tests/prog/classify.h"

enum { RULES = 300, FLOWS = 8, BUILDS_ANEW = PENDING_MAX };

static struct classify c;

static int setup(void **state)
{
	static struct xipsec_spd_rule rule[RULES];
	__u64 seed = 4711;

	classify_load(&c, FLOWS, CLASSIFY_CACHED);
	spd_generate(SHAPE_ACL, &seed, rule, RULES);
	classify_spd(&c, rule, RULES);
	return 0;
}

static int teardown(void **state)
{
	classify_end(&c);
	return 0;
}

static struct spd_editor *open_editor(const char *gen_dir)
{
	struct spd_editor *editor;

	assert_int_equal(spd_editor_open(&c.dp, NULL, gen_dir, 100000, &editor), 0);
	return editor;
}

static __u32 first_of(const struct spd_editor *editor)
{
	__u32 n, *order = spd_editor_order(editor, &n), first;

	assert_non_null(order);
	first = order[0];
	free(order);
	return first;
}

/* All of IPv4 that goes out. */
static struct spd_add in_front(const struct spd_editor *editor, __u8 action, __u32 child)
{
	struct spd_add add = {.before = first_of(editor)};
	struct xipsec_spd_rule *rule = &add.rule;

	rule->sel.family = XIPSEC_FAMILY_IP4;
	memset(&rule->sel.local_hi, 0xff, 4);
	memset(&rule->sel.remote_hi, 0xff, 4);
	rule->sel.any_proto = 1;
	rule->sel.local_port_hi = rule->sel.remote_port_hi = rule->sel.icmp_hi = 0xffff;
	rule->dirs = XIPSEC_DIR_OUT;
	rule->action = action;
	rule->child = child;
	return add;
}

static int refuse(void *ctx)
{
	return -EPERM;
}

/* What it took back is still in the memory, at the priority that the next would choose as well. */
static void test_one_takes_back(void **state)
{
	struct spd_editor *first = open_editor(NULL), *second = open_editor(NULL);
	const struct spd_ready no = {refuse, NULL};
	struct spd_add add = in_front(second, XIPSEC_ACTION_DISCARD, 0);
	__u32 generation;
	int err;

	spd_editor_ready(second, &no);
	assert_int_equal(spd_edit(second, &add, 1, NULL, 0, &generation), -EPERM);
	add = in_front(first, XIPSEC_ACTION_PROTECT, 77);
	err = spd_edit(first, &add, 1, NULL, 0, &generation);
	if (err == -ESTALE) {
		add = in_front(first, XIPSEC_ACTION_PROTECT, 77);
		err = spd_edit(first, &add, 1, NULL, 0, &generation);
	}
	assert_int_equal(err, 0);
	for (unsigned int i = 0; i < FLOWS; i++)
		c.flow[i] = (struct xipsec_flow){.family = XIPSEC_FAMILY_IP4,
						 .l4_proto = IPPROTO_UDP,
						 .remote_port = (__u16)(1000 + i),
						 .dir = XIPSEC_DIR_OUT};
	classify_run(&c, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++) {
		assert_int_equal(c.answer[i].verdict, SPD_PROTECT);
		assert_int_equal(c.answer[i].rule, add.number);
		assert_int_equal(c.answer[i].child, 77);
	}
	assert_int_equal(spd_edit(first, NULL, 0, &add.number, 1, &generation), 0);
	spd_editor_close(first);
	spd_editor_close(second);
}

/* Reading takes back what nobody has published: not while somebody is about to. */
static void test_opened_under_the_lock(void **state)
{
	char dir[] = "/tmp/xipsec-editors-XXXXXX", path[64];
	struct spd_editor *editor;
	int lock, status;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	lock = datapath_lock(dir);
	assert_true(lock >= 0);
	pid = fork();
	if (!pid) {
		close(lock);
		_exit(spd_editor_open(&c.dp, dir, NULL, 100000, &editor) ? 1 : 0);
	}
	usleep(200000);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	close(lock);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/loader.lock", dir);
	unlink(path);
	rmdir(dir);
}

/* So many in front of all that the SPD is built anew. */
static void build_anew(struct spd_editor *editor, struct spd_add *add)
{
	const __u32 head = editor->head_id;
	__u32 generation;

	for (unsigned int i = 0; i < BUILDS_ANEW; i++) {
		add[i] = in_front(editor, XIPSEC_ACTION_PROTECT, i);
		add[i].rule.sel.local_lo.byte[3] = (__u8)i;
	}
	assert_int_equal(spd_edit(editor, add, BUILDS_ANEW, NULL, 0, &generation), 0);
	assert_int_not_equal(editor->head_id, head);
}

static void test_new_ones_count_from_zero(void **state)
{
	struct spd_editor *editor = open_editor(NULL);
	static struct spd_add add[BUILDS_ANEW];
	struct hits hits = HITS_NONE;
	__u32 old = first_of(editor);

	assert_int_equal(hits_open(c.dp.spd_hits, &hits), 0);
	for (size_t i = 0; i < (size_t)hits.cpus * hits.rules; i++)
		hits.at[i].packets = 7;
	build_anew(editor, add);
	for (unsigned int i = 0; i < BUILDS_ANEW; i++)
		assert_int_equal(hits_sum(&hits, add[i].number).packets, 0);
	assert_int_equal(hits_sum(&hits, old).packets, 7 * hits.cpus);
	hits_close(&hits);
	spd_editor_close(editor);
}

/* Which calloc() from now on finds no memory; 0: none. */
static unsigned int no_memory_at;

void *__libc_calloc(size_t n, size_t size);

void *calloc(size_t n, size_t size)
{
	if (no_memory_at && !--no_memory_at) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_calloc(n, size);
}

/* Wherever memory ends, an error means that the SPD before rules, and 0 that the new one does and
 * the editor goes on with it. */
static void test_built_anew_or_not(void **state)
{
	enum { MOST = 1000 };
	static struct spd_add add[BUILDS_ANEW];
	struct spd_editor *editor = open_editor(NULL);
	unsigned int failed = 0, at, reached;

	for (at = reached = 1; reached && at < MOST; at++) {
		const __u32 head = editor->head_id, n_rules = editor->memory.c.head->n_rules;
		__u32 generation, n, *order;
		struct spd_add one;
		int err;

		for (unsigned int i = 0; i < BUILDS_ANEW; i++)
			add[i] = in_front(editor, XIPSEC_ACTION_PROTECT, i);
		no_memory_at = at;
		err = spd_edit(editor, add, BUILDS_ANEW, NULL, 0, &generation);
		reached = !no_memory_at;
		no_memory_at = 0;
		failed += err != 0;
		order = spd_editor_order(editor, &n);
		assert_non_null(order);
		assert_int_equal(n, n_rules + (err ? 0 : BUILDS_ANEW));
		assert_true(err || order[0] == add[0].number);
		free(order);
		/* the next change is in the SPD in force */
		one = in_front(editor, XIPSEC_ACTION_DISCARD, 0);
		assert_int_equal(spd_edit(editor, &one, 1, NULL, 0, &generation), 0);
		assert_int_equal(spd_edit(editor, NULL, 0, &one.number, 1, &generation), 0);
		assert_int_equal(editor->head_id == head, err != 0);
	}
	print_message("  %u of %u callocs end the change\n", failed, at - 2);
	assert_false(reached);
	assert_true(failed >= 4);
	spd_editor_close(editor);
}

static __u32 began_with(void)
{
	struct xipsec_globals globals = {0};
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(c.dp.globals, &zero, &globals), 0);
	return globals.spd_generation;
}

static void test_names_stay(void **state)
{
	static const char *const pins[] = {"spd_names", "spd_head", "spd_buckets", "spd_rules"};
	static struct config_policy policy[2] = {{.name = "one"}, {.name = "two"}};
	struct config config = {.policies = policy, .n_policies = 2};
	static struct spd_add add[BUILDS_ANEW];
	struct spd_editor *editor;
	struct xipsec_spd_name *names;
	__u32 n = 0, before = began_with();
	char base[] = "/tmp/xipsec-editors-XXXXXX", dir[64], path[128];

	assert_non_null(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/pins", base);
	assert_int_equal(bpffs_mount(dir), 0);
	assert_int_equal(spd_names_write(dir, &config, before), 0);
	editor = open_editor(dir);
	build_anew(editor, add);
	spd_editor_close(editor);
	names = spd_names_read(dir, &n);
	for (unsigned int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, pins[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(umount(dir) | rmdir(dir) | rmdir(base), 0);
	assert_non_null(names);
	assert_int_equal(n, 2);
	assert_int_not_equal(began_with(), before);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(names[i].spd_generation, began_with());
		assert_string_equal(names[i].policy, policy[i].name);
	}
	free(names);
}

/* All flows by the rule in front, which has nobody counted for yet. */
static void assert_counts(struct classify *few, const struct spd_add *front)
{
	struct hits hits = HITS_NONE;

	classify_run(few, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++)
		assert_int_equal(few->answer[i].rule, front->number);
	assert_int_equal(hits_open(few->dp.spd_hits, &hits), 0);
	assert_int_equal(hits_sum(&hits, front->number).packets, FLOWS);
	hits_close(&hits);
}

/* Few counters, and the SPD never has more rules: those that come and go get numbers with one. */
static void test_all_numbers_are_counted(void **state)
{
	enum { LEFT = 4 };
	static struct xipsec_spd_rule rule[RULES];
	struct spd_editor *editor;
	struct spd_add add;
	struct classify few;
	__u32 generation, last;
	__u64 seed = 4711;

	classify_load_counted(&few, FLOWS, CLASSIFY_CACHED, RULES + LEFT);
	spd_generate(SHAPE_ACL, &seed, rule, RULES);
	classify_spd(&few, rule, RULES);
	for (unsigned int i = 0; i < FLOWS; i++)
		few.flow[i] = (struct xipsec_flow){.family = XIPSEC_FAMILY_IP4,
						   .l4_proto = IPPROTO_UDP,
						   .dir = XIPSEC_DIR_OUT};
	/* as xipsecd has it after a reload with more rules */
	assert_int_equal(spd_editor_open(&few.dp, NULL, NULL, 2 * RULES, &editor), 0);
	for (unsigned int i = 0; i < 3 * PENDING_MAX; i++) {
		add = in_front(editor, XIPSEC_ACTION_PROTECT, i);
		assert_int_equal(spd_edit(editor, &add, 1, &last, i > 0, &generation), 0);
		assert_counts(&few, &add);
		last = add.number;
	}
	for (unsigned int i = 1; i < LEFT; i++) {
		add = in_front(editor, XIPSEC_ACTION_PROTECT, i);
		assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
		assert_counts(&few, &add);
	}
	last = add.number;
	add = in_front(editor, XIPSEC_ACTION_DISCARD, 0);
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), -E2BIG);
	/* full: one goes for another */
	for (unsigned int i = 0; i < 3; i++) {
		add = in_front(editor, XIPSEC_ACTION_PROTECT, i);
		assert_int_equal(spd_edit(editor, &add, 1, &last, 1, &generation), 0);
		assert_counts(&few, &add);
		last = add.number;
	}
	spd_editor_close(editor);
	classify_end(&few);
}

/* The dynamic ones of all rules, and what stands behind each. */
static unsigned int assert_dynamic(const struct spd_editor *editor)
{
	const struct classifier *memory = spd_editor_classifier(editor);
	__u32 n, m, k = 0, *order = spd_editor_order(editor, &n);
	struct spd_dynamic *list = spd_editor_dynamic(editor, &m);

	assert_true(order && list);
	for (__u32 i = 0; i < n; i++) {
		if (!memory->rule[order[i]].origin)
			continue;
		assert_true(k < m);
		assert_int_equal(list[k].number, order[i]);
		assert_int_equal(list[k++].behind, i + 1 < n ? order[i + 1] : SPD_AT_END);
	}
	assert_int_equal(k, m);
	free(order);
	free(list);
	return m;
}

/* Rules of SAs before a stand-in, until others move to make room, and changes that are refused. */
static void test_dynamic_ones_are_known(void **state)
{
	enum { ROUNDS = 200 };
	const struct spd_ready no = {refuse, NULL};
	struct spd_editor *editor = open_editor(NULL);
	struct spd_add standin = in_front(editor, XIPSEC_ACTION_DISCARD, 0), add;
	__u32 generation, number[ROUNDS], n = 0;

	standin.before = editor->order.at[standin.before].after;
	standin.rule.origin = XIPSEC_RULE_REMOTE_LATER;
	assert_int_equal(spd_edit(editor, &standin, 1, NULL, 0, &generation), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct spd_dynamic *list;
		__u32 m;

		list = spd_editor_dynamic(editor, &m);
		assert_non_null(list);
		/* numbers are good until the next change; the stand-in is the last */
		for (__u32 k = n = 0; k < m; k++)
			if (editor->memory.c.rule[list[k].number].origin & XIPSEC_RULE_OF_SA)
				number[n++] = list[k].number;
		add = in_front(editor, XIPSEC_ACTION_PROTECT, i);
		add.rule.origin = XIPSEC_RULE_OF_SA;
		add.before = n && i % 2 ? number[n / 2] : list[m - 1].number;
		free(list);
		spd_editor_ready(editor, i % 5 == 4 ? &no : NULL);
		assert_int_equal(
			spd_edit(editor, &add, 1, &number[n / 3], n && i % 3 == 2, &generation),
			i % 5 == 4 ? -EPERM : 0);
		assert_dynamic(editor);
	}
	print_message("  %u dynamic rules\n", assert_dynamic(editor));
	assert_true(assert_dynamic(editor) > ROUNDS / 4);
	spd_editor_ready(editor, NULL);
	spd_editor_close(editor);
	/* and who opens it anew knows the same */
	editor = open_editor(NULL);
	assert_true(assert_dynamic(editor) > ROUNDS / 4);
	spd_editor_close(editor);
}

/* The children of what is in force, in order; 0: it has none. */
static void assert_children(const struct classify *few, const __u32 *want, __u32 n_want)
{
	struct spd_editor *editor;
	__u32 n, *order;

	assert_int_equal(spd_editor_open(&few->dp, NULL, NULL, 1000, &editor), 0);
	order = spd_editor_order(editor, &n);
	assert_non_null(order);
	assert_int_equal(n, n_want);
	for (__u32 i = 0; i < n; i++)
		assert_int_equal(editor->memory.c.rule[order[i]].child, want[i]);
	assert_dynamic(editor);
	free(order);
	spd_editor_close(editor);
}

/* A reload puts rules before those of SAs that stand before the same one, takes these away with
 * it, and does not move it in place. */
static void test_reload_around_rules_of_sas(void **state)
{
	enum { FIRST = 1, SECOND, STANDIN, NEW, OF_SA };
	struct xipsec_spd_rule list[4] = {0}, was[3];
	struct spd_source source = {.rule = list, .n_rules = 4};
	struct spd_editor *editor;
	struct spd_add of_sa;
	struct classify few;
	__u32 generation;

	for (__u32 i = 0; i < 4; i++) {
		struct spd_editor *any = open_editor(NULL);

		list[i] = in_front(any, XIPSEC_ACTION_PROTECT, 0).rule;
		list[i].sel.local_lo.byte[0] = (__u8)(i + 1);
		spd_editor_close(any);
	}
	list[0].child = FIRST;
	list[1].child = STANDIN;
	list[1].origin = XIPSEC_RULE_REMOTE_LATER;
	list[2].child = SECOND;
	memcpy(was, list, sizeof(was));
	classify_load(&few, FLOWS, CLASSIFY_TABLES);
	classify_spd(&few, list, 3);
	assert_int_equal(spd_editor_open(&few.dp, NULL, NULL, 1000, &editor), 0);
	of_sa = (struct spd_add){.rule = list[1],
				 .before = editor->order.at[first_of(editor)].after};
	of_sa.rule.child = OF_SA;
	of_sa.rule.origin = XIPSEC_RULE_OF_SA;
	assert_int_equal(spd_edit(editor, &of_sa, 1, NULL, 0, &generation), 0);
	spd_editor_close(editor);
	/* one more before the stand-in */
	list[3] = was[2];
	list[2] = was[1];
	list[1] = was[0];
	list[1].child = NEW;
	list[1].sel.local_lo.byte[0] = 9;
	assert_int_equal(spd_change(&few.dp, NULL, 1000, &source, NULL, &generation), 0);
	assert_children(&few, (const __u32[]){FIRST, NEW, OF_SA, STANDIN, SECOND}, 5);
	/* it comes to stand behind another: not in place */
	list[2] = was[2];
	list[3] = was[1];
	source.n_rules = 4;
	assert_int_equal(spd_change(&few.dp, NULL, 1000, &source, NULL, &generation), -EAGAIN);
	assert_children(&few, (const __u32[]){FIRST, NEW, OF_SA, STANDIN, SECOND}, 5);
	/* it goes */
	source.n_rules = 3;
	assert_int_equal(spd_change(&few.dp, NULL, 1000, &source, NULL, &generation), 0);
	assert_children(&few, (const __u32[]){FIRST, NEW, SECOND}, 3);
	classify_end(&few);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_takes_back),
		cmocka_unit_test(test_opened_under_the_lock),
		cmocka_unit_test(test_new_ones_count_from_zero),
		cmocka_unit_test(test_built_anew_or_not),
		cmocka_unit_test(test_names_stay),
		cmocka_unit_test(test_all_numbers_are_counted),
		cmocka_unit_test(test_dynamic_ones_are_known),
		cmocka_unit_test(test_reload_around_rules_of_sas),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
