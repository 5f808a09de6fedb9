// SPDX-License-Identifier: BSD-2-Clause
/* What goes to the stack: opened packets, and ICMP errors about those that came from it. */
#include "worker/tap_inside.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <sys/uio.h>

#include "worker/icmp.h"
#include "worker/inbound.h"
#include "worker/inner.h"
#include "worker/pipeline_inside.h"
#include "worker/sa.h"

/* ------------------------------------------------------------------ one write */

/* `n` pieces, of which the first is left for the headers before the packet, which is of `family`.
 * The packet's checksums are as they came unless `hdr` speaks of them: the stack looks at them. 0
 * or -errno. */
static int write_pieces(struct worker *w, struct tap *tap, const struct virtio_net_hdr *hdr,
			__u8 family, struct iovec *iov, int n)
{
	__u8 head[TAP_HDR_LEN + ETH_HLEN];
	__be16 type = htons(family == XIPSEC_FAMILY_IP4 ? ETH_P_IP : ETH_P_IPV6);
	ssize_t put;

	memcpy(head, hdr, TAP_HDR_LEN);
	memcpy(head + TAP_HDR_LEN, tap->mac, ETH_ALEN);
	memcpy(head + TAP_HDR_LEN + ETH_ALEN, tap->mac, ETH_ALEN);
	memcpy(head + TAP_HDR_LEN + 2 * ETH_ALEN, &type, sizeof(type));
	iov[0] = (struct iovec){head, tap->if_id ? TAP_HDR_LEN : sizeof(head)};
	do
		put = writev(tap->fd, iov, n);
	while (put < 0 && errno == EINTR);
	if (put >= 0)
		return 0;
	put = -errno;
	if (put == -EBADFD)
		tap_lose(w, tap);
	return (int)put;
}

static int write_packet(struct worker *w, struct tap *tap, const struct packet *p)
{
	static const struct virtio_net_hdr none;
	struct iovec iov[2] = {{0}, {p->data, p->len}};

	return write_pieces(w, tap, &none, p->family, iov, 2);
}

/* Most end well, which is nothing to tell. */
static void end(struct worker *w, struct work *work, __u16 reason)
{
	worker_count(w, reason, work->bytes);
	if (reason != XIPSEC_REASON_OPENED_LOCAL)
		sample_drop(w, work, reason);
	frame_free(&w->frames, work->p.frame);
}

/* ------------------------------------------------------------------ opened packets */

#define ND_HOP_LIMIT 255 /* RFC 4861 6.1 and 7.1, 8.1: the stack takes no other */
#define ND_FIRST     133 /* router solicitation */
#define ND_ROUTER    134 /* advertisement */
#define ND_REDIRECT  137 /* the last */

/* Most packets are neither. */
static bool may_be_of_a_link(const struct packet *p)
{
	if (p->family == XIPSEC_FAMILY_IP4)
		return p->data[offsetof(struct iphdr, protocol)] == IPPROTO_ICMP;
	return p->data[offsetof(struct ipv6hdr, hop_limit)] == ND_HOP_LIMIT;
}

/* Is it what only a neighbour may say? Hop limit 255 proves one on a link; in a tunnel the peer
 * writes it, who would give this host routes and addresses by it, or send its packets elsewhere,
 * whatever policy says of him. In transport mode the outer header is the packet's own, and
 * solicitations of hosts on one link may be protected; routers' word stays none. (The stack takes
 * no ND in fragments, RFC 6980.) */
static bool of_a_link(const struct packet *p, bool transport)
{
	struct inner inner;
	__u8 type;

	if (!may_be_of_a_link(p) || inner_parse(p->data, p->len, &inner) || !inner.l4_min)
		return false;
	type = p->data[inner.l4_off];
	if (p->family == XIPSEC_FAMILY_IP4)
		return type == ICMP_REDIRECT;
	if (inner.l4_proto != IPPROTO_ICMPV6)
		return false;
	if (transport)
		return type == ND_ROUTER || type == ND_REDIRECT;
	return type >= ND_FIRST && type <= ND_REDIRECT;
}

static __u16 reason_of(const struct tap *tap, const struct work *work, int err)
{
	if (!err)
		return work->p.flags & PACKET_ECN ? XIPSEC_REASON_OPENED_ECN
						  : XIPSEC_REASON_OPENED_LOCAL;
	if (err == -ENOMEM || err == -ENOBUFS || err == -EAGAIN)
		return XIPSEC_REASON_TX_FULL;
	return tap->if_id ? XIPSEC_REASON_NO_TUNNEL : XIPSEC_REASON_INNER_LOCAL;
}

/* For the stack there is nothing left to prove. */
static void sum_left_open(struct packet *p, __u16 l3_off, struct virtio_net_hdr *hdr)
{
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = (__u16)(l3_off + p->l4_off);
	hdr->csum_offset = inbound_sum_open(p);
}

void taps_flush(struct worker *w)
{
	struct tap_gather *g = &w->gather;
	struct iovec iov[BURST_MAX + 1];
	struct virtio_net_hdr hdr = {0};
	const struct packet *first;
	__u16 l3_off;
	int err;

	if (!g->n)
		return;
	l3_off = g->tap->if_id ? 0 : ETH_HLEN;
	first = &g->work[0]->p;
	iov[1] = (struct iovec){first->data, first->len};
	for (unsigned int i = 1; i < g->n; i++) {
		const struct packet *p = &g->work[i]->p;

		iov[i + 1] = (struct iovec){p->data + g->flow.head, p->len - g->flow.head};
	}
	if (g->n > 1)
		coalesce_finish(&g->flow, &g->work[g->n - 1]->p, l3_off, &hdr);
	else if (first->flags & PACKET_SUM)
		sum_left_open(&g->work[0]->p, l3_off, &hdr);
	err = write_pieces(w, g->tap, &hdr, first->family, iov, (int)g->n + 1);
	if (!err)
		worker_add(&w->stats->tx_packets, g->n);
	/* The first has the headers of them all now: what is told is the last. */
	for (; g->n; g->n--)
		end(w, g->work[g->n - 1], reason_of(g->tap, g->work[g->n - 1], err));
}

void tap_deliver(struct worker *w, __u32 if_id, struct work *work)
{
	struct tap *tap = tap_find(w, if_id);
	struct tap_gather *g = &w->gather;

	if (__builtin_expect(of_a_link(&work->p, w->sas[work->sa_index].sa->transport), 0)) {
		pipeline_drop(w, work, XIPSEC_REASON_LINK_SCOPE);
		return;
	}
	if (g->n && g->tap == tap && g->n < BURST_MAX && coalesce_add(&g->flow, &work->p)) {
		g->work[g->n++] = work;
		return;
	}
	taps_flush(w);
	if (!tap || tap->fd < 0) {
		end(w, work, if_id ? XIPSEC_REASON_NO_TUNNEL : XIPSEC_REASON_INNER_LOCAL);
		return;
	}
	g->tap = tap;
	g->work[0] = work;
	g->n = 1;
	if (!coalesce_start(&g->flow, &work->p))
		taps_flush(w);
}

/* ------------------------------------------------------------------ ICMP */

/* Whom the error is from: the stack takes none from an address of its own, so it is the one that
 * the packet was for. That holds for hosts whose packets were forwarded into a tunnel's interface
 * as well, who hear it from the far host and not from this router. */
static bool answer_source(const struct packet *p, struct xipsec_addr *src)
{
	memset(src, 0, sizeof(*src));
	if (p->family == XIPSEC_FAMILY_IP4) {
		memcpy(src, p->data + offsetof(struct iphdr, daddr), 4);
		return src->byte[0] < 224;
	}
	memcpy(src, p->data + offsetof(struct ipv6hdr, daddr), 16);
	return src->byte[0] != 0xff;
}

void tap_answer(struct worker *w, struct work *work, bool allowed)
{
	struct tap *tap = tap_find(w, work->if_id);
	struct xipsec_addr src;

	if (allowed && tap && tap->fd >= 0 && answer_source(&work->p, &src) &&
	    !icmp_error_build(&work->p, &src) && !write_packet(w, tap, &work->p))
		worker_count(w, XIPSEC_REASON_ICMP_SENT, work->bytes);
	frame_free(&w->frames, work->p.frame);
}
