// SPDX-License-Identifier: BSD-2-Clause
/* Transforms ⇄ the algorithms of the data path (XIPSEC_ALGS). */
#include <errno.h>

#include "lib/proposal.h"

static const struct {
	__u8 alg;
	__u16 encr, key_bits, integ;
} algs[] = {
	{XIPSEC_ALG_AES128GCM16, ENCR_AES_GCM_16, 128, 0},
	{XIPSEC_ALG_AES256GCM16, ENCR_AES_GCM_16, 256, 0},
	{XIPSEC_ALG_AES128GCM16IIV, ENCR_AES_GCM_16_IIV, 128, 0},
	{XIPSEC_ALG_AES256GCM16IIV, ENCR_AES_GCM_16_IIV, 256, 0},
	{XIPSEC_ALG_AES128GMAC, ENCR_NULL_AUTH_AES_GMAC, 128, 0},
	{XIPSEC_ALG_AES256GMAC, ENCR_NULL_AUTH_AES_GMAC, 256, 0},
	{XIPSEC_ALG_CHACHA20POLY1305, ENCR_CHACHA20_POLY1305, 0, 0},
	{XIPSEC_ALG_CHACHA20POLY1305IIV, ENCR_CHACHA20_POLY1305_IIV, 0, 0},
	{XIPSEC_ALG_AES128CCM16, ENCR_AES_CCM_16, 128, 0},
	{XIPSEC_ALG_AES256CCM16, ENCR_AES_CCM_16, 256, 0},
	{XIPSEC_ALG_AES128CCM8, ENCR_AES_CCM_8, 128, 0},
	{XIPSEC_ALG_AES256CCM8, ENCR_AES_CCM_8, 256, 0},
	{XIPSEC_ALG_AES128CCM8IIV, ENCR_AES_CCM_8_IIV, 128, 0},
	{XIPSEC_ALG_AES256CCM8IIV, ENCR_AES_CCM_8_IIV, 256, 0},
#define WITH_HMAC(sym, encr, bits)                                                \
	{XIPSEC_ALG_##sym##_SHA256, encr, bits, INTEG_HMAC_SHA2_256_128},         \
		{XIPSEC_ALG_##sym##_SHA384, encr, bits, INTEG_HMAC_SHA2_384_192}, \
	{                                                                         \
		XIPSEC_ALG_##sym##_SHA512, encr, bits, INTEG_HMAC_SHA2_512_256    \
	}
	WITH_HMAC(AES128CBC, ENCR_AES_CBC, 128),
	WITH_HMAC(AES256CBC, ENCR_AES_CBC, 256),
	WITH_HMAC(AES128CTR, ENCR_AES_CTR, 128),
	WITH_HMAC(AES256CTR, ENCR_AES_CTR, 256),
	WITH_HMAC(NULL, ENCR_NULL, 0),
	/* AH: no cipher at all */
	{XIPSEC_ALG_NULL_SHA256, 0, 0, INTEG_HMAC_SHA2_256_128},
	{XIPSEC_ALG_NULL_SHA384, 0, 0, INTEG_HMAC_SHA2_384_192},
	{XIPSEC_ALG_NULL_SHA512, 0, 0, INTEG_HMAC_SHA2_512_256},
	{XIPSEC_ALG_AES128GMAC, 0, 0, INTEG_AES_128_GMAC},
	{XIPSEC_ALG_AES256GMAC, 0, 0, INTEG_AES_256_GMAC},
};

#define COUNT (sizeof(algs) / sizeof(algs[0]))

enum xipsec_alg proposal_alg(const struct proposal *chosen)
{
	const struct transform *encr = proposal_find(chosen, TRANSFORM_ENCR);
	__u16 integ = proposal_id(chosen, TRANSFORM_INTEG);

	if (chosen->protocol != PROPOSAL_ESP && chosen->protocol != PROPOSAL_AH)
		return XIPSEC_ALG_NONE;
	if (!encr != (chosen->protocol == PROPOSAL_AH))
		return XIPSEC_ALG_NONE;
	for (size_t i = 0; i < COUNT; i++)
		if (algs[i].integ == integ && algs[i].encr == (encr ? encr->id : 0) &&
		    algs[i].key_bits == (encr ? encr->key_bits : 0))
			return algs[i].alg;
	return XIPSEC_ALG_NONE;
}

int proposal_of_alg(enum proposal_protocol protocol, enum xipsec_alg alg, struct proposal *out)
{
	struct proposal p = {.number = 1, .protocol = (__u8)protocol};

	for (size_t i = 0; i < COUNT; i++) {
		if (algs[i].alg != alg || !algs[i].encr != (protocol == PROPOSAL_AH))
			continue;
		if (algs[i].encr)
			p.t[p.n++] = (struct transform){.type = TRANSFORM_ENCR,
							.id = algs[i].encr,
							.key_bits = algs[i].key_bits};
		if (algs[i].integ)
			p.t[p.n++] =
				(struct transform){.type = TRANSFORM_INTEG, .id = algs[i].integ};
		p.t[p.n++] = (struct transform){.type = TRANSFORM_ESN, .id = ESN_NO};
		*out = p;
		return 0;
	}
	return -EINVAL;
}
