// SPDX-License-Identifier: BSD-2-Clause
/*
 * SAs of the engine xfrm: the kernel seals and opens, and has the key. What it counts is copied
 * into the state that workers fill for theirs, so that limits, records and listings know one place.
 */
#include "loader/sas_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <openssl/crypto.h>

#include "lib/engine_why.h"
#include "lib/log.h"
#include "loader/xfrm_msg.h"

#define YOUNG 10 /* seconds in which the first packet is told at once */

bool sa_is_kernel(const struct sa *sa)
{
	return sa->sa.engine == XIPSEC_ENGINE_XFRM;
}

static bool child_in_kernel(struct sas *sas, __u32 child)
{
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa))
		if (sa->in_kernel && sa->child == child)
			return true;
	return false;
}

/* What is given to the kernel for its tunnel's sake is refused as what the config gives it. */
static int tunnel_refuses(const struct sa *sa, const struct engine_facts *facts, char *text)
{
	struct sa_fault fault;
	struct xipsec_sa as;
	char said[200];
	bool is;

	if (engine_misses_tunnel(&sa->sa, facts))
		return sas_refuse(text, -EINVAL, sa->sa.name,
				  "the tunnel of its if_id has another engine: expected the same");
	if (facts->tunnel != XIPSEC_ENGINE_XFRM)
		return 0;
	memcpy(&as, &sa->sa, XIPSEC_SA_SIZE(0));
	as.n_selectors = 0;
	is = sa_faults(&as, &fault, 1);
	OPENSSL_cleanse(as.key, sizeof(as.key));
	if (!is)
		return 0;
	snprintf(said, sizeof(said), "%s: %s: expected %s", fault.key, fault.what, fault.expected);
	return sas_refuse(text, -EOPNOTSUPP, sa->sa.name, said);
}

int sa_kernel_choose(struct sas *sas, struct sa *sa, char *text)
{
	const struct sas_kernel *kernel = sas->ops->kernel;
	struct engine_facts facts = {0};
	enum xipsec_engine_why why, forbids;
	char said[160];
	int err;

	sa_wish_apply(sas, sa);
	if (kernel && kernel->facts)
		kernel->facts(sas->ctx, &sa->sa, &facts);
	if (facts.esp)
		facts.child = child_in_kernel(sas, sa->child);
	sa->sa.engine = engine_choose(&sa->sa, &facts, &why);
	sa->engine_why = (__u8)why;
	err = tunnel_refuses(sa, &facts, text);
	if (err)
		return err;
	forbids = engine_forbids(&facts);
	if (!sa_is_kernel(sa) || forbids == XIPSEC_ENGINE_WHY_NONE)
		return 0;
	sa_wish_failed(sas, sa);
	snprintf(said, sizeof(said), "engine = xfrm: %s: expected engine = afxdp or auto",
		 engine_why_text(forbids));
	return sas_refuse(text, -EOPNOTSUPP, sa->sa.name, said);
}

static const char *why_not(int err)
{
	switch (err) {
	case -EPROTONOSUPPORT:
		return "this kernel has no ESP or AH, or another xipsecd has it: expected engine = "
		       "afxdp";
	case -ENOSYS:
	case -ENOENT: return "this kernel has not its algorithm: expected engine = afxdp";
	case -EXDEV:
		return "its selectors are narrower than its child's policies, and the kernel "
		       "is told of those alone: expected engine = afxdp";
	case -EDOM:
		return "kernel policies cannot say its selectors, which transport mode needs, and "
		       "tunnels {} (xipsecd's log says which): expected engine = afxdp";
	case -EADDRINUSE:
		return "an inbound SA of its if_id has other selectors, and the kernel compares "
		       "one list: expected the same local_ts and remote_ts";
	case -ENODEV:
		return "the interface of its if_id is not there (xipsecd's log says why): expected "
		       "a kernel with xfrm interfaces, or engine = afxdp";
	case -ENOTCONN: return "ESP in UDP comes by UDP 4500, which somebody else has";
	case -EEXIST: return "somebody else has given the kernel an SA of that destination and SPI";
	default: return strerror(-err);
	}
}

static __u64 left(__u64 limit, __u64 used)
{
	return !limit ? 0 : limit > used ? limit - used : 1;
}

/* The kernel counts from nothing. */
static void limits_left(struct xipsec_limits *limits, const struct sa *sa)
{
	limits->soft_time = left(limits->soft_time, sa->aged);
	limits->hard_time = left(limits->hard_time, sa->aged);
	limits->soft_packets = left(limits->soft_packets, sa->before_packets);
	limits->hard_packets = left(limits->hard_packets, sa->before_packets);
	limits->soft_bytes = left(limits->soft_bytes, sa->before_bytes);
	limits->hard_bytes = left(limits->hard_bytes, sa->before_bytes);
}

int sa_kernel_add(struct sas *sas, struct sa *sa, char *text)
{
	const struct xipsec_sa_state *state = sas_state(sas, sa->index);
	const bool out = sa->sa.dir == XIPSEC_DIR_OUT;
	struct xipsec_sa whole;
	int err;

	if (!sas->ops->kernel)
		return sas_refuse(text, -EPROTONOSUPPORT, sa->sa.name, why_not(-EPROTONOSUPPORT));
	xipsec_sa_copy(&whole, &sa->sa);
	memcpy(whole.key, sas_key(sas, sa->index), whole.key_len);
	limits_left(&whole.limits, sa);
	err = sas->ops->kernel->add(sas->ctx, &whole, sa->index, sa->child,
				    out ? state->seq : state->replay_top);
	OPENSSL_cleanse(whole.key, sizeof(whole.key));
	sa->in_kernel = !err;
	if (!err && !out)
		err = sas->ops->kernel->lead(sas->ctx, sa->sa.dir, &sa->sa, sa->index, sa->child);
	return err ? sas_refuse(text, err, sa->sa.name, why_not(err)) : 0;
}

int sa_kernel_lead_out(struct sas *sas, const struct sa *sa)
{
	if (!sas->ops->kernel)
		return -EPROTONOSUPPORT;
	return sas->ops->kernel->lead(sas->ctx, XIPSEC_DIR_OUT, &sa->sa, sa->index, sa->child);
}

/* Does the child need its policies for another one? */
static bool shares_child(struct sas *sas, const struct sa *gone)
{
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa))
		if (sa != gone && sa->in_kernel && sa->child == gone->child &&
		    sa->sa.dir == gone->sa.dir)
			return true;
	return false;
}

static void take_count(const struct sa *sa, struct xipsec_sa_state *state,
		       const struct xfrm_count *count, __u64 now)
{
	if (sa->before_packets + count->packets > state->packets)
		__atomic_store_n(&state->last_use, now, __ATOMIC_RELAXED);
	__atomic_store_n(&state->packets, sa->before_packets + count->packets, __ATOMIC_RELAXED);
	__atomic_store_n(&state->bytes, sa->before_bytes + count->bytes, __ATOMIC_RELAXED);
}

static void take_all(struct sas *sas, const struct sa *sa, const struct xfrm_count *count,
		     __u64 now)
{
	struct xipsec_sa_state *state = sas_state(sas, sa->index);

	take_count(sa, state, count, now);
	__atomic_store_n(sa->sa.dir == XIPSEC_DIR_OUT ? &state->seq : &state->replay_top,
			 count->seq, __ATOMIC_RELEASE);
}

/* What the kernel counts, into the state. */
static void look(struct sas *sas, const struct sa *sa, __u64 now)
{
	struct xfrm_count count;

	if (sa->in_kernel && !sas->ops->kernel->ask(sas->ctx, &sa->sa, &count))
		take_all(sas, sa, &count, now);
}

void sa_kernel_gone(struct sas *sas, struct sa *sa)
{
	const __u64 now = sas_now();
	struct xfrm_count last = {0};
	int err = 0, gone;

	if (!sa->in_kernel)
		return;
	if (!shares_child(sas, sa))
		err = sas->ops->kernel->lead(sas->ctx, sa->sa.dir, NULL, 0, sa->child);
	look(sas, sa, now);
	sa->in_kernel = false;
	gone = sas->ops->kernel->gone(sas->ctx, &sa->sa, &last);
	err = err ? err : gone;
	if (last.packets)
		take_all(sas, sa, &last, now);
	/* A hard limit takes it away in the kernel. */
	if (err && err != -ESRCH)
		log_error("SA %s: the kernel keeps it: %s", sa->sa.name, strerror(-err));
}

void sa_kernel_tick(struct sas *sas, struct sa *sa, __u64 now, bool second)
{
	if (sa_is_kernel(sa) && (second || (sa->sa.flags & XIPSEC_SA_MANUAL) ||
				 (!sa->used_told && now < sa->born + YOUNG)))
		look(sas, sa, now);
}

/* ------------------------------------------------------------------ what the kernel tells */

static struct sa *named(struct sas *sas, const struct xfrm_usersa_id *id)
{
	struct xipsec_addr dst;

	memcpy(&dst, &id->daddr, sizeof(dst));
	return sas_by_spi(sas, &dst, id->family == AF_INET6 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4,
			  id->spi, id->proto);
}

/* A policy of ours found no SA: its child's has stopped, or goes this very moment. */
static void acquire(struct sas *sas, const struct xfrm_news *news)
{
	const struct sa *sa = sas_by_index(sas, news->reqid & ~XIPSEC_MARK_MASK);
	struct sadb_event event = {.event = XIPSEC_EVENT_ACQUIRE};

	if ((news->reqid & XIPSEC_MARK_MASK) != XIPSEC_MARK_XFRM || !sa || !sa_is_kernel(sa))
		return;
	memcpy(event.child, sa->sa.child, sizeof(event.child));
	sas->ops->event(sas->ctx, &event);
}

static void expired(struct sas *sas, struct sa *sa, const struct xfrm_news *news)
{
	struct xipsec_sa_state *state = sas_state(sas, sa->index);

	take_count(sa, state, &news->count, sas_now());
	if (news->kind == XFRM_NEWS_HARD) {
		__atomic_store_n(&state->status, XIPSEC_SA_STOPPED, __ATOMIC_RELEASE);
		sa_limits_stopped(sas, sa, sas_now());
	} else {
		sas_limits(sas, sas_now());
	}
}

/* Told, not followed: the kernel goes on sending to where the SA says. */
static void moved(struct sas *sas, struct sa *sa, const struct xfrm_news *news)
{
	struct sadb_event event = {.event = XIPSEC_EVENT_MAPPING};

	sa_event_fill(sa, &event);
	event.old_src = event.src;
	event.old_src_port = event.src_port;
	event.src = news->src;
	event.src_port = news->src_port;
	sas->ops->event(sas->ctx, &event);
}

/* Is it the one that its child seals by? */
static bool leads(struct sas *sas, const struct sa *one)
{
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa))
		if (sa->sa.dir == XIPSEC_DIR_OUT && sa->child == one->child &&
		    sa->serial > one->serial)
			return false;
	return true;
}

/* Every policy that is to be there. Returns of how many SAs. */
static unsigned int lead_all(struct sas *sas)
{
	unsigned int n = 0;
	int err = 0;

	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		if (!sa->in_kernel || (sa->sa.dir == XIPSEC_DIR_OUT && !leads(sas, sa)))
			continue;
		err = sas->ops->kernel->lead(sas->ctx, sa->sa.dir, &sa->sa, sa->index, sa->child);
		n += !err;
		if (err)
			log_error("SA %s: its policies cannot be put into the kernel: %s",
				  sa->sa.name, strerror(-err));
	}
	return n;
}

void sas_kernel_policies(struct sas *sas)
{
	if (sas->states)
		lead_all(sas);
}

/* Somebody has taken policies away: ours are put back. Until then the guard has dropped. */
static void policies_gone(struct sas *sas)
{
	unsigned int n = lead_all(sas);

	if (n)
		log_warn("somebody has taken policies from kernel XFRM: those of %u SAs are put "
			 "back",
			 n);
}

/* Somebody has taken SAs away: ours that are not there any more have stopped. While this xipsecd
 * runs they are not made again with the same key: what the kernel has used of it since the last
 * look is not known. Of a manual one, which the next makes again, see reserve.h. */
static void sas_gone(struct sas *sas, const struct xfrm_news *news)
{
	const struct sa *one = news->sa.proto ? named(sas, &news->sa) : NULL;
	struct xfrm_count count;

	if (news->sa.proto && !one)
		return;
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		if ((one && sa != one) || !sa->in_kernel || sa->announced ||
		    sas->ops->kernel->ask(sas->ctx, &sa->sa, &count) != -ESRCH)
			continue;
		sa->taken = true;
		__atomic_store_n(&sas_state(sas, sa->index)->status, XIPSEC_SA_STOPPED,
				 __ATOMIC_RELEASE);
		sa_limits_stopped(sas, sa, sas_now());
	}
}

void sas_kernel_news(struct sas *sas, const struct xfrm_news *news)
{
	struct sa *sa;

	if (!sas->states)
		return;
	if (news->kind == XFRM_NEWS_POLICIES_GONE || news->kind == XFRM_NEWS_SAS_GONE) {
		if (news->kind == XFRM_NEWS_SAS_GONE)
			sas_gone(sas, news);
		else
			policies_gone(sas);
		return;
	}
	if (news->kind == XFRM_NEWS_ACQUIRE) {
		acquire(sas, news);
		return;
	}
	sa = named(sas, &news->sa);
	if (!sa || !sa_is_kernel(sa))
		return;
	if (news->kind == XFRM_NEWS_MAPPING)
		moved(sas, sa, news);
	else
		expired(sas, sa, news);
}
