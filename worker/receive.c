// SPDX-License-Identifier: BSD-2-Clause
#include "worker/receive.h"

#include "lib/if_xdp.h"
#include "worker/jumbo.h"
#include "xipsec/meta.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

/* A frame's lines come out of the cache of the core that received it: the verdict before it, its
 * headers, and its end, where ESP puts or finds trailer and ICV. The descriptor is not checked yet;
 * a prefetch does no harm anywhere. */
static void fetch_frame(const struct worker *w, struct xsk *xsk)
{
	const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&xsk->rx, xsk->rx_fetched++);
	const __u8 *frame = frame_at(&w->frames, desc->addr);

	prefetch_write(frame - sizeof(struct xipsec_meta));
	prefetch_write(frame + 32);
	prefetch_write(frame + desc->len);
}

void receive_ahead(const struct worker *w, struct xsk *xsk)
{
	if (xsk->rx_fetched != xsk->rx.cached_prod &&
	    xsk->rx_fetched - xsk->rx.cached_cons < BURST_MAX)
		fetch_frame(w, xsk);
}

/* Half a packet stays in the ring until the rest has come. It never comes if the ring was full just
 * then and nothing followed: after so many rounds it ends. */
#define TORN_ROUNDS 1024

static unsigned int take_jumbo(struct worker *w, struct xsk *xsk, __u32 index, unsigned int n,
			       struct xdp_desc *out)
{
	unsigned int parts = jumbo_receive(w, xsk, index, n, out);

	if (parts || (n < BURST_MAX && ++xsk->rx_torn < TORN_ROUNDS)) {
		xsk->rx_torn = parts ? 0 : xsk->rx_torn;
		return parts;
	}
	xsk->rx_torn = 0;
	jumbo_torn(w, xsk, index, n);
	return n;
}

/* What was peeked at from `at` on is still to come; by then there may be more of it than was seen.
 */
static void leave_half(struct xsk *xsk, __u32 at)
{
	xsk->rx.cached_cons = at;
	xsk->rx.cached_prod = at;
	xsk->rx_fetched = at;
}

unsigned int receive_burst(struct worker *w, struct xsk *xsk, struct xdp_desc *descs)
{
	unsigned int got, n = 0;
	__u32 index;

	got = xsk_ring_cons__peek(&xsk->rx, BURST_MAX, &index);
	if (!got)
		return 0;
	while ((__s32)(xsk->rx.cached_cons - xsk->rx_fetched) > 0)
		fetch_frame(w, xsk);
	for (unsigned int i = 0; i < got; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&xsk->rx, index + i);
		__u64 base = frame_base(&w->frames, desc->addr);

		if (unlikely(desc->options & XDP_PKT_CONTD)) {
			unsigned int parts = take_jumbo(w, xsk, index + i, got - i, &descs[n]);

			n += descs[n].len != 0;
			if (!parts) {
				got = i;
				break;
			}
			i += parts - 1;
			continue;
		}
		/* The ring outlives workers: do not trust it with our memory. */
		if (unlikely(frame_number(&w->frames, base) >= w->frames.n ||
			     desc->addr - base + desc->len > w->frames.size))
			continue;
		descs[n++] = *desc;
		frame_set(&w->frames, base, FRAME_WORKER, 0);
	}
	xsk_ring_cons__release(&xsk->rx, got);
	if (unlikely(xsk->rx.cached_cons != index + got))
		leave_half(xsk, index + got);
	return n;
}
