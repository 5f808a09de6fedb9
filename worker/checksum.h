/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Sums are over 16-bit
 * words as they stand in memory, so the same code is right on either byte order.
 */
#ifndef WORKER_CHECKSUM_H
#define WORKER_CHECKSUM_H

#include <arpa/inet.h>
#include <string.h>
#include <linux/types.h>

typedef unsigned __int128 csum_wide;

/* From 128 bits to 34: room for as many more words as a packet can have. */
static inline __u64 csum_narrow(csum_wide sum)
{
	__u64 low = (__u64)sum, high = (__u64)(sum >> 64);

	return (low & 0xffffffff) + (low >> 32) + (high & 0xffffffff) + (high >> 32);
}

/* A sum over `len` bytes, which may be odd, on top of `sum`. Not folded, and far from overflow
 * below 16 GB. Reads those bytes alone. */
typedef __u64 csum_add_fn(__u64 sum, const void *data, __u32 len);

/* By steps that every CPU has; for few bytes the quickest, where their number is known when this is
 * compiled. */
static inline __u64 csum_add_words(__u64 sum, const void *data, __u32 len)
{
	const __u8 *at = data;
	csum_wide one = 0, other = 0;
	__u64 pair[2];
	__u32 word;
	__u16 half = 0;

	/* Two sums, so that one addition need not wait for the other; in 128 bits, where a carry
	 * costs an instruction and not three. */
	for (; len >= 16; len -= 16, at += 16) {
		memcpy(pair, at, 16);
		one += pair[0];
		other += pair[1];
	}
	sum += csum_narrow(one + other);
	for (; len >= 4; len -= 4, at += 4) {
		memcpy(&word, at, 4);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&half, at, 2);
		sum += half;
		at += 2;
		len -= 2;
	}
	if (len) {
		half = 0;
		memcpy(&half, at, 1);
		sum += half;
	}
	return sum;
}

/* The same by what else CPUs have, the widest last. */
struct csum_way {
	const char *name; /* as __builtin_cpu_supports() knows it */
	csum_add_fn *add;
	int (*here)(void); /* can this CPU do it? */
};

extern const struct csum_way csum_ways[];
extern const unsigned int csum_n_ways;

/* The widest that there is here, chosen when the program starts. */
extern csum_add_fn *csum_add_many;

static inline __u64 csum_add(__u64 sum, const void *data, __u32 len)
{
	if (__builtin_constant_p(len) && len <= 64)
		return csum_add_words(sum, data, len);
	return csum_add_many(sum, data, len);
}

/* A sum of up to 65,536 words to 16 bits, not complemented. Only a sum of 0 folds to 0. Each half
 * plus the other, the carry back in: what is wanted is in the upper half. */
static inline __u16 csum_fold32(__u32 sum)
{
	sum += sum << 16 | sum >> 16;
	return (__u16)(sum >> 16);
}

/* The same for any sum. */
static inline __u16 csum_fold(__u64 sum)
{
	sum += sum << 32 | sum >> 32;
	return csum_fold32((__u32)(sum >> 32));
}

/* The pseudo-header (RFC 768, RFC 8200 8.1) of `len` bytes of `proto` behind the IP header at `ip`,
 * by the addresses that stand in that. Length and protocol in one number: where they stand in their
 * 32 bits does not matter to a sum of 16-bit words. */
static inline __u64 csum_pseudo(const __u8 *ip, __u8 proto, __u32 len)
{
	__u64 sum = htonl(len + proto);

	return ip[0] >> 4 == 4 ? csum_add(sum, ip + 12, 8) : csum_add(sum, ip + 8, 32);
}

/* Makes the checksum `off` bytes into the `len` bytes of TCP, UDP or ICMPv6 at `l4` anew, `sum`
 * being that of the pseudo-header. The field is taken off the sum, not out of the packet: reads
 * would wait for what was just written. For UDP 0 would mean that there is none (RFC 768). */
static inline void csum_renew(__u8 *l4, __u32 len, __u32 off, __u64 sum, int udp)
{
	__u16 check;

	memcpy(&check, l4 + off, 2);
	check = (__u16)~csum_fold(csum_add(sum + (__u16)~check, l4, len));
	if (!check && udp)
		check = 0xffff;
	memcpy(l4 + off, &check, 2);
}

/* The checksum field at `check` after one word under it went from `old` to `new`, words as in
 * memory (RFC 1624, eqn. 3). A field that was wrong stays wrong. */
static inline void csum_replace(__u8 *check, __u16 old, __u16 new)
{
	__u16 field;

	memcpy(&field, check, 2);
	field = (__u16)~csum_fold32((__u32)(__u16)~field + (__u16)~old + new);
	memcpy(check, &field, 2);
}

#endif
