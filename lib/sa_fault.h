/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of an SA does not go together, whoever made it: the config tells it with the place of the
 * key, the SADB refuses a client with it. Lengths, ranges and sides are checked here alone; what
 * needs other SAs, policies or a place in the maps is not.
 */
#ifndef LIB_SA_FAULT_H
#define LIB_SA_FAULT_H

#include "xipsec/sa.h"

#define SA_FAULTS_MAX  48
#define SA_TTL_DEFAULT 64

/* Dummies a second; more than that would be a load, not a disguise. */
#define SA_DUMMIES_MAX 10000

#define SA_KERNEL_WINDOW_MAX 4096 /* XFRMA_REPLAY_ESN_MAX */

struct sa_fault {
	const char *key; /* that names it in sas {} */
	const char *what;
	const char *expected;
};

/* Writes at most `max` faults and returns how many; 0: all of `sa` fits. Reads every field but the
 * key's bytes and the selectors, and trusts none of them. */
unsigned int sa_faults(const struct xipsec_sa *sa, struct sa_fault *out, unsigned int max);

#endif
