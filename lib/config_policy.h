/* SPDX-License-Identifier: BSD-2-Clause */
/* Selectors from lists of networks: policies and the *_ts of SAs make them alike. */
#ifndef LIB_CONFIG_POLICY_H
#define LIB_CONFIG_POLICY_H

#include "lib/config_value.h"

/* Calls `make` with the selector of each pair of one family; `base` gives all but the addresses.
 * An empty list is any. Returns the number of pairs. */
unsigned int selector_pairs(const struct config_nets *local, const struct config_nets *remote,
			    const struct xipsec_selector *base,
			    void (*make)(const struct xipsec_selector *sel, void *into),
			    void *into);

/* All protocols and ports, no address. */
extern const struct xipsec_selector selector_any;

/* All addresses of that family. */
void selector_family(struct xipsec_selector *sel, __u8 family);

/* Of the DSCPs of two selectors, 0: any. */
bool selector_dscp_within(__u64 inner, __u64 outer);

/* Every packet that `inner` matches is matched by `outer` too. */
bool selector_within(const struct xipsec_selector *inner, const struct xipsec_selector *outer);

/* False if no packet matches both; else *both matches exactly those that do. */
bool selector_meet(const struct xipsec_selector *a, const struct xipsec_selector *b,
		   struct xipsec_selector *both);

#endif
