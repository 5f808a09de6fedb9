// SPDX-License-Identifier: BSD-2-Clause
#include "iked/match.h"

#include <stdlib.h>
#include <string.h>

#include "iked/engine_state.h"

bool match_ike(const struct ike_sa *ike, const struct engine_match *m)
{
	return (!m->ike || (ike->conn && !strcmp(ike->conn->model.name, m->ike))) &&
	       (!m->ike_id || ike->id == m->ike_id);
}

bool match_child(const struct child_sa *child, const struct engine_match *m)
{
	return match_ike(child->ike, m) && (!m->child || !strcmp(child->cfg->name, m->child)) &&
	       (!m->child_id || child->id == m->child_id);
}

/* Where a walk over those that may match begins, and goes on: no longer than it has to be. */
static struct ike_sa *match_first(const struct engine *engine, const struct engine_match *m)
{
	const struct child_sa *child;

	if (m->ike_id)
		return ike_by_id(engine, m->ike_id);
	if (m->child_id) {
		child = child_by_id(engine, m->child_id);
		return child ? child->ike : NULL;
	}
	return m->ike ? ike_of_conn(engine, m->ike) : engine->first;
}

static struct ike_sa *match_next(const struct engine_match *m, const struct ike_sa *ike)
{
	if (m->ike_id || m->child_id)
		return NULL;
	return m->ike ? ike_same_conn(ike) : ike->next;
}

static void pick(struct picked *picked, __u32 id)
{
	if (picked->n == picked->room) {
		unsigned int room = picked->room ? picked->room * 2 : 16;
		__u32 *more = realloc(picked->id, room * sizeof(*more));

		if (!more)
			return;
		picked->id = more;
		picked->room = room;
	}
	picked->id[picked->n++] = id;
}

void match_pick(const struct engine *engine, const struct engine_match *m, struct picked *out)
{
	const struct ike_sa *ike = match_first(engine, m);

	*out = (struct picked){0};
	for (; ike; ike = match_next(m, ike))
		if (match_ike(ike, m))
			pick(out, ike->id);
}

void engine_each_match(const struct engine *engine, const struct engine_match *m,
		       bool (*each)(void *arg, const struct ike_sa *ike), void *arg)
{
	for (const struct ike_sa *ike = match_first(engine, m); ike; ike = match_next(m, ike))
		if (match_ike(ike, m) && !each(arg, ike))
			return;
}
