// SPDX-License-Identifier: BSD-2-Clause
/* What xipsecd tells the engine. */
#include <endian.h>
#include <string.h>

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "iked/xchg.h"
#include "xipsec/maps.h"

void engine_acquire(struct engine *engine, const char *sadb_child)
{
	const struct conn_child *child;
	struct ike_conn *conn = ike_conn_of_child(engine, sadb_child, &child);

	/* `none` means that nobody negotiates: its rules are there all the same. */
	if (conn && child->start_action != CONN_ACTION_NONE && backoff_may(conn, child) &&
	    conn->acquire_at <= engine_now(engine) && !engine_has_child(engine, conn, child))
		engine_begin(engine, conn, child, 0);
	engine_reap(engine);
}

bool engine_has_sa(const struct engine *engine, const char *sa)
{
	return child_by_sa_name(engine, sa);
}

void engine_sa_soft(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);

	if (child && child->state == CHILD_UP) {
		ike_task_child(child->ike, TASK_CHILD_REKEY, child);
		ike_work(child->ike);
	}
	engine_reap(engine);
}

static void stopped(struct child_sa *child, const char *sa, const char *why)
{
	ike_log(child->ike, LOG_LEVEL_WARN, "child %s-%u: %s has stopped: %s", child->cfg->name,
		child->id, sa, why);
	ike_task_child(child->ike, TASK_CHILD_CLOSE, child);
	ike_work(child->ike);
}

static bool is_up(const struct child_sa *child)
{
	return child && (child->state == CHILD_UP || child->state == CHILD_REPLACED);
}

/* It has stopped: what is not replaced yet never will be in time. */
void engine_sa_hard(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);

	if (is_up(child)) {
		child_outlived(child);
		stopped(child, sa, "a hard limit");
	}
	engine_reap(engine);
}

void engine_sa_withdrawn(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);
	const struct conn_child *cfg;
	struct ike_conn *conn;

	if (is_up(child)) {
		conn = ike_conn_of_child(engine, child->cfg->sadb_name, &cfg);
		if (conn && child->state == CHILD_UP)
			backoff_withdrawn(conn, cfg);
		stopped(child, sa, "its policies have changed");
	}
	engine_reap(engine);
}

void engine_sa_idle(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);

	if (child && child->state == CHILD_UP) {
		ike_log(child->ike, LOG_LEVEL_INFO, "child %s-%u: no traffic for %u s: deleted",
			child->cfg->name, child->id, child->cfg->inactivity);
		child->unwanted = true;
		ike_task_child(child->ike, TASK_CHILD_CLOSE, child);
		ike_work(child->ike);
	}
	engine_reap(engine);
}

void engine_sa_used(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);

	if (child) {
		child->used = true;
		child_switch(child);
	}
	engine_reap(engine);
}

void engine_sa_mapping(struct engine *engine, const char *sa, const struct xipsec_addr *remote,
		       __be16 remote_port)
{
	struct child_sa *child = child_by_sa_name(engine, sa);
	struct ike_sa *ike = child ? child->ike : NULL;

	if (!ike || !ike_follows(ike))
		return;
	ike->path.remote = *remote;
	ike->path.remote_port = remote_port;
	ike_log(ike, LOG_LEVEL_INFO, "the peer's NAT has another address or port for it now");
}

/* May it be told of what should not have come, now? */
static bool may_tell(__u64 *at, __u64 now)
{
	if (*at && now - *at < INVALID_SPI_MS)
		return false;
	*at = now ? now : 1;
	return true;
}

/* Behind one address there may be many, and nobody here knows whose SPI it was: all of them are
 * told, some at a time. */
void engine_spi_unknown(struct engine *engine, const struct xipsec_addr *remote, __u8 family,
			__be32 spi)
{
	__u64 now = engine_now(engine);
	unsigned int n = 0;
	struct task *task;

	for (struct ike_sa *ike = engine->first; ike && n < INVALID_SPI_MAX; ike = ike->next) {
		if (ike->state != IKE_UP || ike->path.family != family ||
		    memcmp(&ike->path.remote, remote, sizeof(*remote)) ||
		    !may_tell(&ike->spi_at, now))
			continue;
		n++;
		task = ike_task(ike, TASK_INVALID_SPI);
		if (task)
			task->spi = spi;
		ike_work(ike);
	}
	engine_reap(engine);
}

/* The start of the packet as far as it is known: the sample has no more of it. Its length. */
static __u8 header_of(const struct xipsec_sample *inner, __u8 *to)
{
	const __be16 ports[] = {htobe16(inner->sport), htobe16(inner->dport)};
	bool v6 = inner->family == XIPSEC_FAMILY_IP6;
	__u8 len = v6 ? 40 : 20, addr = v6 ? 16 : 4;

	memset(to, 0, HEADER_TOLD_MAX);
	to[0] = v6 ? 0x60 : 0x45;
	to[v6 ? 6 : 9] = inner->l4_proto;
	memcpy(to + (v6 ? 8 : 12), inner->src.byte, addr);
	memcpy(to + (v6 ? 24 : 16), inner->dst.byte, addr);
	memcpy(to + len, ports, sizeof(ports));
	return len + sizeof(ports);
}

void engine_sa_selectors(struct engine *engine, const char *sa, const struct xipsec_sample *inner)
{
	struct child_sa *child = child_by_sa_name(engine, sa);
	struct task *task;

	if (!child || child->state != CHILD_UP || child->ike->state != IKE_UP || !inner->family ||
	    !may_tell(&child->ike->selectors_at, engine_now(engine)))
		return;
	ike_log(child->ike, LOG_LEVEL_WARN,
		"child %s-%u: a packet from the peer is outside its selectors", child->cfg->name,
		child->id);
	task = ike_task_child(child->ike, TASK_INVALID_SELECTORS, child);
	if (task)
		task->header_len = header_of(inner, task->header);
	ike_work(child->ike);
	engine_reap(engine);
}

/* Children are made anew, and the old ones, which are nothing but names by now, are deleted:
 * rekeying does both, and the peer goes on receiving on its half until then. */
void engine_sadb_lost(struct engine *engine)
{
	for (struct ike_sa *ike = engine->first; ike; ike = ike->next) {
		for (struct child_sa *child = ike->children; child; child = child->next) {
			child->in_added = child->out_added = false;
			child_forget_key(child);
			if (child->state == CHILD_UP)
				ike_task_child(ike, TASK_CHILD_REKEY, child);
		}
		ike_work(ike);
	}
	engine_reap(engine);
}
