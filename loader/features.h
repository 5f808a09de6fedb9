/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this kernel has of what xipsec can use: each thing is tried, none is told from a version.
 * What must not touch the machine is tried in a network namespace that is gone afterwards
 * (features.c); what the driver of an interface says is asked (features_nic.c).
 */
#ifndef LOADER_FEATURES_H
#define LOADER_FEATURES_H

#include "xipsec/loader.h"

/* Fills state and note of one feature. */
typedef void (*feature_fn)(struct loader_feature *out);

/* note: printf's; "" none. */
void feature_say(struct loader_feature *out, enum loader_feature_state state, const char *note, ...)
	__attribute__((format(printf, 3, 4)));

/* What a try gave: 0 or more is yes, no right to try it is unknown, another -errno no. */
void feature_tried(struct loader_feature *out, int err);

/* Those of kernel XFRM (features_xfrm.c). They want a network namespace of their own. */
void feature_esp4(struct loader_feature *out);
void feature_esp6(struct loader_feature *out);
void feature_ah4(struct loader_feature *out);
void feature_ah6(struct loader_feature *out);
void feature_algorithms(struct loader_feature *out);
void feature_ipcomp(struct loader_feature *out);
void feature_percpu_sa(struct loader_feature *out);
void feature_udp_encap4(struct loader_feature *out);
void feature_udp_encap6(struct loader_feature *out);

#endif
