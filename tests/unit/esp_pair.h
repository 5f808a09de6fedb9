/* SPDX-License-Identifier: BSD-2-Clause */
/* Two ends of one SA, and the frame that goes from one to the other. One pair at a time. */
#ifndef TESTS_UNIT_ESP_PAIR_H
#define TESTS_UNIT_ESP_PAIR_H

#include "tests/unit/esp_fixture.h"
#include "worker/esp_in.h"
#include "worker/esp_out.h"

static struct xipsec_sa_state out_state, in_state;
static struct frame frame;

struct pair {
	struct xipsec_sa config;
	struct sa *out, *in;
};

static void pair_open(struct pair *pair)
{
	pair->config.dir = XIPSEC_DIR_OUT;
	pair->out = sa_make(&pair->config, &out_state, XIPSEC_BACKEND_AUTO);
	pair->config.dir = XIPSEC_DIR_IN;
	pair->in = sa_make(&pair->config, &in_state, XIPSEC_BACKEND_AUTO);
}

static void pair_close(struct pair *pair)
{
	sa_free(pair->out);
	sa_free(pair->in);
}

static enum xipsec_reason seal(struct pair *pair, const __u8 *inner, __u32 len, __u32 mtu)
{
	struct packet *p = frame_load(&frame, inner, len);

	p->flags = PACKET_LOCAL;
	esp_out_burst(pair->out, &p, 1, mtu, 1);
	return p->reason;
}

static enum xipsec_reason open_at(struct pair *pair, __u64 now_s)
{
	struct packet *p = &frame.p;

	p->reason = 0;
	esp_in_burst(pair->in, &p, 1, now_s);
	return p->reason;
}

static inline enum xipsec_reason open_it(struct pair *pair)
{
	return open_at(pair, 1);
}

#endif
