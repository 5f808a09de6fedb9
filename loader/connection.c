// SPDX-License-Identifier: BSD-2-Clause
/*
 * A connection of a client that comes, changes or goes, alone: its file is read, its rules take the
 * places of the old ones in the SPD in force, and beside that only the SAs of whose packets they
 * speak are looked at. What this cannot do safely is done as a reload of everything.
 */
#include "loader/daemon_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "lib/cleanup.h"
#include "lib/config_clients.h"
#include "lib/log.h"
#include "loader/manual.h"
#include "loader/spd_edit.h"
#include "loader/spd_names.h"

/* ------------------------------------------------------------------ in the SPD */

/* The rules of the connection in the SPD in force, and the one behind them. */
struct place {
	__u32 *remove;
	unsigned int n_remove;
	__u32 before;
	__u32 n; /* rules of the config in all */
};

static bool in_force_as_known(const struct config *config, const struct place *place,
			      const struct config_client_change *change)
{
	__u32 n = 0, n_old = 0;

	for (unsigned int i = 0; i < config->n_policies; i++)
		n += config->policies[i].n_rules;
	for (unsigned int i = 0; i < change->n_new; i++)
		n -= config->policies[change->at + i].n_rules;
	for (unsigned int i = 0; i < change->n_old; i++)
		n_old += change->old_policies[i].n_rules;
	return place->n_remove == n_old && place->n == n + n_old;
}

/* -EAGAIN: somebody has switched to policies that are not those of our config. Rules of SAs stand
 * before the rule that they belong to, which new ones must not come between. */
static int place_find(const struct spd_editor *editor, const struct config *config,
		      const struct config_client_change *change, struct place *out)
{
	const struct classifier *c = spd_editor_classifier(editor);
	__u32 n, behind = change->at + change->n_old, of_sas = SPD_AT_END;
	_cleanup_free_ __u32 *number = spd_editor_order(editor, &n);
	struct place place = {.before = SPD_AT_END, .remove = calloc(n + 1, sizeof(*number))};
	int err = number && place.remove ? 0 : -ENOMEM;

	for (__u32 i = 0; !err && i < n; i++) {
		const struct xipsec_spd_rule *rule = &c->rule[number[i]];

		if (rule->origin & XIPSEC_RULE_OF_SA) {
			of_sas = of_sas == SPD_AT_END ? number[i] : of_sas;
			continue;
		}
		place.n++;
		if (rule->policy >= change->at && rule->policy < behind)
			place.remove[place.n_remove++] = number[i];
		else if (rule->policy >= behind && place.before == SPD_AT_END)
			place.before = of_sas == SPD_AT_END ? number[i] : of_sas;
		of_sas = SPD_AT_END;
	}
	if (!err && !in_force_as_known(config, &place, change))
		err = -EAGAIN;
	if (err)
		free(place.remove);
	else
		*out = place;
	return err;
}

/* The policies behind it have other numbers now. */
static void tell_people(const struct spd_editor *editor, const struct config_client_change *change,
			const struct spd_add *add, unsigned int n_add)
{
	const struct classifier *c = spd_editor_classifier(editor);
	int by = (int)change->n_new - (int)change->n_old;
	__u32 n;
	_cleanup_free_ __u32 *number = spd_editor_order(editor, &n);

	for (__u32 i = 0; number && by && i < n; i++)
		if (c->rule[number[i]].policy >= change->at + change->n_old)
			c->rule[number[i]].policy += (__u32)by;
	for (unsigned int i = 0; i < n_add; i++)
		c->rule[add[i].number].policy = add[i].rule.policy;
}

static int add_make(const struct daemon *d, const struct config_client_change *change, __u32 before,
		    struct spd_add **out, unsigned int *n)
{
	_cleanup_spd_source_ struct spd_source source = {0};
	struct spd_ids ids = spd_ids_of(&d->home.dp);
	struct config part = {.policies = d->config->policies + change->at,
			      .n_policies = change->n_new,
			      .max_rules = d->config->max_rules};
	struct spd_add *add;
	int err = spd_compile(&part, &ids, &source);

	if (err)
		return err;
	add = calloc(source.n_rules + 1, sizeof(*add));
	if (!add)
		return -ENOMEM;
	for (__u32 i = 0; i < source.n_rules; i++) {
		add[i] = (struct spd_add){.rule = source.rule[i], .before = before};
		add[i].rule.policy += change->at;
	}
	*out = add;
	*n = source.n_rules;
	return 0;
}

static int edit(struct daemon *d, struct spd_editor *editor,
		const struct config_client_change *change, __u32 *generation)
{
	_cleanup_free_ struct spd_add *add = NULL;
	_cleanup_free_ __u32 *remove = NULL;
	struct place place;
	unsigned int n_add = 0;
	int err = place_find(editor, d->config, change, &place);

	if (err)
		return err;
	remove = place.remove;
	err = add_make(d, change, place.before, &add, &n_add);
	if (!err)
		err = spd_edit(editor, add, n_add, remove, place.n_remove, generation);
	if (!err)
		tell_people(editor, change, add, n_add);
	return err;
}

/* ------------------------------------------------------------------ all of it */

struct withdrawal {
	struct daemon *d;
	const struct config_client_change *change;
	char *text;
};

static int withdraw_first(void *ctx)
{
	const struct withdrawal *w = ctx;
	int err = manual_withdraw_by(w->d->sas, w->d->config, w->change, w->text);

	standins_withdraw(w->d, w->d->config);
	return err;
}

/* The SPD in force becomes that of the config, which differs from it by `change`. */
static int switch_to(struct daemon *d, const struct config_client_change *change, char *text)
{
	struct withdrawal withdrawal = {d, change, text};
	const struct spd_ready ready = {withdraw_first, &withdrawal};
	struct spd_editor *editor;
	struct xipsec_globals globals = {0};
	__u32 generation = 0, zero = 0;
	char gen_dir[320];
	int err = standins_editor(d, &editor);

	if (err)
		return err;
	spd_editor_ready(editor, &ready);
	err = edit(d, editor, change, &generation);
	if (err == -ESTALE)
		err = edit(d, editor, change, &generation);
	spd_editor_ready(editor, NULL);
	if (err)
		return err;
	snprintf(gen_dir, sizeof(gen_dir), "%s/%s", d->config->pin_dir, d->home.dp.generation);
	if (!bpf_map_lookup_elem(d->home.dp.globals, &zero, &globals)) /* for people only */
		spd_names_write(gen_dir, d->config, globals.spd_generation);
	log_info("policies: generation %u is in force", generation);
	return 0;
}

/* The config says what is in force again. Without memory for that it does when everything is read
 * anew. */
static void take_back(struct config *config, __u32 number, struct config_client_change *change)
{
	_cleanup_client_change_ struct config_client_change back = {0};

	config_client_set(config, number, change->old.name[0] ? &change->old : NULL, &back, NULL);
}

/* 0; or why it has to be done with everything else. */
static int change_one(struct daemon *d, __u32 number, char *text)
{
	_cleanup_client_change_ struct config_client_change change = {0};
	struct conn conn = {0};
	char name[CONN_NAME_LEN];
	int err = config_client_read(d->config->run_dir, number, &conn, NULL);
	bool gone = err == -ENOENT;

	if (err && !gone)
		return err;
	memcpy(name, conn.name, sizeof(name));
	err = config_client_set(d->config, number, gone ? NULL : &conn, &change, NULL);
	if (err)
		return err;
	err = manual_concerned(d->sas, d->config, &change) ? -ENOTSUP /* its key is in the file */
							   : switch_to(d, &change, text);
	if (err) {
		take_back(d->config, number, &change);
		return err;
	}
	err = manual_switched_by(d->sas, d->config, &change, text);
	if (err)
		return err;
	standins_sync(d);
	sas_kernel_policies(d->sas);
	if (d->server) {
		struct sadb_event event = {.event = XIPSEC_EVENT_RELOAD};

		memcpy(event.sa, gone ? change.old.name : name, sizeof(name));
		if (event.sa[0])
			sadb_server_event(d->server, &event);
	}
	return 0;
}

int request_connection(void *ctx, const char *number, char *text)
{
	struct daemon *d = ctx;
	char *end;
	unsigned long n = strtoul(number, &end, 10);
	int err;

	if (!number[0] || *end || !n || n > ~0U) {
		snprintf(text, XIPSEC_SADB_ERR_TEXT, "%.40s is not the number of a connection",
			 number);
		return -EINVAL;
	}
	err = d->open ? change_one(d, (__u32)n, text) : -ENOENT;
	if (!err)
		return 0;
	/* Config and SPD are made anew, or the error told. */
	text[0] = 0;
	return requests_hooks.policies(ctx, "", text);
}
