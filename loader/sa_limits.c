// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ends of SAs: limits of time are kept here, those of packets, bytes and sequence numbers by
 * the workers, which see them in time; all are told from here.
 */
#include "loader/sas_inside.h"

#include <string.h>
#include <time.h>

#include "lib/log.h"

static const char *const limit_names[XIPSEC_LIMIT_COUNT] = {
	[XIPSEC_LIMIT_NONE] = "of nothing",
	[XIPSEC_LIMIT_TIME] = "of time",
	[XIPSEC_LIMIT_PACKETS] = "of packets",
	[XIPSEC_LIMIT_BYTES] = "of bytes",
	[XIPSEC_LIMIT_SEQUENCE] = "of sequence numbers",
	[XIPSEC_LIMIT_POLICY] = "of its policies",
};

void sa_event_fill(const struct sa *sa, struct sadb_event *event)
{
	event->sa_index = sa->index;
	event->sa_generation = sa->generation;
	memcpy(event->sa, sa->sa.name, sizeof(event->sa));
	memcpy(event->child, sa->sa.child, sizeof(event->child));
	event->src = sa->sa.src;
	event->dst = sa->sa.dst;
	event->spi = sa->sa.spi;
	event->family = sa->sa.outer_family;
	event->dir = sa->sa.dir;
	event->src_port = sa->sa.src_port;
	event->dst_port = sa->sa.dst_port;
}

void sa_event_tell(struct sas *sas, const struct sa *sa, enum xipsec_event what,
		   enum xipsec_limit limit)
{
	struct sadb_event event = {.event = what, .limit = limit};

	sa_event_fill(sa, &event);
	sas->ops->event(sas->ctx, &event);
}

void sas_expire(struct sas *sas, const struct sa *sa)
{
	sa_event_tell(sas, sa, XIPSEC_EVENT_EXPIRE_HARD, XIPSEC_LIMIT_POLICY);
}

static bool reached(__u64 limit, __u64 value)
{
	return limit && value >= limit;
}

enum xipsec_limit sa_limits_hard(const struct xipsec_limits *limits, __u64 age, __u64 packets,
				 __u64 bytes)
{
	if (reached(limits->hard_packets, packets))
		return XIPSEC_LIMIT_PACKETS;
	if (reached(limits->hard_bytes, bytes))
		return XIPSEC_LIMIT_BYTES;
	if (reached(limits->hard_time, age))
		return XIPSEC_LIMIT_TIME;
	return XIPSEC_LIMIT_NONE;
}

const char *sa_limits_name(enum xipsec_limit limit)
{
	return limit_names[limit];
}

__u64 sa_limits_packets(const struct xipsec_sa_state *state)
{
	return __atomic_load_n(&state->packets, __ATOMIC_RELAXED) +
	       __atomic_load_n(&state->dummies, __ATOMIC_RELAXED);
}

__u64 sa_limits_bytes(const struct xipsec_sa_state *state)
{
	return __atomic_load_n(&state->bytes, __ATOMIC_RELAXED) +
	       __atomic_load_n(&state->tfc_bytes, __ATOMIC_RELAXED) +
	       __atomic_load_n(&state->dummy_bytes, __ATOMIC_RELAXED);
}

static __u64 age_of(const struct sa *sa, __u64 now)
{
	return now - sa->born + sa->aged;
}

/* A worker has stopped it, or we have: what for? */
static enum xipsec_limit why_stopped(const struct sa *sa, const struct xipsec_sa_state *state,
				     __u64 now)
{
	enum xipsec_limit limit = sa_limits_hard(&sa->sa.limits, age_of(sa, now),
						 sa_limits_packets(state), sa_limits_bytes(state));

	if (limit || sa->taken)
		return limit;
	return XIPSEC_LIMIT_SEQUENCE;
}

void sa_limits_stopped(struct sas *sas, struct sa *sa, __u64 now)
{
	const struct xipsec_sa_state *state = sas_state(sas, sa->index);
	enum xipsec_limit limit;

	if (sa->announced || __atomic_load_n(&state->status, __ATOMIC_ACQUIRE) != XIPSEC_SA_STOPPED)
		return;
	limit = why_stopped(sa, state, now);
	sa->announced = true;
	log_warn("SA %s has reached its limit %s and stopped: what its policies protect is dropped "
		 "until it is replaced",
		 sa->sa.name, limit_names[limit]);
	sa_event_tell(sas, sa, XIPSEC_EVENT_EXPIRE_HARD, limit);
	sa_record_stopped(sas, sa);
}

void sa_limits_used(struct sas *sas, struct sa *sa)
{
	const struct xipsec_sa_state *state = sas_state(sas, sa->index);

	if (sa->used_told || sa->sa.dir != XIPSEC_DIR_IN ||
	    !sa_limits_packets(state)) /* a dummy is authentic too */
		return;
	sa->used_told = true;
	sa_event_tell(sas, sa, XIPSEC_EVENT_USED, XIPSEC_LIMIT_NONE);
}

/* Workers look at the status with every burst: from here on they drop (`limit`). */
static void stop(struct xipsec_sa_state *state)
{
	__u32 live = XIPSEC_SA_LIVE;

	__atomic_compare_exchange_n(&state->status, &live, XIPSEC_SA_STOPPED, 0, __ATOMIC_RELEASE,
				    __ATOMIC_RELAXED);
}

static enum xipsec_limit soft_limit(const struct sa *sa, const struct xipsec_sa_state *state,
				    __u64 now)
{
	const struct xipsec_limits *limits = &sa->sa.limits;
	__u64 end = reserve_end(sa->sa.flags & XIPSEC_SA_ESN);

	if (reached(limits->soft_time, age_of(sa, now)))
		return XIPSEC_LIMIT_TIME;
	if (reached(limits->soft_packets, sa_limits_packets(state)))
		return XIPSEC_LIMIT_PACKETS;
	if (reached(limits->soft_bytes, sa_limits_bytes(state)))
		return XIPSEC_LIMIT_BYTES;
	if (sa->sa.dir == XIPSEC_DIR_OUT && sa->seq_seen >= end - end / 8)
		return XIPSEC_LIMIT_SEQUENCE;
	return XIPSEC_LIMIT_NONE;
}

/* Silence of users: dummies do not end it. Once for each: the next one begins with another last
 * packet. */
static void look_idle(struct sas *sas, struct sa *sa, const struct xipsec_sa_state *state,
		      __u64 now)
{
	__u64 last = __atomic_load_n(&state->last_use, __ATOMIC_RELAXED);

	if (last < sa->born)
		last = sa->born;
	if (!sa->sa.limits.idle || last == sa->idle_told || now < last + sa->sa.limits.idle)
		return;
	sa->idle_told = last;
	sa_event_tell(sas, sa, XIPSEC_EVENT_IDLE, XIPSEC_LIMIT_NONE);
}

void sas_limits(struct sas *sas, __u64 now)
{
	if (!sas->states)
		return;
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		struct xipsec_sa_state *state = sas_state(sas, sa->index);
		enum xipsec_limit limit;

		if (reached(sa->sa.limits.hard_time, age_of(sa, now)))
			stop(state);
		sa_limits_stopped(sas, sa, now);
		if (sa->announced)
			continue;
		limit = sa->soft_told ? XIPSEC_LIMIT_NONE : soft_limit(sa, state, now);
		if (limit) {
			sa->soft_told = true;
			log_info("SA %s has reached its soft limit %s", sa->sa.name,
				 limit_names[limit]);
			sa_event_tell(sas, sa, XIPSEC_EVENT_EXPIRE_SOFT, limit);
		}
		look_idle(sas, sa, state, now);
	}
}
