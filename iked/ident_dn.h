/* SPDX-License-Identifier: BSD-2-Clause */
/* Distinguished names (RFC 5280 4.1.2.4) in DER, for ident*.c and cert*.c alone. */
#ifndef IKED_IDENT_DN_H
#define IKED_IDENT_DN_H

#include "iked/ident.h"

/* Text to DER: 0, -EINVAL with `why`, -ENOMEM. */
int dn_parse(const char *text, struct ident **out, char *why, size_t size);

/* Is it the DER of a name that is not empty, and nothing more? */
bool dn_valid(struct bytes der);

/* 0: no match; IDENT_MATCH_EXACT, or less by one for each wildcard. */
int dn_match(struct bytes pattern, struct bytes der);
bool dn_is_pattern(struct bytes der);

/* The same for DNs that match each other in full. */
__u64 dn_hash(struct bytes der);

size_t dn_print(struct bytes der, char *to, size_t size);

#endif
