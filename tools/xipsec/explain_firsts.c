// SPDX-License-Identifier: BSD-2-Clause
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "tools/xipsec/explain.h"

#define ROOM 4096          /* as the map `frags` */
#define AGE  2000000000ULL /* ns: how long the programs keep one */

struct kept {
	struct xipsec_addr src, dst;
	__be32 id;
	__u8 family, l4_proto;
	__u64 time;
	struct explain_first first;
};

struct explain_firsts {
	struct kept kept[ROOM];
	unsigned long n; /* ever kept; the newest stands at (n - 1) % ROOM */
};

struct explain_firsts *explain_firsts_new(void)
{
	return calloc(1, sizeof(struct explain_firsts));
}

void explain_firsts_free(struct explain_firsts *firsts)
{
	free(firsts);
}

/* IPv6 hides the protocol of later pieces. */
static bool is_same(const struct kept *kept, const struct xipsec_explain *answer)
{
	return kept->family == answer->family && kept->id == answer->frag_id &&
	       (kept->family == XIPSEC_FAMILY_IP6 || kept->l4_proto == answer->l4_proto) &&
	       !memcmp(&kept->src, &answer->src, sizeof(kept->src)) &&
	       !memcmp(&kept->dst, &answer->dst, sizeof(kept->dst));
}

/* bpf/frags.h: what a rule let pass, protected on its way out, or gave to the stack to be put
 * together. */
static bool is_kept(const struct loader_explanation *what)
{
	if (what->answer.reason == XIPSEC_REASON_REASSEMBLE)
		return true;
	return what->rule_known && (what->rule.rule.action == XIPSEC_ACTION_BYPASS ||
				    (what->rule.rule.action == XIPSEC_ACTION_PROTECT &&
				     what->answer.way.dir == XIPSEC_DIR_OUT));
}

/* Decided by what it hides: its first one would have shown that. */
static bool is_undecided(const struct loader_explanation *what)
{
	__u32 reason = what->answer.reason;

	return !(what->answer.way.flags & XIPSEC_WAY_FOLLOWED) &&
	       (reason == XIPSEC_REASON_FRAG_OPAQUE || reason == XIPSEC_REASON_REASSEMBLY_CLOSED ||
		(reason == XIPSEC_REASON_DISCARD && what->maybe_known));
}

static void keep(struct explain_firsts *firsts, unsigned long number, __u64 time,
		 const struct xipsec_explain *answer)
{
	firsts->kept[firsts->n++ % ROOM] = (struct kept){.src = answer->src,
							 .dst = answer->dst,
							 .id = answer->frag_id,
							 .family = answer->family,
							 .l4_proto = answer->l4_proto,
							 .time = time,
							 .first = {number, answer->reason}};
}

struct explain_first explain_firsts_pass(struct explain_firsts *firsts, unsigned long number,
					 __u64 time, const struct loader_explanation *what)
{
	const struct xipsec_explain *answer = &what->answer;
	unsigned long n = firsts->n < ROOM ? firsts->n : ROOM;

	if (!(answer->frag & XIPSEC_FRAG_LATER)) {
		if ((answer->frag & XIPSEC_FRAG_PART) && is_kept(what))
			keep(firsts, number, time, answer);
		return (struct explain_first){0};
	}
	for (unsigned long i = 1; is_undecided(what) && i <= n; i++) {
		const struct kept *kept = &firsts->kept[(firsts->n - i) % ROOM];

		if (is_same(kept, answer) && time - kept->time <= AGE)
			return kept->first;
	}
	return (struct explain_first){0};
}
