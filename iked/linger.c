// SPDX-License-Identifier: BSD-2-Clause
#include "iked/linger.h"

#include <stdlib.h>
#include <string.h>

#include "iked/engine_state.h"

struct linger {
	struct linger *next, **link;
	struct engine *engine;
	__u32 ike; /* id of the one that it counts for, while that lives */
	struct timer timer;
	char sa[XIPSEC_NAME_LEN];
};

static void drop(struct linger *l)
{
	struct engine *engine = l->engine;
	struct ike_sa *ike = ike_by_id(engine, l->ike);

	if (ike)
		ike->n_lingers--;
	*l->link = l->next;
	if (l->next)
		l->next->link = l->link;
	engine->lingers.n--;
	timer_stop(&engine->timers, &l->timer);
	engine_timers_give(engine, 1);
	free(l);
}

static void over(struct timer *timer)
{
	struct linger *l = (struct linger *)((char *)timer - offsetof(struct linger, timer));

	l->engine->env.sa_delete(l->engine->env.ctx, l->sa);
	drop(l);
}

/* The one that has been there longest: newer ones stand in front. */
static struct linger *oldest_of(const struct ike_sa *ike)
{
	struct linger *oldest = NULL;

	for (struct linger *l = ike->engine->lingers.first; l; l = l->next)
		if (l->ike == ike->id)
			oldest = l;
	return oldest;
}

void linger(struct ike_sa *ike, const char *sa, __u32 ms)
{
	struct engine *engine = ike->engine;
	struct linger *l;

	if (ike->n_lingers >= IKE_LINGERS_MAX)
		over(&oldest_of(ike)->timer);
	l = engine->lingers.n < LINGERS_MAX ? calloc(1, sizeof(*l)) : NULL;
	if (!l || engine_timers_take(engine, 1)) {
		free(l);
		engine->env.sa_delete(engine->env.ctx, sa);
		return;
	}
	l->engine = engine;
	l->ike = ike->id;
	ike->n_lingers++;
	l->timer.fire = over;
	memcpy(l->sa, sa, sizeof(l->sa));
	l->next = engine->lingers.first;
	l->link = &engine->lingers.first;
	if (l->next)
		l->next->link = &l->next;
	engine->lingers.first = l;
	engine->lingers.n++;
	timer_set(&engine->timers, &l->timer, engine_now(engine) + ms);
}

void lingers_end(struct engine *engine)
{
	while (engine->lingers.first)
		over(&engine->lingers.first->timer);
}

void lingers_free(struct engine *engine)
{
	while (engine->lingers.first)
		drop(engine->lingers.first);
}
