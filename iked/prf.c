// SPDX-License-Identifier: BSD-2-Clause
#include "iked/prf.h"

#include <errno.h>
#include <string.h>

#include "iked/wire.h"

/* The hash of prf and, with the same numbering of lengths, its output. */
static unsigned int prf_hash(__u16 prf_id)
{
	switch (prf_id) {
	case PRF_HMAC_SHA2_256: return IKE_HASH_SHA256;
	case PRF_HMAC_SHA2_384: return IKE_HASH_SHA384;
	case PRF_HMAC_SHA2_512: return IKE_HASH_SHA512;
	default: return 0;
	}
}

size_t prf_len(__u16 prf_id)
{
	switch (prf_id) {
	case PRF_HMAC_SHA2_256: return 32;
	case PRF_HMAC_SHA2_384: return 48;
	case PRF_HMAC_SHA2_512: return 64;
	default: return 0;
	}
}

/* A key of no bytes is one, but OpenSSL takes NULL for "keep the last". */
static struct bytes key_of(struct bytes key)
{
	static const __u8 nothing;

	return key.data ? key : BYTES(&nothing, 0);
}

int prf(__u16 prf_id, struct bytes key, const struct bytes *parts, unsigned int n, __u8 *out)
{
	size_t len = prf_len(prf_id), got;
	EVP_MAC_CTX *ctx;
	int ok;

	if (!len)
		return -EINVAL;
	ctx = ike_hmac(prf_hash(prf_id));
	key = key_of(key);
	ok = ctx && EVP_MAC_init(ctx, key.data, key.len, NULL);
	for (unsigned int i = 0; ok && i < n; i++)
		ok = !parts[i].len || EVP_MAC_update(ctx, parts[i].data, parts[i].len);
	ok = ok && EVP_MAC_final(ctx, out, &got, len);
	EVP_MAC_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

/* T1 = prf (K, S | 0x01), T2 = prf (K, T1 | S | 0x02), … (RFC 7296 2.13). */
static int prf_plus_block(__u16 prf_id, struct bytes key, struct bytes last,
			  const struct bytes *parts, unsigned int n, __u8 number, __u8 *out)
{
	struct bytes all[PRF_PARTS_MAX + 2];

	all[0] = last;
	memcpy(all + 1, parts, n * sizeof(*parts));
	all[n + 1] = BYTES(&number, 1);
	return prf(prf_id, key, all, n + 2, out);
}

int prf_plus(__u16 prf_id, struct bytes key, const struct bytes *parts, unsigned int n, __u8 *out,
	     size_t len)
{
	size_t block = prf_len(prf_id);
	__u8 t[PRF_LEN_MAX];
	struct bytes last = BYTES_NONE;
	int err = 0;

	if (!block || n > PRF_PARTS_MAX || len > 255 * block)
		return -EINVAL;
	for (__u8 number = 1; !err && len; number++) {
		size_t take = len < block ? len : block;

		err = prf_plus_block(prf_id, key, last, parts, n, number, t);
		if (err)
			break;
		memcpy(out, t, take);
		last = BYTES(t, block);
		out += take;
		len -= take;
	}
	OPENSSL_cleanse(t, sizeof(t));
	return err;
}
