/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of selectors of an SA (struct xipsec_sa) beside the one that another config gives it
 * (lib/sa_selectors.h). What it accepts was agreed with the peer; what is refused, and the flags
 * that follow from the rules, are ours alone, and may become others while the SA is up.
 */
#ifndef LIB_SA_LIST_H
#define LIB_SA_LIST_H

#include <stdbool.h>

#include "xipsec/sa.h"

/* The flags that follow from the list, or from the rules that it was made of. */
#define SA_LIST_FLAGS (XIPSEC_SA_WHOLE | XIPSEC_SA_APART)

enum sa_list {
	SA_LIST_SAME,
	SA_LIST_REFUSALS, /* what is accepted is the same in the same order, what is refused not */
	SA_LIST_OTHER,
};

/* Of all of both but the keys' bytes. */
enum sa_list sa_list_compare(const struct xipsec_sa *a, const struct xipsec_sa *b);

/* From now on *to refuses, of what both accept, whatever either refuses: the two differ by refusals
 * alone. False, and *to untouched: it would have more than XIPSEC_SELECTORS_MAX entries. */
bool sa_list_join(struct xipsec_sa *to, const struct xipsec_sa *with);

#endif
