// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd_edit_inside.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/spd_room.h"

/* ------------------------------------------------------------------ order */

static bool is_dynamic(const struct spd_editor *e, __u32 number)
{
	return e->memory.c.rule[number].origin != 0;
}

static void order_insert(struct spd_editor *e, __u32 number, __u32 before)
{
	rule_list_insert(&e->order, number, before);
	if (!is_dynamic(e, number))
		return;
	/* Where they come with SAs it is the next one. */
	while (before != NONE && !is_dynamic(e, before))
		before = e->order.at[before].after;
	rule_list_insert(&e->dynamic, number, before);
}

static void order_remove(struct spd_editor *e, __u32 number)
{
	rule_list_remove(&e->order, number);
	if (is_dynamic(e, number))
		rule_list_remove(&e->dynamic, number);
}

void order_replace(struct spd_editor *e, __u32 from, __u32 to)
{
	rule_list_replace(&e->order, from, to);
	if (is_dynamic(e, to))
		rule_list_replace(&e->dynamic, from, to);
}

static int list_make(struct rule_list *list, __u32 most)
{
	free(list->at);
	list->at = calloc(most, sizeof(list->at[0]));
	list->first = list->last = NONE;
	return list->at ? 0 : -ENOMEM;
}

struct numbered {
	__u32 priority, number;
};

static int by_priority(const void *a, const void *b)
{
	__u32 x = ((const struct numbered *)a)->priority,
	      y = ((const struct numbered *)b)->priority;

	return x < y ? -1 : x > y;
}

/* From what is in the memory: the live ones in order, those in between to `pending`. */
static int order_read(struct spd_editor *e)
{
	const struct xipsec_spd *head = e->memory.c.head;
	_cleanup_free_ struct numbered *list = calloc(head->rules_end + 1, sizeof(*list));
	__u32 n = 0;

	if (!list || list_make(&e->order, head->max_rules) ||
	    list_make(&e->dynamic, head->max_rules))
		return -ENOMEM;
	e->newest = NONE;
	e->n_pending = 0;
	for (__u32 i = 0; i < head->rules_end; i++) {
		struct xipsec_spd_rule *rule = &e->memory.c.rule[i];

		if (!rule->used)
			continue;
		/* By somebody who died before it was published: put in, or about to go. */
		if (rule->born && (__s32)(rule->born - head->generation) > 0)
			classifier_undo(&e->memory.c, i);
		else if (rule->dies && (__s32)(rule->dies - head->generation) > 0)
			__atomic_store_n(&rule->dies, 0, __ATOMIC_RELEASE);
		if ((rule->born || rule->dies) && e->n_pending < PENDING_MAX)
			e->pending[e->n_pending++] = i;
		if (!rule->dies)
			list[n++] = (struct numbered){rule->priority, i};
	}
	qsort(list, n, sizeof(list[0]), by_priority);
	for (__u32 i = 0; i < n; i++)
		order_insert(e, list[i].number, NONE);
	e->memory.c.head->n_rules = n; /* which the dead one had not come to */
	return 0;
}

__u32 *spd_editor_order(const struct spd_editor *e, __u32 *n)
{
	__u32 *list = e->memory.c.head ? calloc(e->memory.c.head->n_rules + 1, sizeof(*list))
				       : NULL;

	*n = 0;
	for (__u32 at = e->order.first; list && at != NONE; at = e->order.at[at].after)
		list[(*n)++] = at;
	return list;
}

struct spd_dynamic *spd_editor_dynamic(const struct spd_editor *e, __u32 *n)
{
	struct spd_dynamic *list;

	*n = 0;
	for (__u32 at = e->dynamic.first; at != NONE; at = e->dynamic.at[at].after)
		++*n;
	list = calloc(*n + 1, sizeof(*list));
	for (__u32 at = e->dynamic.first, i = 0; list && at != NONE;
	     at = e->dynamic.at[at].after, i++)
		list[i] = (struct spd_dynamic){at, e->order.at[at].after};
	return list;
}

void spd_editor_pin(const struct spd_editor *e)
{
	if (e->gen_dir)
		spd_pin(&e->memory, e->gen_dir);
}

const struct classifier *spd_editor_classifier(const struct spd_editor *e)
{
	return &e->memory.c;
}

/* ------------------------------------------------------------------ opening */

static __u32 head_in_force(const struct spd_editor *e)
{
	__u32 zero = 0, id = 0;

	return bpf_map_lookup_elem(e->dp->spd, &zero, &id) ? 0 : id;
}

/* Another SPD was loaded, or somebody else has edited this one, or died while he did: what he took
 * back still has its place and its priority. */
static bool is_stale(const struct spd_editor *e)
{
	const struct xipsec_spd *head = e->memory.c.head;

	return !head || head_in_force(e) != e->head_id || head->generation != e->generation ||
	       head->n_edits != e->n_edits;
}

/* By who has the lock: what a dead one has left is taken back. */
static int editor_read(struct spd_editor *e)
{
	int err;

	spd_memory_close(&e->memory);
	e->head_id = head_in_force(e);
	err = spd_memory_open(e->dp, &e->memory);
	if (!err) {
		e->generation = e->memory.c.head->generation;
		e->n_edits = e->memory.c.head->n_edits;
		err = order_read(e);
	}
	if (err) {
		/* To be read anew before anything else: there are no rules until then. */
		spd_memory_close(&e->memory);
		e->order.first = e->dynamic.first = NONE;
		e->n_pending = 0;
	}
	return err;
}

static int editor_lock(const struct spd_editor *e)
{
	return e->run_dir ? datapath_lock(e->run_dir) : -1;
}

static int editor_read_locked(struct spd_editor *e)
{
	_cleanup_close_ int lock = editor_lock(e);

	return e->run_dir && lock < 0 ? lock : editor_read(e);
}

int spd_editor_open(const struct datapath *dp, const char *run_dir, const char *gen_dir,
		    __u32 max_rules, struct spd_editor **out)
{
	struct spd_editor *e = calloc(1, sizeof(*e));
	int err = 0;

	if (!e)
		return -ENOMEM;
	e->memory = (struct spd_memory)SPD_MEMORY_NONE;
	e->dp = dp;
	e->max_rules = max_rules;
	e->run_dir = run_dir ? strdup(run_dir) : NULL;
	e->gen_dir = gen_dir ? strdup(gen_dir) : NULL;
	if ((run_dir && !e->run_dir) || (gen_dir && !e->gen_dir))
		err = -ENOMEM;
	if (!err)
		err = hits_open(dp->spd_hits, &e->hits);
	if (!err && e->max_rules > e->hits.rules)
		e->max_rules = e->hits.rules;
	if (!err)
		err = editor_read_locked(e);
	if (err) {
		spd_editor_close(e);
		return err;
	}
	*out = e;
	return 0;
}

/* The memory that it edits, and the lists of that. */
static void memory_let_go(struct spd_editor *e)
{
	spd_memory_close(&e->memory);
	free(e->order.at);
	free(e->dynamic.at);
}

void spd_editor_close(struct spd_editor *e)
{
	if (!e)
		return;
	memory_let_go(e);
	hits_close(&e->hits);
	free(e->run_dir);
	free(e->gen_dir);
	free(e);
}

void spd_editor_ready(struct spd_editor *e, const struct spd_ready *ready)
{
	e->ready = ready;
}

/* ------------------------------------------------------------------ tidying */

/* An update of an outer map returns when all program runs that began before have ended. */
static int wait_for_programs(const struct spd_editor *e)
{
	__u32 zero = 0;

	return bpf_map_update_elem(e->dp->spd, &zero, &e->memory.head, BPF_ANY) ? -errno : 0;
}

/* Two waits. Behind the first nobody searches a generation that has the rules which went: their
 * entries may go. But whoever began meanwhile may have one in hand, and reads field by field that
 * its rule is dead: behind the second, none has. Were the place given to another rule before, that
 * one could be taken at the priority of the old, a generation too early. */
int spd_tidy(struct spd_editor *e)
{
	struct classifier *c = &e->memory.c;
	int err;

	if (!e->n_pending)
		return 0;
	/* The log names rules by their place, which will be another's. */
	for (unsigned int i = 0; i < e->n_pending; i++)
		if (c->rule[e->pending[i]].dies)
			classifier_log_forget(c, c->rule[e->pending[i]].dies);
	err = wait_for_programs(e);
	if (err)
		return err;
	for (unsigned int i = 0; i < e->n_pending; i++) {
		struct xipsec_spd_rule *rule = &c->rule[e->pending[i]];

		if (rule->dies)
			classifier_leave(c, e->pending[i]);
		else /* everybody who searches now began after its birth */
			__atomic_store_n(&rule->born, 0, __ATOMIC_RELEASE);
	}
	err = wait_for_programs(e);
	if (err)
		return err;
	for (unsigned int i = 0; i < e->n_pending; i++)
		if (c->rule[e->pending[i]].dies)
			classifier_forget(c, e->pending[i]);
	e->n_pending = 0;
	return 0;
}

int spd_editor_renew(struct spd_editor *e)
{
	_cleanup_close_ int lock = editor_lock(e);

	if (e->run_dir && lock < 0)
		return lock;
	return is_stale(e) ? editor_read(e) : 0;
}

/* ------------------------------------------------------------------ building anew */

bool spd_edit_removes(const struct spd_edit *change, __u32 number)
{
	for (unsigned int i = 0; i < change->n_remove; i++)
		if (change->remove[i] == number)
			return true;
	return false;
}

static void source_add(struct spd_source *to, const struct xipsec_spd_rule *rule, __u32 number)
{
	to->rule[to->n_rules] = *rule;
	to->number[to->n_rules++] = number;
}

static void source_add_before(struct spd_source *to, const struct spd_edit *change, __u32 before)
{
	for (unsigned int i = 0; i < change->n_add; i++)
		if (change->add[i].before == before) {
			change->add[i].number = to->n_rules; /* its place, for now */
			source_add(to, &change->add[i].rule, SPD_NEW);
		}
}

/* The rules with the change, in order. */
static int source_make(const struct spd_editor *e, const struct spd_edit *change,
		       struct spd_source *out)
{
	const struct xipsec_spd *head = e->memory.c.head;
	__u32 most = head->n_rules + change->n_add + 1;
	struct spd_source to = {.allow = head->allow,
				.n_ethertypes = head->n_ethertypes,
				.rule = calloc(most, sizeof(to.rule[0])),
				.number = calloc(most, sizeof(to.number[0]))};

	if (!to.rule || !to.number) {
		spd_source_free(&to);
		return -ENOMEM;
	}
	memcpy(to.ethertype, head->ethertype, sizeof(to.ethertype));
	for (__u32 at = e->order.first; at != NONE; at = e->order.at[at].after) {
		source_add_before(&to, change, at);
		if (!spd_edit_removes(change, at))
			source_add(&to, &e->memory.c.rule[at], at);
	}
	source_add_before(&to, change, SPD_AT_END);
	*out = to;
	return 0;
}

/* It edits `memory` from now on, whose lists have been read. */
static void editor_take(struct spd_editor *e, struct spd_editor *fresh)
{
	memory_let_go(e);
	fresh->head_id = head_in_force(e);
	fresh->generation = fresh->memory.c.head->generation;
	fresh->n_edits = fresh->memory.c.head->n_edits;
	*e = *fresh;
}

/* All that can fail comes before the switch: an error means that the old one rules. */
static int rebuild(struct spd_editor *e, const struct spd_edit *change, __u32 *generation)
{
	_cleanup_spd_source_ struct spd_source source = {0};
	struct spd_editor fresh = *e;
	struct btf *btf = spd_btf(e->dp);
	int err = source_make(e, change, &source);

	fresh.memory = (struct spd_memory)SPD_MEMORY_NONE;
	fresh.order.at = fresh.dynamic.at = NULL;
	source.counted = e->hits.rules;
	if (!err)
		err = spd_build(btf, &source, &fresh.memory);
	if (!err)
		err = order_read(&fresh);
	if (!err)
		err = spd_ready_call(e->ready);
	if (!err)
		err = spd_replace(e->dp, &fresh.memory, e->gen_dir, generation);
	btf__free(btf);
	if (err) {
		memory_let_go(&fresh);
		return err;
	}
	editor_take(e, &fresh);
	for (unsigned int k = 0; k < change->n_add; k++) {
		__u32 number = source.number[change->add[k].number];

		change->add[k].number = number;
		/* It was another rule's in the SPD before, which counts no more. */
		hits_clear(&e->hits, number, number + 1);
	}
	return 0;
}

/* ------------------------------------------------------------------ in place */

/* Neither programs nor the next change ever see them. */
static void take_back(struct spd_editor *e, const struct spd_edit *change, unsigned int n)
{
	for (unsigned int i = 0; i < change->n_remove; i++)
		__atomic_store_n(&e->memory.c.rule[change->remove[i]].dies, 0, __ATOMIC_RELEASE);
	while (n--) {
		order_remove(e, change->add[n].number);
		classifier_undo(&e->memory.c, change->add[n].number);
		e->pending[e->n_pending++] = change->add[n].number;
	}
	room_take_back(e);
}

/* -EAGAIN: it must be built anew. */
static int add_one(struct spd_editor *e, const struct spd_edit *change, struct spd_add *add,
		   __u32 next)
{
	struct xipsec_spd_rule rule = add->rule;
	__u32 before = room_number(e, add->before);
	int err = 0;

	rule.priority = room_between(e, before);
	if (!rule.priority) {
		err = room_make(e, change, before, next);
		before = room_number(e, add->before);
		rule.priority = err ? 0 : room_between(e, before);
	}
	rule.born = next;
	rule.dies = 0;
	add->number = CLASSIFIER_ANY;
	if (!rule.priority)
		return -EAGAIN;
	err = classifier_put(&e->memory.c, &rule, &add->number);
	if (err && add->number != CLASSIFIER_ANY)
		e->pending[e->n_pending++] = add->number;
	if (err)
		return -EAGAIN;
	/* The place was another rule's: whoever could count for that one has ended (tidy()). */
	hits_clear(&e->hits, add->number, add->number + 1);
	order_insert(e, add->number, before);
	e->newest = add->number;
	return 0;
}

/* Marks those that go, and lets in what was left out because of them, of what came just before,
 * too. 0, or -EAGAIN: it must be built anew. */
static int remove_all(struct spd_editor *e, const struct spd_edit *change, __u32 next)
{
	struct classifier *c = &e->memory.c;

	for (unsigned int i = 0; i < change->n_remove; i++)
		__atomic_store_n(&c->rule[change->remove[i]].dies, next, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < change->n_remove; i++)
		if (classifier_let_in(c, change->remove[i]))
			return -EAGAIN;
	return 0;
}

/* Are there too few numbers for so many more, and never will be? Those that went keep theirs. */
static bool wants_numbers(const struct spd_editor *e, unsigned int n)
{
	const struct xipsec_spd *head = e->memory.c.head;
	__u32 taken = head->n_rules + n;

	if (head->max_rules < e->hits.rules || taken + e->n_pending <= head->max_rules)
		return false;
	for (unsigned int i = 0; i < e->n_pending; i++)
		taken += e->memory.c.rule[e->pending[i]].dies != 0;
	return taken > head->max_rules;
}

static int edit_in_place(struct spd_editor *e, const struct spd_edit *change, __u32 *generation)
{
	struct classifier *c = &e->memory.c;
	__u32 next = c->head->generation + 1 ? c->head->generation + 1 : 1;
	unsigned int n = change->n_add + change->n_remove;
	int err;

	e->n_moves = 0;
	if (n > PENDING_MAX / 2)
		return -EAGAIN;
	if ((e->n_pending + n > PENDING_MAX || wants_numbers(e, change->n_add)) && spd_tidy(e))
		return -EAGAIN;
	for (unsigned int i = 0; i < change->n_add; i++) {
		if (add_one(e, change, &change->add[i], next)) {
			take_back(e, change, i);
			return -EAGAIN;
		}
	}
	err = remove_all(e, change, next);
	if (!err)
		err = spd_ready_call(e->ready);
	if (err) {
		take_back(e, change, change->n_add);
		return err;
	}
	for (unsigned int i = 0; i < change->n_add; i++)
		classifier_log(c, change->add[i].number, next);
	for (unsigned int i = 0; i < change->n_remove; i++) {
		classifier_log(c, change->remove[i], next);
		order_remove(e, change->remove[i]);
	}
	room_log(e, next);
	c->head->n_rules += change->n_add - change->n_remove;
	classifier_publish(c, next);
	room_taken(e);
	for (unsigned int i = 0; i < change->n_add; i++)
		e->pending[e->n_pending++] = change->add[i].number;
	for (unsigned int i = 0; i < change->n_remove; i++)
		e->pending[e->n_pending++] = change->remove[i];
	e->generation = next;
	*generation = next;
	return 0;
}

static bool lives(const struct spd_editor *e, __u32 number)
{
	const struct xipsec_spd *head = e->memory.c.head;

	return number < head->rules_end &&
	       classifier_lives(&e->memory.c.rule[number], head->generation);
}

static int change_check(const struct spd_editor *e, const struct spd_edit *change)
{
	for (unsigned int i = 0; i < change->n_add; i++)
		if (change->add[i].before != SPD_AT_END && !lives(e, change->add[i].before))
			return -ENOENT;
	for (unsigned int i = 0; i < change->n_remove; i++) {
		if (!lives(e, change->remove[i]))
			return -ENOENT;
		for (unsigned int k = 0; k < i; k++)
			if (change->remove[k] == change->remove[i])
				return -EINVAL;
	}
	if ((__u64)e->memory.c.head->n_rules + change->n_add >
	    (__u64)e->max_rules + change->n_remove)
		return -E2BIG;
	return 0;
}

int spd_edit(struct spd_editor *e, struct spd_add *add, unsigned int n_add, const __u32 *remove,
	     unsigned int n_remove, __u32 *generation)
{
	struct spd_edit change = {add, n_add, remove, n_remove};
	_cleanup_close_ int lock = editor_lock(e);
	int err;

	if (e->run_dir && lock < 0)
		return lock;
	if (is_stale(e)) {
		err = editor_read(e);
		return err ? err : -ESTALE;
	}
	err = change_check(e, &change);
	if (err)
		return err;
	e->n_edits = ++e->memory.c.head->n_edits;
	err = edit_in_place(e, &change, generation);
	return err == -EAGAIN ? rebuild(e, &change, generation) : err;
}
