/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our selectors as kernel XFRM knows them (linux/xfrm.h): prefixes, and ports under a mask. A range
 * becomes several; what it cannot say at all is told.
 */
#ifndef LOADER_XFRM_SEL_H
#define LOADER_XFRM_SEL_H

#include <stdbool.h>
#include <linux/xfrm.h>
#include "xipsec/sa.h"

/* So many policies of one SA, in one direction. */
#define XFRM_SELS_MAX 64

struct xfrm_sels {
	unsigned int n;
	struct xfrm_selector sel[XFRM_SELS_MAX]; /* the first that matches decides */
	bool refuse[XFRM_SELS_MAX];
};

/* Those of `sa`, as its packets look in its own direction, in order. Of both families a selector of
 * any gives one for each. NULL, or what the kernel cannot say, with *out undefined. */
const char *xfrm_sels_make(const struct xipsec_sa *sa, struct xfrm_sels *out);

#endif
