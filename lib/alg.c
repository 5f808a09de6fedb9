// SPDX-License-Identifier: BSD-2-Clause
#include <netinet/in.h>
#include <string.h>

#include "lib/alg.h"

#define NULL_CIPHER "null-"
#define CCM_FLAGS   3 /* first byte of a counter block with 4 bytes of counter */

static const struct alg algs[XIPSEC_ALG_COUNT] = {{.name = "none"},
#define ALG(sym, name, key, auth, salt, iv, icv, align) {name, key, auth, salt, iv, icv, align},
						  XIPSEC_ALGS(ALG)
#undef ALG
};

const struct alg *alg_get(unsigned int alg)
{
	return &algs[alg < XIPSEC_ALG_COUNT ? alg : XIPSEC_ALG_NONE];
}

/* In the order of XIPSEC_ALGS: the last of each kind. */
enum alg_kind alg_kind(unsigned int alg)
{
	if (alg == XIPSEC_ALG_NONE || alg >= XIPSEC_ALG_COUNT)
		return ALG_NONE;
	if (alg <= XIPSEC_ALG_AES256GCM16IIV)
		return ALG_GCM;
	if (alg <= XIPSEC_ALG_AES256GMAC)
		return ALG_GMAC;
	if (alg <= XIPSEC_ALG_CHACHA20POLY1305IIV)
		return ALG_CHACHA;
	if (alg <= XIPSEC_ALG_AES256CCM8IIV)
		return ALG_CCM;
	if (alg <= XIPSEC_ALG_AES256CBC_SHA512)
		return ALG_CBC_HMAC;
	return alg <= XIPSEC_ALG_AES256CTR_SHA512 ? ALG_CTR_HMAC : ALG_NULL_HMAC;
}

__u32 alg_key_len(unsigned int alg)
{
	const struct alg *a = alg_get(alg);

	return a->cipher_key + a->salt + a->auth_key;
}

__u32 alg_nonces(unsigned int alg, const __u8 *key, __u32 key_len, __u8 out[XIPSEC_KEY_MAX])
{
	const struct alg *a = alg_get(alg);
	const __u32 pad = XIPSEC_SALT_MAX - a->salt;

	if (key_len > XIPSEC_KEY_MAX)
		key_len = XIPSEC_KEY_MAX;
	if (!a->salt || key_len != alg_key_len(alg)) {
		memcpy(out, key, key_len);
		return key_len;
	}
	memcpy(out, key, a->cipher_key);
	memset(out + a->cipher_key, CCM_FLAGS, pad);
	memcpy(out + a->cipher_key + pad, key + a->cipher_key, a->salt);
	return a->cipher_key + XIPSEC_SALT_MAX;
}

int alg_fits_ah(unsigned int alg)
{
	return alg_kind(alg) == ALG_GMAC || alg_kind(alg) == ALG_NULL_HMAC;
}

const char *alg_name(unsigned int alg, __u8 l4_proto)
{
	const char *name = alg_get(alg)->name;
	size_t prefix = strlen(NULL_CIPHER);

	if (l4_proto == IPPROTO_AH && !strncmp(name, NULL_CIPHER, prefix))
		name += prefix;
	return name;
}
