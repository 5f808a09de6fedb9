// SPDX-License-Identifier: BSD-2-Clause
#include "worker/mss.h"

#include "worker/inner.h"
#include "worker/pipeline_inside.h"

#define TCP_LEN 20
#define IP4_LEN 20
#define IP6_LEN 40

void mss_clamp_opened(struct worker *w, const struct sa *sa, struct packet *p)
{
	__u32 mtu = pipeline_mtu_to(w, &sa->src, sa->outer_family), headers, inner_max;
	struct inner inner;

	if (inner_parse(p->data, p->len, &inner) || inner.opaque)
		return;
	inner_max = sa->transport ? sa_transport_max(sa, mtu, inner.l4_off) : sa_inner_max(sa, mtu);
	headers = TCP_LEN + (inner.family == XIPSEC_FAMILY_IP4 ? IP4_LEN : IP6_LEN);
	if (inner_max > headers)
		inner_clamp_mss(p->data, &inner, inner_max - headers);
}
