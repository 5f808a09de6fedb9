/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules that stand in for what is only known when an SA comes: a child whose dynamic selector is no
 * one address by the config has a DISCARD for every address in its place (lib/conn_rules.c). What
 * one of its SAs tells makes PROTECT rules, which stand before it as long as that SA: a stand-in
 * discards what no SA has made known. Pure.
 */
#ifndef LIB_STANDIN_H
#define LIB_STANDIN_H

#include <stdbool.h>

struct config;
struct xipsec_sa;
struct xipsec_selector;

#include "xipsec/maps.h"
#include "xipsec/sa.h"

/* What stands for a child's dynamic selectors, by one SA. */
struct standin_addrs {
	__u8 family;
	__u8 sides; /* XIPSEC_RULE_LOCAL_LATER, XIPSEC_RULE_REMOTE_LATER: those that are known */
	__u8 pad[2];
	struct xipsec_addr local, remote; /* zero where not known */
};

/* A rule that is known by an SA, and the rule of the config that it stands before. */
struct standin_rule {
	struct xipsec_spd_rule rule; /* PROTECT; child is not set */
	unsigned int policy, place;  /* config->policies[policy].rules[place] */
};

/* Of the selectors of `sa` that are in stand-ins of its child: the one address that they have on
 * each side that is to come. false: none of them is, or they do not agree, or leave it open. */
bool standin_addrs(const struct config *config, const struct xipsec_sa *sa,
		   struct standin_addrs *out);

/* All rules of `child` that follow from `addrs`, none narrower than its stand-in is: what the SA
 * was narrowed to is the SA's. Each stands before the first stand-in, of whichever child, that
 * holds it whole. The caller frees *out. 0 or -ENOMEM, *out is untouched then. */
int standin_rules(const struct config *config, const char *child, const struct standin_addrs *addrs,
		  struct standin_rule **out, unsigned int *n);

#endif
