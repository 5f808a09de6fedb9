// SPDX-License-Identifier: BSD-2-Clause
#include "iked/gather.h"

#include <stdlib.h>

#include "iked/engine_state.h"
#include "iked/frag.h"

/* There is one while fragments wait, so that an IKE SA at rest pays for none. */
struct gather {
	struct frag frag;
	struct ike_sa *ike;
	bool response;
	__u32 longest; /* message that brought a fragment, bytes */
	struct timer end;
};

static void drop(struct ike_sa *ike, bool response)
{
	struct gather *g = ike->gather[response];

	if (!g)
		return;
	ike->gather[response] = NULL;
	timer_stop(&ike->engine->timers, &g->end);
	engine_timers_give(ike->engine, 1);
	frag_reset(&g->frag);
	free(g);
}

/* The peer has sent everything again by now, if it wants an answer: what is missing never comes. */
static void over(struct timer *timer)
{
	struct gather *g = (struct gather *)((char *)timer - offsetof(struct gather, end));

	ike_log(g->ike, LOG_LEVEL_WARN, "%u of %u fragments of message %u came: forgotten",
		g->frag.have, g->frag.total, g->frag.id);
	drop(g->ike, g->response);
}

static struct gather *begin(struct ike_sa *ike, bool response)
{
	struct gather *g = calloc(1, sizeof(*g));

	if (!g || engine_timers_take(ike->engine, 1)) {
		free(g);
		return NULL;
	}
	g->ike = ike;
	g->response = response;
	g->end.fire = over;
	timer_set(&ike->engine->timers, &g->end, ike_now(ike) + FRAGMENTS_MS);
	ike->gather[response] = g;
	return g;
}

bool gather_wanted(const struct ike_sa *ike, const struct ike_msg *msg)
{
	static const struct frag nothing;
	const struct gather *g = ike->gather[ike_is_response(&msg->h)];

	return frag_wanted(g ? &g->frag : &nothing, msg);
}

bool gather_add(struct ike_sa *ike, const struct ike_msg *msg, struct bytes text,
		struct writer *all, __u8 *first)
{
	bool response = ike_is_response(&msg->h), whole = false;
	struct gather *g = ike->gather[response];

	/* of the one before: the window has moved on */
	if (g && g->frag.id != msg->h.id) {
		drop(ike, response);
		g = NULL;
	}
	if (!g)
		g = begin(ike, response);
	if (!g)
		return false;
	if (msg->raw.len > g->longest)
		g->longest = (__u32)msg->raw.len;
	if (frag_add(&g->frag, msg, text) == FRAG_WHOLE)
		whole = !frag_take(&g->frag, all, first);
	if (whole && !response)
		ike->asked_in = g->longest;
	if (!g->frag.total) /* taken, or it would never become a message */
		drop(ike, response);
	return whole;
}

void gather_end(struct ike_sa *ike)
{
	drop(ike, false);
	drop(ike, true);
}
