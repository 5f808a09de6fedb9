// SPDX-License-Identifier: BSD-2-Clause
#include "iked/creds_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "lib/log.h"

/* Passphrase for PEM_read_bio_PrivateKey(): that of the secret, or none at all; never a prompt. */
static int passphrase(char *buf, int size, int rwflag, void *ctx)
{
	const struct conn_secret *secret = ctx;

	if (!secret || !secret->data || secret->len > (size_t)size)
		return -1;
	memcpy(buf, secret->data, secret->len);
	return (int)secret->len;
}

static EVP_PKEY *parse_key(const __u8 *data, size_t len, const struct conn_secret *secret)
{
	BIO *bio = BIO_new_mem_buf(data, (int)len);
	const unsigned char *at = data;
	EVP_PKEY *key = NULL;

	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, passphrase, (void *)secret);
	BIO_free(bio);
	if (!key)
		key = d2i_AutoPrivateKey(NULL, &at, (long)len);
	ERR_clear_error();
	return key;
}

static bool key_usable(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC") ||
	       EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
}

void creds_load_key(struct creds *creds, const char *name, const struct conn_secret *secret)
{
	__u8 *data = NULL;
	EVP_PKEY *key;
	size_t len;

	if (creds->n_keys >= KEYS_MAX || creds_read_file(creds, "private", name, true, &data, &len))
		return;
	key = parse_key(data, len, secret);
	OPENSSL_cleanse(data, len);
	free(data);
	if (!key || !key_usable(key)) {
		log_error("%s: no private key that can be used (RSA, ECDSA, Ed25519, Ed448, in PEM "
			  "or DER), or its passphrase is another",
			  name);
		EVP_PKEY_free(key);
		return;
	}
	creds->keys[creds->n_keys++] = key;
}

bool creds_add_key(struct creds *creds, const char *name, struct bytes data)
{
	EVP_PKEY *key = parse_key(data.data, data.len, NULL);

	if (key && key_usable(key) && creds->n_keys < KEYS_MAX) {
		creds->keys[creds->n_keys++] = key;
		return true;
	}
	log_error("%s private key cannot be used", name);
	EVP_PKEY_free(key);
	return false;
}

bool creds_key_id(struct bytes data, char id[CREDS_KEY_ID_LEN])
{
	EVP_PKEY *key = parse_key(data.data, data.len, NULL);
	unsigned char *der = NULL, hash[20];
	int len = key && key_usable(key) ? i2d_PUBKEY(key, &der) : -1;
	bool ok = len > 0 && EVP_Digest(der, len, hash, NULL, EVP_sha1(), NULL) == 1;

	for (unsigned int i = 0; ok && i < sizeof(hash); i++)
		snprintf(id + 2 * i, 3, "%02x", hash[i]);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return ok;
}

/* Does a secret's `file` mean that path of a folder? */
static bool is_file(const char *file, const char *path)
{
	return !strcmp(file, path) || !strcmp(file, strrchr(path, '/') + 1);
}

void creds_load_private(struct creds *creds, const char *path)
{
	const struct conn_secret *found = NULL;

	for (unsigned int i = 0; i < creds->n_secrets; i++) {
		const struct conn_secret *secret = &creds->secrets[i];

		if (secret->kind == CONN_SECRET_IKE || !secret->file ||
		    !is_file(secret->file, path))
			continue;
		creds->secret_used[i] = true;
		found = secret;
	}
	creds_load_key(creds, path, found);
}

EVP_PKEY *creds_key(const struct creds *creds, struct bytes cert)
{
	int place = creds_place(creds, cert);
	EVP_PKEY *public = place < 0 ? NULL : X509_get0_pubkey(creds->certs[place]), *found = NULL;

	for (unsigned int i = 0; i < creds->n_keys && public && !found; i++)
		if (EVP_PKEY_eq(creds->keys[i], public) == 1)
			found = creds->keys[i];
	ERR_clear_error();
	return found;
}

void creds_free_keys(struct creds *creds)
{
	for (unsigned int i = 0; i < creds->n_keys; i++)
		EVP_PKEY_free(creds->keys[i]);
	free(creds->keys);
}
