/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of proposals, and why some that others know are not ours. Of lib/proposal*.c alone. */
#ifndef LIB_PROPOSAL_NAMES_H
#define LIB_PROPOSAL_NAMES_H

#include "lib/proposal.h"

/* Bits of `where`. */
#define IN_IKE (1 << PROPOSAL_IKE)
#define IN_AH  (1 << PROPOSAL_AH)
#define IN_ESP (1 << PROPOSAL_ESP)
#define IN_SA  (IN_AH | IN_ESP)
#define IN_ALL (IN_IKE | IN_SA)

struct proposal_name {
	const char *name; /* of those that mean the same, the first is the one to print */
	__u8 type;        /* enum transform_type */
	__u8 where;
	__u16 id;
	__u16 key_bits;
};

/* NULL: none of ours for that protocol. Case does not count. */
const struct proposal_name *proposal_name_find(const char *name, enum proposal_protocol protocol);

/* The one to print; `protocol` 0: of any. NULL: we have no name for it. */
const struct proposal_name *proposal_name_of(const struct transform *t, unsigned int protocol);

/* Why a name that strongSwan knows is refused, to stand behind it; NULL: no such reason. */
const char *proposal_name_refused(const char *name);

/* Those names of ours that fit, each once, for "did you mean". Returns how many, at most `max`. */
size_t proposal_names(enum proposal_protocol protocol, const char **to, size_t max);

#endif
