// SPDX-License-Identifier: BSD-2-Clause
/*
 * Children that are to go by the other engine. A key never changes its engine: so the SAs that are
 * there are rekeyed, and the next ones get the engine that was wished for. Whoever keys the child
 * is asked as at a soft limit (XIPSEC_EVENT_EXPIRE_SOFT); it makes the new pair, then lets the old
 * one go, as at any rekey: nothing is without an SA in between, and each key has its own window.
 *
 * A wish lasts until the config is read again or xipsecd ends. One that the other engine cannot
 * fulfil is forgotten, so that the rekey after it goes by the old one.
 */
#include "loader/sas_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "lib/engine_why.h"
#include "lib/log.h"
#include "lib/sa_fault.h"
#include "loader/engine.h"

struct sa_wish {
	char child[XIPSEC_NAME_LEN];
	__u8 engine;
};

static struct sa_wish *wish_of(const struct sas *sas, const char *child)
{
	for (unsigned int i = 0; i < sas->n_wishes; i++)
		if (!strcmp(sas->wishes[i].child, child))
			return &sas->wishes[i];
	return NULL;
}

static int wish_set(struct sas *sas, const char *child, __u8 engine)
{
	struct sa_wish *wish = wish_of(sas, child), *more;

	if (!wish) {
		more = reallocarray(sas->wishes, sas->n_wishes + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		sas->wishes = more;
		wish = &more[sas->n_wishes++];
		snprintf(wish->child, sizeof(wish->child), "%s", child);
	}
	wish->engine = engine;
	return 0;
}

void sa_wish_apply(const struct sas *sas, struct sa *sa)
{
	const struct sa_wish *wish = wish_of(sas, sa->sa.child);

	if (wish && !(sa->sa.flags & XIPSEC_SA_MANUAL))
		sa->sa.engine = wish->engine;
}

void sa_wish_failed(struct sas *sas, const struct sa *sa)
{
	struct sa_wish *wish = wish_of(sas, sa->sa.child);

	if (!wish || wish->engine != sa->sa.engine || (sa->sa.flags & XIPSEC_SA_MANUAL))
		return;
	*wish = sas->wishes[--sas->n_wishes];
	log_warn("child %s stays with its engine", sa->sa.child);
}

void sas_wishes_forget(struct sas *sas)
{
	free(sas->wishes);
	sas->wishes = NULL;
	sas->n_wishes = 0;
}

/* The SA that the child seals by; of a child that only receives, its newest one. */
static struct sa *newest_of(struct sas *sas, const char *name)
{
	const struct sa *named = sas_by_name(sas, name);
	struct sa *best = NULL;

	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		if (named ? sa->child != named->child : strcmp(sa->sa.child, name) != 0)
			continue;
		if (!best || sa->sa.dir < best->sa.dir ||
		    (sa->sa.dir == best->sa.dir && sa->serial > best->serial))
			best = sa;
	}
	return best;
}

/* What stands in the way of the kernel; NULL: nothing that can be known beforehand. */
static const char *kernel_fault(struct sas *sas, const struct sa *sa, char *text, size_t size)
{
	struct engine_facts facts = {0};
	struct sa_fault fault;
	struct xipsec_sa as;

	memcpy(&as, &sa->sa, XIPSEC_SA_SIZE(0));
	as.n_selectors = 0;
	as.engine = XIPSEC_ENGINE_XFRM;
	if (sa_faults(&as, &fault, 1)) {
		snprintf(text, size, "%s", fault.what);
		return text;
	}
	if (sas->ops->kernel && sas->ops->kernel->facts)
		sas->ops->kernel->facts(sas->ctx, &sa->sa, &facts);
	if (!facts.esp)
		return "this kernel has no ESP";
	if (engine_forbids(&facts) != XIPSEC_ENGINE_WHY_NONE)
		return engine_why_text(engine_forbids(&facts));
	return NULL;
}

int sas_wish(struct sas *sas, const char *name, __u8 engine, char *text)
{
	struct sa *sa = sas->states ? newest_of(sas, name) : NULL;
	struct sadb_event event = {.event = XIPSEC_EVENT_EXPIRE_SOFT};
	const char *fault;
	char why[160];
	int err;

	if (!sa)
		return sas_refuse(text, -ENOENT, name, "there is no such SA or child");
	if (engine != XIPSEC_ENGINE_AFXDP && engine != XIPSEC_ENGINE_XFRM)
		return sas_refuse(text, -EINVAL, sa->sa.name, "unknown engine");
	if (sa->sa.flags & XIPSEC_SA_MANUAL)
		return sas_refuse(text, -EPERM, sa->sa.name,
				  "a key never changes its engine, and nobody makes another one "
				  "for sas {}: give it a new key and the other engine there");
	if (sa->sa.if_id)
		return sas_refuse(text, -EPERM, sa->sa.name,
				  "its engine is that of its interface: expected another engine in "
				  "tunnels {}, and a reload");
	if (sa->sa.engine == engine)
		return sas_refuse(text, -EALREADY, sa->sa.name, "it is with that engine already");
	fault = engine == XIPSEC_ENGINE_XFRM ? kernel_fault(sas, sa, why, sizeof(why)) : NULL;
	if (fault)
		return sas_refuse(text, -EOPNOTSUPP, sa->sa.name, fault);
	err = wish_set(sas, sa->sa.child, engine);
	if (err)
		return sas_refuse(text, err, sa->sa.name, "no memory");
	log_info("child %s goes by the engine %s from its next SAs on, which are asked for now",
		 sa->sa.child, engine == XIPSEC_ENGINE_XFRM ? "xfrm" : "afxdp");
	sa_event_fill(sa, &event);
	sas->ops->event(sas->ctx, &event);
	return 0;
}
