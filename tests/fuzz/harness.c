// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>

#include "worker/crypto.h"

/* Refusals to make an SA are no news here. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	MUST(!crypto_init());
	return 0;
}

/* ---------------------------------------------------------------- frames */

static __u8 *frames_map(void)
{
	__u8 *map = mmap(NULL, (2 * FRAMES + 1) * FRAME_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	MUST(map != MAP_FAILED);
	for (int i = 0; i < FRAMES; i++)
		MUST(!mprotect(map + (2 * i + 1) * FRAME_MAX, FRAME_MAX, PROT_READ | PROT_WRITE));
	return map;
}

__u8 *frame_get(unsigned int n, __u32 size)
{
	static __u8 *map;
	__u8 *frame;

	if (!map)
		map = frames_map();
	MUST(n < FRAMES && size <= FRAME_MAX);
	frame = map + (2 * n + 2) * FRAME_MAX - size;
	memset(frame, 0xee, size);
	return frame;
}

/* ---------------------------------------------------------------- SAs */

#define SELECTORS_MANY 12 /* more than a worker looks through each time */

static struct xipsec_selector any_selector(void)
{
	return (struct xipsec_selector){
		.local_hi = {{.word = {~0U, ~0U, ~0U, ~0U}}},
		.remote_hi = {{.word = {~0U, ~0U, ~0U, ~0U}}},
		.local_port_hi = XIPSEC_PORT_MAX,
		.remote_port_hi = XIPSEC_PORT_MAX,
		.icmp_hi = XIPSEC_PORT_MAX,
		.any_proto = 1,
	};
}

static struct xipsec_selector from_prefix(int family, __u8 first, __u8 proto)
{
	struct xipsec_selector sel = any_selector();

	sel.family = (__u8)family;
	sel.remote_lo.byte[0] = sel.remote_hi.byte[0] = first;
	sel.any_proto = 0;
	sel.l4_proto = proto;
	return sel;
}

/* inside.c says the same in another way. */
static void select_narrow(struct xipsec_sa *sa)
{
	struct xipsec_selector *refused = &sa->selector[0];

	*refused = any_selector();
	refused->local_port_lo = refused->local_port_hi = 23;
	sa->refuse[0] = 1;
	sa->selector[1] = from_prefix(4, 10, IPPROTO_UDP);
	sa->selector[2] = from_prefix(4, 10, IPPROTO_TCP);
	sa->selector[3] = from_prefix(6, 0xfd, IPPROTO_UDP);
	sa->selector[4] = from_prefix(6, 0xfd, IPPROTO_TCP);
	sa->n_selectors = 5;
}

/* The same again and again: none of those decides. */
static void select_many(struct xipsec_sa *sa)
{
	__u32 n = sa->n_selectors;

	for (; sa->n_selectors < SELECTORS_MANY; sa->n_selectors++) {
		sa->selector[sa->n_selectors] = sa->selector[sa->n_selectors - n];
		sa->refuse[sa->n_selectors] = sa->refuse[sa->n_selectors - n];
	}
}

static void config_fill(struct xipsec_sa *sa, __u8 proto, __u8 alg, __u8 shape, __u8 window)
{
	*sa = (struct xipsec_sa){
		.name = "fuzz",
		.spi = htonl(0x1001),
		.outer_family = shape & SHAPE_IP6 ? 6 : 4,
		.l4_proto = proto,
		.mode = shape & SHAPE_TRANSPORT ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL,
		.alg = alg,
		.flags = (shape & SHAPE_ESN ? XIPSEC_SA_ESN : 0) |
			 (shape & SHAPE_UDP ? XIPSEC_SA_UDP : 0),
		.window = 64u << (window & 7),
		.src_port = htons(4500),
		.dst_port = htons(4500),
		.key_len = alg_key_len(alg),
	};
	for (__u32 i = 0; i < sa->key_len; i++)
		sa->key[i] = (__u8)(0x40 + i);
	memset(sa->src.byte, 0x20, shape & SHAPE_IP6 ? 16 : 4);
	memset(sa->dst.byte, 0x30, shape & SHAPE_IP6 ? 16 : 4);
	if (shape & SHAPE_NARROW) {
		select_narrow(sa);
	} else {
		sa->selector[0] = any_selector();
		sa->n_selectors = 1;
	}
	if (shape & SHAPE_MANY)
		select_many(sa);
}

static struct sa *end_new(struct xipsec_sa *config, __u8 dir, struct xipsec_sa_state *state,
			  enum xipsec_backend backend)
{
	struct sa *sa;
	int err;

	memset(state, 0, sizeof(*state));
	state->generation = GENERATION;
	state->status = XIPSEC_SA_LIVE;
	state->seq_limit = ~0ULL;
	config->dir = dir;
	config->flags &= (__u16)~XIPSEC_SA_LATER;
	if (dir == XIPSEC_DIR_IN && config->mode == XIPSEC_MODE_TUNNEL)
		config->flags |= XIPSEC_SA_LATER;
	sa = sa_new(config, INDEX, GENERATION, state, backend, &err);
	if (!sa)
		sa = sa_new(config, INDEX, GENERATION, state, XIPSEC_BACKEND_AUTO, &err);
	MUST(sa);
	return sa;
}

static __u8 alg_pick(__u8 byte, __u8 proto)
{
	__u8 alg = 1 + byte % (XIPSEC_ALG_COUNT - 1);

	while (proto == IPPROTO_AH && !alg_fits_ah(alg))
		alg = 1 + alg % (XIPSEC_ALG_COUNT - 1);
	return alg;
}

void ends_open(struct ends *ends, struct input *in, __u8 proto)
{
	const enum xipsec_backend backends[2] = {XIPSEC_BACKEND_IPSEC_MB, XIPSEC_BACKEND_OPENSSL};
	__u8 alg = alg_pick(take8(in), proto), shape = take8(in);
	int mine;

	if (proto == IPPROTO_AH)
		shape &= (__u8)~SHAPE_UDP;
	mine = !!(shape & SHAPE_OPENSSL);
	ends->shape = shape;
	config_fill(&ends->config, proto, alg, shape, take8(in));
	ends->in = end_new(&ends->config, XIPSEC_DIR_IN, &ends->in_state, backends[mine]);
	ends->out = end_new(&ends->config, XIPSEC_DIR_OUT, &ends->out_state,
			    backends[shape & SHAPE_OTHER ? !mine : mine]);
}

void ends_close(struct ends *ends)
{
	sa_free(ends->in);
	sa_free(ends->out);
}

__u64 window_start(struct ends *ends, struct input *in)
{
	__u64 start = take64(in) % (SEQ_RING / 2);

	if (!(ends->shape & SHAPE_ESN))
		start &= 0xffffffff;
	ends->in_state.replay_top = start;
	return start;
}
