// SPDX-License-Identifier: BSD-2-Clause
#include <netinet/in.h>
#include <string.h>

#include "lib/alg.h"

#define NULL_CIPHER "null-"

static const struct alg algs[XIPSEC_ALG_COUNT] = {{.name = "none"},
#define ALG(sym, name, key, auth, salt, iv, icv, align) {name, key, auth, salt, iv, icv, align},
						  XIPSEC_ALGS(ALG)
#undef ALG
};

const struct alg *alg_get(unsigned int alg)
{
	return &algs[alg < XIPSEC_ALG_COUNT ? alg : XIPSEC_ALG_NONE];
}

__u32 alg_key_len(unsigned int alg)
{
	const struct alg *a = alg_get(alg);

	return a->cipher_key + a->salt + a->auth_key;
}

int alg_fits_ah(unsigned int alg)
{
	return alg == XIPSEC_ALG_AES128GMAC || alg == XIPSEC_ALG_AES256GMAC ||
	       (!alg_get(alg)->cipher_key && alg_get(alg)->auth_key);
}

const char *alg_name(unsigned int alg, __u8 l4_proto)
{
	const char *name = alg_get(alg)->name;
	size_t prefix = strlen(NULL_CIPHER);

	if (l4_proto == IPPROTO_AH && !strncmp(name, NULL_CIPHER, prefix))
		name += prefix;
	return name;
}
