// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "iked/crypto.h"
#include "iked/message.h"

int ike_nat_hash(__be64 spi_i, __be64 spi_r, struct bytes addr, __be16 port,
		 __u8 out[IKE_NAT_HASH_LEN])
{
	const EVP_MD *sha1 = ike_md(IKE_HASH_SHA1);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned int len;
	int ok;

	ok = ctx && sha1 && EVP_DigestInit_ex2(ctx, sha1, NULL) &&
	     EVP_DigestUpdate(ctx, &spi_i, sizeof(spi_i)) &&
	     EVP_DigestUpdate(ctx, &spi_r, sizeof(spi_r)) &&
	     EVP_DigestUpdate(ctx, addr.data, addr.len) &&
	     EVP_DigestUpdate(ctx, &port, sizeof(port)) && EVP_DigestFinal_ex(ctx, out, &len);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}
