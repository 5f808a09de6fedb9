/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which rules take all of another one together. What is left of it is cut into boxes; the corner of
 * a box is looked up as a packet, and the first rule that takes that packet is cut out of the box.
 * A corner that nobody takes ends it: most rules cost one look-up. Pure.
 */
#ifndef LOADER_SPD_COVER_H
#define LOADER_SPD_COVER_H

#include "loader/classifier.h"

#define SPD_COVER_BOXES 128 /* that may wait at a time */
#define SPD_COVER_STEPS 256 /* look-ups for one rule */

struct spd_cover {
	__u32 *by; /* numbers of the rules, ascending; the caller frees it */
	__u32 n;
};

/* Of rules whose numbers are their order in `c`, those before `rule` that take every packet which
 * is certain to match it (RFC 4301 7.4: one that hides its ports is not). *steps are the look-ups
 * that may be made for this and later calls; they are counted down.
 *
 * 1: *out has them; 0: there is a packet that none of them takes; -E2BIG: it took too many steps or
 * boxes to tell; -ENOMEM. */
int spd_cover_find(const struct classifier *c, __u32 rule, __u32 *steps, struct spd_cover *out);

#endif
