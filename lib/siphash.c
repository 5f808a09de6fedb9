// SPDX-License-Identifier: BSD-2-Clause
#include "lib/siphash.h"

#include <endian.h>
#include <string.h>

static __u64 rotate(__u64 x, int n)
{
	return x << n | x >> (64 - n);
}

static void rounds(__u64 v[4], int n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static void take(__u64 v[4], __u64 word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

__u64 siphash(const struct siphash_key *key, const void *data, size_t len)
{
	__u64 v[4] = {key->half[0] ^ 0x736f6d6570736575ULL, key->half[1] ^ 0x646f72616e646f6dULL,
		      key->half[0] ^ 0x6c7967656e657261ULL, key->half[1] ^ 0x7465646279746573ULL};
	const __u8 *at = data;
	__u64 word, last = (__u64)len << 56;

	for (size_t left = len / 8; left; left--, at += 8) {
		memcpy(&word, at, 8);
		take(v, le64toh(word));
	}
	for (size_t i = 0; i < len % 8; i++)
		last |= (__u64)at[i] << 8 * i;
	take(v, last);
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
