/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key exchange: MODP 2048 to 8192 (RFC 3526), ECP 256 to 521 (RFC 5903), X25519 and X448 (RFC
 * 8031). A group is an enum ke_id. Public values as in the KE payload: big-endian of the prime's
 * length; x | y without a leading 4 (RFC 5903 7); little-endian as RFC 7748.
 */
#ifndef IKED_DH_H
#define IKED_DH_H

#include "lib/buf.h"
#include "lib/proposal.h"

#define DH_PUBLIC_MAX 1024

/* A key of one exchange, never used for a second (RFC 7296 2.12). */
struct dh;

bool dh_supported(__u16 group);
size_t dh_public_len(__u16 group); /* 0: not one of ours */

/* A fresh pair. 0; -EINVAL: no such group; -ENOMEM, -EIO. */
int dh_new(__u16 group, struct dh **out);

/* With this private value (of tests: published vectors). Big-endian; X25519, X448: as RFC 7748. */
int dh_of_private(__u16 group, struct bytes private, struct dh **out);

void dh_free(struct dh *dh); /* wiped; NULL is fine */
void dh_freep(struct dh **dh);
#define _cleanup_dh_ __attribute__((cleanup(dh_freep)))

__u16 dh_group(const struct dh *dh);
struct bytes dh_public(const struct dh *dh); /* lives as long as dh */

/*
 * g^ir with the peer's public value, in the form of RFC 7296 2.14 (MODP: of the prime's length;
 * ECP: x alone, RFC 5903 9). 0; -EBADMSG: the peer's value has another length or is not allowed
 * (RFC 6989: out of range, 1 or p − 1, not on the curve, all-zero result): INVALID_SYNTAX; -EIO.
 */
int dh_shared(const struct dh *dh, struct bytes peer, struct secret *out);

#endif
