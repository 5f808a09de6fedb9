/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SPDs and packets for tests and benchmarks, made from a seed: the same seed, the same bytes.
 * The shapes are those that ClassBench knows (access list, firewall, IP chain), made from
 * statistics of ours in its spirit, none of its files; the cluster mesh; and SPDs made to hurt.
 */
#ifndef TESTS_LIB_SPD_GENERATE_H
#define TESTS_LIB_SPD_GENERATE_H

#include "tests/lib/draw.h"
#include "xipsec/classifier.h"

enum spd_shape {
	SHAPE_ACL,    /* specific prefixes, exact ports of the remote side */
	SHAPE_FW,     /* wide prefixes, ranges of ports on both sides */
	SHAPE_CHAIN,  /* between both */
	SHAPE_MESH,   /* a pod prefix and an address of each node, all protocols */
	SHAPE_NESTED, /* prefixes inside one another, priorities crossed */
	SHAPE_PORTS,  /* the same addresses, ranges of ports of every form */
	SHAPE_BITS,   /* rules that differ in one bit */
	SHAPE_RANGES, /* ranges of addresses, DSCPs, hidden ports, Mobility Headers */
	SHAPE_WIDE,   /* all at once, ranges of any width on each axis */
	SHAPE_COUNT,
};

extern const char *const spd_shape_name[SHAPE_COUNT];

/* Writes n rules. */
void spd_generate(enum spd_shape shape, __u64 *seed, struct xipsec_spd_rule *rule, __u32 n);

/* A packet at or near a border of one of the rules, or anywhere. */
void flow_generate(const struct xipsec_spd_rule *rule, __u32 n, __u64 *seed,
		   struct xipsec_flow *flow);

/* A packet that a rule matches and that hides nothing, unless the rule asks for it. */
void flow_inside(const struct xipsec_spd_rule *rule, __u64 *seed, struct xipsec_flow *flow);

#endif
