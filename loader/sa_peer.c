// SPDX-License-Identifier: BSD-2-Clause
/*
 * A peer behind a NAT whose address or port changes (RFC 3948, RFC 7296 2.23). Workers take the new
 * place from an authentic packet that is newer than all others; here the SAs of its child follow.
 *
 * Numbers and windows lie in the states, which stay where they are: a worker that is given the SA
 * again goes on counting. A child whose SAs are in UDP leads to one peer; an outbound SA that leads
 * elsewhere than where the inbound one came from is left alone.
 *
 * An SA may say that nobody is followed (XIPSEC_SA_STAY): so RFC 7296 2.23 has it for who is behind
 * a NAT himself, whom anybody on the path could cut off with one packet that he sends on.
 *
 * In transport mode the address is that of the packets inside, which selectors, policies and the
 * hosts' connections name: there the port alone is followed.
 */
#include "loader/sas_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"

static bool addr_is(const struct xipsec_addr *a, const struct xipsec_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool possible(const struct sa *sa, const struct xipsec_addr *addr, __be16 port)
{
	static const struct xipsec_addr none;
	const __u8 *byte = addr->byte;

	if (!port || addr_is(addr, &none))
		return false;
	if (sa->sa.outer_family == XIPSEC_FAMILY_IP6)
		return byte[0] != 0xff;
	/* An IPv4 address fills the first word alone; no class D or E, no loopback. */
	return byte[0] && byte[0] < 224 && byte[0] != 127 && !addr->word[1] && !addr->word[2] &&
	       !addr->word[3];
}

static void place_text(char *out, size_t size, __u8 family, const struct xipsec_addr *addr,
		       __be16 port)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	snprintf(out, size, "%s port %u", text, ntohs(port));
}

/* The old entry goes first: a full map has no room for two. */
static int move_entry(struct sas *sas, struct sa *sa, const struct xipsec_addr *to)
{
	struct xipsec_sad_key old = sa_sad_key(&sa->sa);
	struct xipsec_addr was = sa->sa.dst;
	const struct sa *other = sas_by_spi(sas, to, sa->sa.outer_family, sa->sa.spi, IPPROTO_ESP);
	int err;

	if (other)
		return other == sa ? 0 : -EEXIST;
	sas->ops->sad_delete(sas->ctx, &old);
	sas_find_move(sas, sa, to);
	err = sas_publish_entry(sas, sa);
	if (!err)
		return 0;
	sas_find_move(sas, sa, &was);
	sas_publish_entry(sas, sa);
	return err;
}

static int move_out(struct sas *sas, struct sa *sa, const struct ctl_peer *peer)
{
	int err = move_entry(sas, sa, &peer->addr);

	if (err)
		return err;
	sa->sa.dst_port = peer->port;
	sa->record.dst = sa->sa.dst;
	/* Another path. */
	__atomic_store_n(&sas_state(sas, sa->index)->pmtu, 0, __ATOMIC_RELAXED);
	sas_give_to_workers(sas, sa);
	return 0;
}

static bool leads_to(const struct sa *sa, const struct sa *in)
{
	return sa->sa.dir == XIPSEC_DIR_OUT && sa->child == in->child &&
	       (sa->sa.flags & XIPSEC_SA_UDP) && sa->sa.outer_family == in->sa.outer_family &&
	       addr_is(&sa->sa.dst, &in->sa.src) && sa->sa.dst_port == in->sa.src_port;
}

/* What fails is tried again when a worker says it again, a second later. */
static int follow(struct sas *sas, const struct sa *in, const struct ctl_peer *peer)
{
	int first = 0;

	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		int err = leads_to(sa, in) ? move_out(sas, sa, peer) : 0;

		if (err)
			log_error("SA %s cannot follow its peer: %s", sa->sa.name, strerror(-err));
		first = first ? first : err;
	}
	return first;
}

void sas_peer(struct sas *sas, const struct ctl_peer *peer)
{
	struct sa *sa = sas_by_index(sas, peer->index);
	struct sadb_event event = {.event = XIPSEC_EVENT_MAPPING};
	char from[64], to[64];

	if (!sa || sa->generation != peer->generation || sa->sa.dir != XIPSEC_DIR_IN ||
	    (sa->sa.flags & (XIPSEC_SA_UDP | XIPSEC_SA_STAY)) != XIPSEC_SA_UDP ||
	    !possible(sa, &peer->addr, peer->port))
		return;
	if (addr_is(&sa->sa.src, &peer->addr) ? sa->sa.src_port == peer->port
					      : sa->sa.mode == XIPSEC_MODE_TRANSPORT)
		return;
	if (follow(sas, sa, peer))
		return;
	event.old_src = sa->sa.src;
	event.old_src_port = sa->sa.src_port;
	place_text(from, sizeof(from), sa->sa.outer_family, &sa->sa.src, sa->sa.src_port);
	place_text(to, sizeof(to), sa->sa.outer_family, &peer->addr, peer->port);
	sas_tell_peer(sas, sa, false);
	sa->sa.src = peer->addr;
	sa->sa.src_port = peer->port;
	sas_tell_peer(sas, sa, true);
	/* Every worker compares with what it was told last. */
	sas_give_to_workers(sas, sa);
	log_info("SA %s: the peer was at %s and is at %s now", sa->sa.name, from, to);
	sa_event_fill(sa, &event);
	sas->ops->event(sas->ctx, &event);
}

void sas_describe(struct sas *sas, const struct xipsec_sample *sample, struct sadb_event *event)
{
	/* ESP may be in UDP, and both name their SA the same way; AH has SPIs of its own. */
	const __u8 l4_proto = sample->l4_proto == IPPROTO_AH ? IPPROTO_AH : IPPROTO_ESP;
	const struct sa *sa = NULL;

	if (sample->sa_generation) {
		sa = sas_by_index(sas, sample->sa_index);
		if (sa && sa->generation != sample->sa_generation)
			sa = NULL;
	} else if (sample->spi) {
		sa = sas_by_spi(sas, &sample->dst, sample->family, sample->spi, l4_proto);
	}
	if (sa)
		sa_event_fill(sa, event);
}
