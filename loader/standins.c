// SPDX-License-Identifier: BSD-2-Clause
#include "loader/standins.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/standin.h"
#include "loader/daemon_inside.h"
#include "loader/standin_change.h"

/* One set of addresses of one child. It outlives its SAs until another one is wanted. */
struct slot {
	char child[XIPSEC_NAME_LEN];
	struct standin_addrs addrs;
	unsigned int number; /* among those of the child */
	__u32 id;
	bool up;
};

struct standins {
	struct slot *slot;
	unsigned int n, room;
	struct spd_editor *editor; /* NULL: to be opened */
	bool due;                  /* not all is as it should be */
	int said;                  /* the last error that was logged */
};

struct standins *standins_new(void)
{
	return calloc(1, sizeof(struct standins));
}

static void editor_drop(struct standins *s)
{
	if (s->editor)
		spd_editor_close(s->editor);
	s->editor = NULL;
}

void standins_free(struct standins *s)
{
	if (!s)
		return;
	editor_drop(s);
	free(s->slot);
	free(s);
}

/* ------------------------------------------------------------------ slots */

static struct slot *slot_find(struct standins *s, const char *child,
			      const struct standin_addrs *addrs)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (!memcmp(&s->slot[i].addrs, addrs, sizeof(*addrs)) &&
		    !strcmp(s->slot[i].child, child))
			return &s->slot[i];
	return NULL;
}

static struct slot *slot_by_id(struct standins *s, __u32 id)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (s->slot[i].id == id)
			return &s->slot[i];
	return NULL;
}

static void slots_drop_idle(struct daemon *d)
{
	struct standins *s = d->standins;
	_cleanup_free_ bool *used = calloc(s->n + 1, sizeof(*used));
	unsigned int kept = 0;

	for (struct sa *sa = sas_next(d->sas, NULL); used && sa; sa = sas_next(d->sas, sa)) {
		struct slot *slot = slot_by_id(s, sa->child);

		if (slot)
			used[slot - s->slot] = true;
	}
	for (unsigned int i = 0; used && i < s->n; i++)
		if (used[i])
			s->slot[kept++] = s->slot[i];
	s->n = used ? kept : s->n;
}

static unsigned int number_free(const struct standins *s, const char *child)
{
	unsigned int number = 0;

	for (unsigned int i = 0; i < s->n; i++)
		if (s->slot[i].number == number && !strcmp(s->slot[i].child, child)) {
			number++;
			i = ~0U; /* from the first again */
		}
	return number;
}

/* The name has room for a number because those of connections and children have 31 letters. */
static int id_of(const struct daemon *d, const struct slot *slot)
{
	char name[XIPSEC_NAME_LEN + 12];

	if (!slot->number)
		return datapath_child_id(&d->home.dp, slot->child);
	snprintf(name, sizeof(name), "%s/%u", slot->child, slot->number);
	return datapath_child_id(&d->home.dp, name);
}

static int slot_add(struct daemon *d, const char *child, const struct standin_addrs *addrs)
{
	struct standins *s = d->standins;
	struct slot slot = {.addrs = *addrs};
	int id;

	slots_drop_idle(d);
	if (s->n == s->room) {
		unsigned int room = s->room ? 2 * s->room : 16;
		struct slot *more = realloc(s->slot, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->slot = more;
		s->room = room;
	}
	strcpy(slot.child, child);
	slot.number = number_free(s, child);
	id = id_of(d, &slot);
	if (id < 0)
		return id;
	slot.id = (__u32)id;
	s->slot[s->n++] = slot;
	return id;
}

int standins_child_id(struct daemon *d, const struct xipsec_sa *sa)
{
	struct standin_addrs addrs;
	const struct slot *slot;

	if (sa->if_id || !standin_addrs(d->config, sa, &addrs))
		return datapath_child_id(&d->home.dp, sa->child);
	slot = slot_find(d->standins, sa->child, &addrs);
	return slot ? (int)slot->id : slot_add(d, sa->child, &addrs);
}

/* ------------------------------------------------------------------ in the SPD */

/* Rules that should be. `standin` points into the config. */
struct wants {
	struct standin_want *want;
	unsigned int n;
};

static void wants_free(struct wants *wants)
{
	free(wants->want);
}
#define _cleanup_wants_ __attribute__((cleanup(wants_free)))

static int wants_add(const struct daemon *d, const struct slot *slot, struct wants *wants)
{
	_cleanup_free_ struct standin_rule *known = NULL;
	struct standin_want *more;
	unsigned int n = 0;
	int err = standin_rules(d->config, slot->child, &slot->addrs, &known, &n);

	if (err)
		return err;
	more = realloc(wants->want, (wants->n + n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	wants->want = more;
	for (unsigned int i = 0; i < n; i++) {
		struct standin_want *want = &wants->want[wants->n++];

		want->rule = known[i].rule;
		want->rule.child = slot->id;
		want->standin = &d->config->policies[known[i].policy].rules[known[i].place];
	}
	return 0;
}

static int editor_ready(struct daemon *d)
{
	char gen_dir[320];

	if (d->standins->editor)
		return 0;
	snprintf(gen_dir, sizeof(gen_dir), "%s/%s", d->config->pin_dir, d->home.dp.generation);
	return spd_editor_open(&d->home.dp, d->config->run_dir, gen_dir, d->config->max_rules,
			       &d->standins->editor);
}

int standins_editor(struct daemon *d, struct spd_editor **out)
{
	int err = editor_ready(d);

	if (!err)
		*out = d->standins->editor;
	return err;
}

/* What only people read changes in place. */
static void tell_people(const struct classifier *c, const struct wants *wants,
			const struct standin_change *change)
{
	for (unsigned int i = 0; i < change->n_keep; i++) {
		const struct xipsec_spd_rule *rule = &wants->want[change->keep[i].want].rule;

		c->rule[change->keep[i].number].line = rule->line;
		c->rule[change->keep[i].number].policy = rule->policy;
	}
}

/* Changes what is not as it should be; of one slot, or (NULL) of all. */
static int change_make(struct standins *s, const struct slot *slot, const struct wants *wants)
{
	const struct classifier *c = spd_editor_classifier(s->editor);
	_cleanup_standin_change_ struct standin_change change = {0};
	__u32 n, generation;
	_cleanup_free_ struct spd_dynamic *list = spd_editor_dynamic(s->editor, &n);
	int err;

	if (!list)
		return -ENOMEM;
	err = standin_change_find(c, list, n, wants->want, wants->n, slot ? &slot->id : NULL,
				  &change);
	if (err)
		return err;
	tell_people(c, wants, &change);
	if (!change.n_add && !change.n_remove)
		return 0;
	return spd_edit(s->editor, change.add, change.n_add, change.remove, change.n_remove,
			&generation);
}

static int work(struct daemon *d, const struct slot *slot)
{
	_cleanup_wants_ struct wants wants = {0};
	struct standins *s = d->standins;
	int err = editor_ready(d);

	if (!err)
		err = spd_editor_renew(s->editor);
	if (!err && slot && slot->up)
		err = wants_add(d, slot, &wants);
	for (unsigned int i = 0; !err && !slot && i < s->n; i++)
		if (s->slot[i].up)
			err = wants_add(d, &s->slot[i], &wants);
	return err ? err : change_make(s, slot, &wants);
}

static void work_or_later(struct daemon *d, const struct slot *slot)
{
	struct standins *s = d->standins;
	int err;

	/* Perhaps by ourselves: SAs go in the middle of a change, which `editor` makes. */
	if (follow_loader_is_busy(d)) {
		s->due = true;
		return;
	}
	err = work(d, slot);
	/* Whoever changed the policies meanwhile has also ended the editor's view of them. */
	if (err == -ESTALE)
		err = work(d, slot);
	if (err && err != -ENOMEM)
		editor_drop(s);
	s->due = err && err != -ENOENT; /* there is no SPD: there is none to be changed */
	if (s->due && err != -EAGAIN && err != s->said)
		log_error("policies: the rule that comes with an SA cannot be changed: %s; what it "
			  "would protect is dropped; it is tried again%s",
			  strerror(-err),
			  err == -E2BIG ? ": raise max_rules in datapath {} and attach anew" : "");
	s->said = err;
}

static void say(const struct slot *slot)
{
	int af = slot->addrs.family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6;
	char local[INET6_ADDRSTRLEN] = "", remote[INET6_ADDRSTRLEN] = "";

	if (slot->addrs.sides & XIPSEC_RULE_LOCAL_LATER)
		inet_ntop(af, &slot->addrs.local, local, sizeof(local));
	if (slot->addrs.sides & XIPSEC_RULE_REMOTE_LATER)
		inet_ntop(af, &slot->addrs.remote, remote, sizeof(remote));
	log_info("child %s: %s%s%s%s %s", slot->child, local[0] ? "local " : "", local,
		 remote[0] ? (local[0] ? ", remote " : "remote ") : "", remote,
		 slot->up ? "is known by an SA: its rule protects"
			  : "is not known any more: discarded");
}

void standins_child_up(struct daemon *d, __u32 id, bool up)
{
	struct slot *slot = slot_by_id(d->standins, id);

	if (!slot || slot->up == up)
		return;
	slot->up = up;
	say(slot);
	work_or_later(d, d->standins->due ? NULL : slot);
}

void standins_sync(struct daemon *d)
{
	if (d->open)
		work_or_later(d, NULL);
}

void standins_again(struct daemon *d)
{
	if (d->standins->due)
		standins_sync(d);
}

void standins_move(struct daemon *d)
{
	struct standins *s = d->standins;

	editor_drop(s);
	for (unsigned int i = 0; i < s->n; i++) {
		int id = id_of(d, &s->slot[i]);

		s->slot[i].id = id < 0 ? ~0U : (__u32)id;
		s->slot[i].up = false;
	}
	standins_sync(d);
}

void standins_withdraw(struct daemon *d, const struct config *config)
{
	struct standin_addrs addrs;

	for (struct sa *sa = sas_next(d->sas, NULL), *next; sa; sa = next) {
		const struct slot *slot = slot_by_id(d->standins, sa->child);

		next = sas_next(d->sas, sa);
		if (!slot || !slot->number || standin_addrs(config, &sa->sa, &addrs))
			continue;
		log_info("SA %s: its child's addresses are in the config now, its client has to "
			 "make it anew",
			 sa->sa.name);
		sas_expire(d->sas, sa);
		sas_delete(d->sas, &sa, 1);
	}
}
