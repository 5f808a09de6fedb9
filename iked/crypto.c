// SPDX-License-Identifier: BSD-2-Clause
#include "iked/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdbool.h>

#include "iked/wire.h"
#include "lib/proposal.h"

#define HASHES (IKE_HASH_SHA512 + 1)

static const char *const md_names[HASHES] = {
	[IKE_HASH_SHA1] = "SHA1",
	[IKE_HASH_SHA256] = "SHA256",
	[IKE_HASH_SHA384] = "SHA384",
	[IKE_HASH_SHA512] = "SHA512",
};

static const struct {
	__u16 encr, key_bits;
	const char *name;
} cipher_names[] = {
	{ENCR_AES_GCM_16, 128, "AES-128-GCM"},
	{ENCR_AES_GCM_16, 256, "AES-256-GCM"},
	{ENCR_AES_CBC, 128, "AES-128-CBC"},
	{ENCR_AES_CBC, 256, "AES-256-CBC"},
	{ENCR_CHACHA20_POLY1305, 0, "ChaCha20-Poly1305"},
};

#define CIPHERS (sizeof(cipher_names) / sizeof(cipher_names[0]))

/* For the process's life. */
static struct {
	bool done;
	int err;
	const char *missing;
	EVP_MD *md[HASHES];
	EVP_MAC_CTX *hmac[HASHES];
	EVP_CIPHER *cipher[CIPHERS];
} have;

static EVP_MAC_CTX *hmac_new(EVP_MAC *mac, const char *md)
{
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)md, 0),
		OSSL_PARAM_construct_end(),
	};

	if (ctx && !EVP_MAC_CTX_set_params(ctx, params)) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static const char *fetch_all(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	const char *missing = mac ? NULL : "HMAC";

	for (unsigned int i = IKE_HASH_SHA1; i < HASHES; i++) {
		have.md[i] = EVP_MD_fetch(NULL, md_names[i], NULL);
		have.hmac[i] = hmac_new(mac, md_names[i]);
		if (!have.md[i] || !have.hmac[i])
			missing = md_names[i];
	}
	for (size_t i = 0; i < CIPHERS; i++) {
		have.cipher[i] = EVP_CIPHER_fetch(NULL, cipher_names[i].name, NULL);
		if (!have.cipher[i])
			missing = cipher_names[i].name;
	}
	EVP_MAC_free(mac);
	return missing;
}

int ike_crypto_init(const char **what)
{
	if (!have.done) {
		have.missing = fetch_all();
		have.err = have.missing ? -EIO : 0;
		have.done = true;
	}
	if (have.err && what)
		*what = have.missing;
	return have.err;
}

const EVP_MD *ike_md(unsigned int hash)
{
	ike_crypto_init(NULL);
	return hash < HASHES ? have.md[hash] : NULL;
}

EVP_MAC_CTX *ike_hmac(unsigned int hash)
{
	ike_crypto_init(NULL);
	if (hash >= HASHES || !have.hmac[hash])
		return NULL;
	return EVP_MAC_CTX_dup(have.hmac[hash]);
}

const EVP_CIPHER *ike_cipher(__u16 encr, __u16 key_bits)
{
	ike_crypto_init(NULL);
	for (size_t i = 0; i < CIPHERS; i++)
		if (cipher_names[i].encr == encr && cipher_names[i].key_bits == key_bits)
			return have.cipher[i];
	return NULL;
}
