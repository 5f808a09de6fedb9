// SPDX-License-Identifier: BSD-2-Clause
#include "worker/mss.h"

#include "worker/inner.h"
#include "worker/oversize.h"
#include "worker/pipeline_inside.h"

#define TCP_LEN 20
#define IP4_LEN 20
#define IP6_LEN 40

void mss_clamp_opened(struct worker *w, struct sa_place *in, struct packet *p)
{
	const struct sa *sa = in->sa;
	__u32 mtu, headers, inner_max;
	struct sa_place *out;
	struct inner inner;

	if (inner_parse(p->data, p->len, &inner) || inner.opaque)
		return;
	out = oversize_reverse(w, in);
	if (out) {
		sa = out->sa;
		mtu = sa_path_mtu(sa, pipeline_out_mtu(w, out), w->now_ms / 1000);
	} else {
		mtu = pipeline_mtu_to(w, &sa->src, sa->outer_family);
	}
	inner_max = sa->transport ? sa_transport_max(sa, mtu, inner.l4_off) : sa_inner_max(sa, mtu);
	headers = TCP_LEN + (inner.family == XIPSEC_FAMILY_IP4 ? IP4_LEN : IP6_LEN);
	if (inner_max > headers)
		inner_clamp_mss(p->data, &inner, inner_max - headers);
}
