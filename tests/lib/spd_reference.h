/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SPD as RFC 4301 words it: a list, searched from its top. Written to be read, not to be fast,
 * and on its own: it shares neither code nor tables with what it judges.
 */
#ifndef TESTS_LIB_SPD_REFERENCE_H
#define TESTS_LIB_SPD_REFERENCE_H

#include "xipsec/classifier.h"

enum reference_verdict { /* as the programs number them */
			 REFERENCE_NONE,
			 REFERENCE_DISCARD,
			 REFERENCE_BYPASS,
			 REFERENCE_PROTECT,
			 REFERENCE_OPAQUE,
};

struct reference_answer {
	enum reference_verdict verdict;
	__u32 child; /* with PROTECT */
	__u32 rule;  /* place in the list of the certain rule, ~0: none, or it does not count */
};

/* The answer of the n rules, in this order, to the packet. */
struct reference_answer reference_search(const struct xipsec_spd_rule *rule, __u32 n,
					 const struct xipsec_flow *flow);

#endif
