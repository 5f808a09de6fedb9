/* SPDX-License-Identifier: BSD-2-Clause */
/* prf and prf+ (RFC 7296 2.13) with HMAC-SHA2 (RFC 4868). `prf` is an enum prf_id. */
#ifndef IKED_PRF_H
#define IKED_PRF_H

#include "lib/buf.h"
#include "iked/crypto.h"
#include "lib/proposal.h"

#define PRF_LEN_MAX   64
#define PRF_PARTS_MAX 6 /* of prf_plus() */

/* Bytes of its output, which is also the length of SK_d, SK_pi, SK_pr; 0: not one of ours. */
size_t prf_len(__u16 prf);

/* prf(key, part 0 | part 1 | …): prf_len() bytes to `out`. 0; -EINVAL: no such prf; -EIO. */
int prf(__u16 prf_id, struct bytes key, const struct bytes *parts, unsigned int n, __u8 *out);

/* prf+(key, part 0 | part 1 | …): `len` bytes, at most 255 × prf_len(), of at most
 * PRF_PARTS_MAX parts (else -EINVAL). */
int prf_plus(__u16 prf_id, struct bytes key, const struct bytes *parts, unsigned int n, __u8 *out,
	     size_t len);

#endif
