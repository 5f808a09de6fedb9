/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ESP is measured against: the crypto library called directly, with nothing around it. All
 * that can be done before (keys, job descriptions) is done before.
 */
#ifndef TOOLS_BENCH_ESP_BARE_H
#define TOOLS_BENCH_ESP_BARE_H

#include "worker/crypto.h"

#define BARE_BURST 64

struct bare;

/* For these ops alone, BARE_BURST of them, with 8 bytes of AAD. `raw` is in KEYMAT's order. NULL:
 * not to be had here. */
struct bare *bare_new(enum xipsec_alg alg, enum xipsec_backend backend, const __u8 *raw,
		      struct crypto_op *ops);
void bare_free(struct bare *bare);

void bare_seal(struct bare *bare);
/* Returns how many tags fit. */
unsigned int bare_open(struct bare *bare);

#endif
