/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may come out of an SA: RFC 4301 5.2's check of decrypted packets against its selectors.
 */
#ifndef WORKER_SELECTORS_H
#define WORKER_SELECTORS_H

#include <stdbool.h>
#include "worker/inner.h"
#include "worker/sa.h"

/* Fills what sa.h says of an SA's selectors, after they were copied. 0 or -ENOMEM; sa_free() frees.
 */
int selectors_init(struct sa *sa);

/* UNSPEC, SELECTOR, or ICMP_QUOTE (an error about a packet that this SA would not answer, RFC 4301
 * 6.2): closed. `data` is a whole packet that inner_parse() took. */
enum xipsec_reason selectors_check(const struct sa *sa, const __u8 *data,
				   const struct inner *inner);

/* A packet that quotes no other; `addrs`: source and destination as they stand in its IPv4 header.
 * True when selectors that name nets alone accept it; false when they do not, or there are others
 * to ask. */
bool selectors_accept_plain(const struct sa *sa, const __u8 *addrs);

/* The same of IPv6. */
bool selectors_accept_plain6(const struct sa *sa, const __u8 *addrs);

#endif
