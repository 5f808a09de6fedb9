// SPDX-License-Identifier: BSD-2-Clause
/* The two xipsecds, and the ESP that flows between them. */
#include "tests/unit/ike_sim_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "lib/sa_fault.h"

struct xipsec_sa *sim_newest_out(struct side *side, const char *child)
{
	for (unsigned int i = side->n_sas; i--;)
		if (side->sa[i].dir == XIPSEC_DIR_OUT && !strcmp(side->sa[i].child, child))
			return &side->sa[i];
	return NULL;
}

int sim_find_in(const struct side *side, __be32 spi)
{
	for (unsigned int i = 0; i < side->n_sas; i++)
		if (side->sa[i].dir == XIPSEC_DIR_IN && side->sa[i].spi == spi)
			return i;
	return -1;
}

/* Never a moment without: what once went out by an SA always has one, and the other end has its
 * half. */
static void watch(struct sim *sim, struct side *side)
{
	for (unsigned int i = 0; i < side->n_watched && !sim->may_close; i++) {
		const struct xipsec_sa *out = sim_newest_out(side, side->watched[i]);

		if (!out)
			sim_fail(sim, "side %d: child %s has no outbound SA", side->n,
				 side->watched[i]);
		else if (sim_find_in(&sim->side[!side->n], out->spi) < 0)
			sim_fail(sim, "side %d: child %s sends by %s, which the other end has not",
				 side->n, side->watched[i], out->name);
	}
}

static void watch_child(struct side *side, const char *child)
{
	for (unsigned int i = 0; i < side->n_watched; i++)
		if (!strcmp(side->watched[i], child))
			return;
	if (side->n_watched < SIM_CHILDREN_MAX)
		strcpy(side->watched[side->n_watched++], child);
}

/* From the moment that both halves are there. */
static void watch_whole(struct sim *sim, struct side *side)
{
	for (unsigned int i = 0; i < side->n_sas; i++)
		if (side->sa[i].dir == XIPSEC_DIR_OUT &&
		    sim_find_in(&sim->side[!side->n], side->sa[i].spi) >= 0)
			watch_child(side, side->sa[i].child);
}

/* For ever, and across epochs: whoever has told it once may have used it. */
static void push_key(struct sim *sim, struct side *side, const struct xipsec_sa *sa)
{
	unsigned int n = side->n_pushed < SIM_PUSHED_MAX ? side->n_pushed : SIM_PUSHED_MAX;
	__u64 key;

	memcpy(&key, sa->key, sizeof(key));
	for (unsigned int i = 0; i < n; i++)
		if (side->pushed[i] == key)
			sim_fail(sim, "side %d: %s has a key that was pushed before", side->n,
				 sa->name);
	side->pushed[side->n_pushed++ % SIM_PUSHED_MAX] = key;
}

static int apply_add(struct sim *sim, struct side *side, const struct xipsec_sa *sa)
{
	push_key(sim, side, sa);
	if (side->skip_adds) {
		side->skip_adds--;
	} else if (side->refuse_adds) {
		side->refuse_adds--;
		return -EINVAL;
	}
	if (side->forgetful)
		return 0;
	if (side->n_sas == SIM_SAS_MAX)
		return -ENOSPC;
	for (unsigned int i = 0; i < side->n_sas; i++)
		if (!strcmp(side->sa[i].name, sa->name))
			sim_fail(sim, "side %d: %s is installed twice", side->n, sa->name);
	side->used[side->n_sas] = false;
	side->sa[side->n_sas++] = *sa;
	return 0;
}

static void apply_delete(struct side *side, const char *name)
{
	for (unsigned int i = 0; i < side->n_sas; i++)
		if (!strcmp(side->sa[i].name, name)) {
			side->n_sas--;
			memmove(&side->sa[i], &side->sa[i + 1],
				(side->n_sas - i) * sizeof(side->sa[0]));
			memmove(&side->used[i], &side->used[i + 1],
				(side->n_sas - i) * sizeof(side->used[0]));
			return;
		}
}

/* Requests are done in order, each takes a moment. */
static __u64 sadb_due(struct sim *sim, struct side *side)
{
	__u64 due = sim->now + sim_dice(sim, 4);

	if (due < side->sadb_busy)
		due = side->sadb_busy;
	side->sadb_busy = due;
	return due;
}

void sim_sa_add(void *ctx, __u64 id, const struct xipsec_sa *sa)
{
	struct side *side = ctx;
	struct sim_event event = {.kind = EV_SADB, .to = side->n, .id = id, .len = sizeof(*sa)};
	struct sa_fault fault;

	/* xipsecd would refuse it. */
	if (sa_faults(sa, &fault, 1))
		fail_msg("SA %s: %s: %s", sa->name, fault.key, fault.what);
	if (side->sadb_gone) {
		event = (struct sim_event){
			.kind = EV_SA_ANSWER, .to = side->n, .id = id, .err = -ENOTCONN};
		sim_push(side->sim, &event, side->sim->now);
		return;
	}
	event.data = sim_copy(sa, sizeof(*sa));
	sim_push(side->sim, &event, sadb_due(side->sim, side));
}

void sim_sa_delete(void *ctx, const char *name)
{
	struct side *side = ctx;
	struct sim_event event = {.kind = EV_SADB, .to = side->n, .len = XIPSEC_NAME_LEN};

	event.data = sim_copy(name, XIPSEC_NAME_LEN);
	sim_push(side->sim, &event, sadb_due(side->sim, side));
}

void sim_xipsecd(struct sim *sim, struct sim_event *event)
{
	struct side *side = &sim->side[event->to];
	struct sim_event answer = {.kind = EV_SA_ANSWER, .to = event->to, .id = event->id};

	if (sim->talk) /* both begin with a name */
		fprintf(stderr, "%6llu %d %c %.*s\n", (unsigned long long)sim->now, side->n,
			event->len == XIPSEC_NAME_LEN ? '-' : '+', XIPSEC_NAME_LEN,
			(const char *)event->data);
	if (event->len == XIPSEC_NAME_LEN) {
		apply_delete(side, (const char *)event->data);
	} else {
		answer.err = apply_add(sim, side, (const struct xipsec_sa *)event->data);
		sim_push(sim, &answer, sim->now + sim_dice(sim, 3));
	}
	for (int i = 0; i < 2; i++) {
		watch_whole(sim, &sim->side[i]);
		watch(sim, &sim->side[i]);
	}
}

void sim_lose_sadb(struct sim *sim, int n, __u64 ms)
{
	struct sim_event back = {.kind = EV_NEW_EPOCH, .to = n};
	struct side *side = &sim->side[n];
	__u64 due = sim->now + ms;

	for (unsigned int i = 0; i < sim->n_events; i++) {
		struct sim_event *event = &sim->heap[i];

		if (event->to != n || (event->kind != EV_SADB && event->kind != EV_SA_ANSWER))
			continue;
		if (event->len != XIPSEC_NAME_LEN) {
			event->kind = EV_SA_ANSWER;
			event->err = -ECONNRESET;
		}
		if (due <= event->due)
			due = event->due + 1;
	}
	side->n_sas = 0;
	side->sadb_gone = true;
	sim->may_close = true;
	sim_push(sim, &back, due);
}

void sim_new_epoch(struct sim *sim, struct side *side)
{
	side->sadb_gone = false;
	engine_sadb_lost(side->engine);
}

/* ------------------------------------------------------------------ ESP */

void sim_probe(struct sim *sim)
{
	struct sim_event next = {.kind = EV_PROBE};

	for (int s = 0; s < 2 && sim->traffic; s++)
		for (unsigned int i = 0; i < sim->side[s].n_watched; i++) {
			struct side *side = &sim->side[s];
			const struct xipsec_sa *out = sim_newest_out(side, side->watched[i]);
			struct sim_event event = {.kind = EV_ESP, .to = !s, .len = sizeof(*out)};

			if (!out)
				continue;
			sim->esp_sent++;
			event.data = sim_copy(out, sizeof(*out));
			sim_push(sim, &event, sim->now + sim_delay(sim));
		}
	sim_push(sim, &next, sim->now + 20 + sim_dice(sim, 80));
}

void sim_esp(struct sim *sim, const struct sim_event *event)
{
	const struct xipsec_sa *out = (const struct xipsec_sa *)event->data;
	struct side *side = &sim->side[event->to];
	struct sim_event used = {.kind = EV_USED, .to = event->to, .len = XIPSEC_NAME_LEN};
	int i = sim_find_in(side, out->spi);

	if (i < 0) {
		sim->esp_lost++;
		if (!sim->may_close)
			sim_fail(sim, "side %d: a packet by %s is lost", !side->n, out->name);
		return;
	}
	if (side->sa[i].key_len != out->key_len || side->sa[i].alg != out->alg ||
	    memcmp(side->sa[i].key, out->key, out->key_len))
		sim_fail(sim, "side %d: %s has another key than %s", side->n, side->sa[i].name,
			 out->name);
	if (side->used[i])
		return;
	side->used[i] = true;
	used.data = sim_copy(side->sa[i].name, XIPSEC_NAME_LEN);
	sim_push(sim, &used, sim->now + sim_dice(sim, 3));
}