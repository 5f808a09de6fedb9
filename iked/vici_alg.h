/* SPDX-License-Identifier: BSD-2-Clause */
/* Algorithms by the names that VICI's listings use (IANA's, as strongSwan writes them). */
#ifndef IKED_VICI_ALG_H
#define IKED_VICI_ALG_H

#include "lib/vici_msg.h"
#include "lib/proposal.h"

/* "AES_GCM_16", "HMAC_SHA2_256_128", "PRF_HMAC_SHA2_256", "CURVE_25519". NULL: not known. */
const char *vici_alg_name(enum transform_type type, __u16 id);

/* encr-alg, encr-keysize, integ-alg, ... of what was chosen; 0 is left out. */
void vici_put_suite(struct vici_writer *w, __u16 encr, __u16 key_bits, __u16 integ, __u16 prf,
		    __u16 ke);

/* The answer of get-algorithms: sections of names, each with the library that has it. */
void vici_put_algorithms(struct vici_writer *w);

#endif
