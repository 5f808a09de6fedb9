/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-2-4 (Aumasson, Bernstein 2012): for tables whose keys others choose. */
#ifndef LIB_SIPHASH_H
#define LIB_SIPHASH_H

#include <linux/types.h>
#include <stddef.h>

/* `key` is random and secret, or the other end can aim at one bucket. */
struct siphash_key {
	__u64 half[2];
};

__u64 siphash(const struct siphash_key *key, const void *data, size_t len);

#endif
