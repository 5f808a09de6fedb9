// SPDX-License-Identifier: BSD-2-Clause
#include "iked/creds_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/crypto.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define SECURE_HEAP (1 << 20)
#define SECURE_MIN  32

int creds_init(void)
{
	if (CRYPTO_secure_malloc_initialized())
		return 0;
	/* 2: it could not be locked, and works. */
	switch (CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN)) {
	case 0: return -ENOMEM;
	case 2: log_warn("private keys can be swapped out: raise LimitMEMLOCK"); return 0;
	default: return 0;
	}
}

/* Keys of the folders with the passphrases that secrets have for them, then those that lie
 * elsewhere. 0 or -ENOMEM. */
static int load_secrets(struct creds *creds, const struct config *config)
{
	_cleanup_free_ bool *used = calloc(config->n_secrets + 1, sizeof(*used));

	if (!used)
		return -ENOMEM;
	creds->secrets = config->secrets;
	creds->n_secrets = config->n_secrets;
	creds->secret_used = used;
	for (const char *const *in = creds_key_folders; *in; in++)
		creds_each_file(creds, *in, creds_load_private);
	for (unsigned int i = 0; i < config->n_secrets; i++) {
		const struct conn_secret *secret = &config->secrets[i];

		if (secret->kind == CONN_SECRET_IKE)
			creds_add_psk(creds, secret);
		else if (secret->file && !used[i])
			creds_load_key(creds, secret->file, secret);
	}
	creds->secrets = NULL;
	creds->n_secrets = 0;
	creds->secret_used = NULL;
	return 0;
}

void creds_add_conn(struct creds *creds, struct conn *conn)
{
	creds_load_blobs(creds, &conn->local.certs, "x509", false);
	creds_load_blobs(creds, &conn->remote.certs, "x509", false);
	creds_load_blobs(creds, &conn->remote.cacerts, "x509ca", true);
}

static void load_certs(struct creds *creds, struct config *config)
{
	creds_each_file(creds, "x509ca", creds_load_ca);
	creds_each_file(creds, "x509crl", creds_load_crl);
	for (unsigned int i = 0; i < config->n_conns; i++)
		creds_add_conn(creds, &config->conns[i]);
}

struct creds *creds_load(struct config *config)
{
	struct creds *creds = calloc(1, sizeof(*creds));

	if (!creds)
		return NULL;
	snprintf(creds->dir, sizeof(creds->dir), "%s", config->iked.credentials);
	creds->keys = calloc(KEYS_MAX, sizeof(*creds->keys));
	creds->certs = calloc(CAS_MAX, sizeof(*creds->certs));
	creds->ders = calloc(CAS_MAX, sizeof(*creds->ders));
	creds->is_ca = calloc(CAS_MAX, sizeof(*creds->is_ca));
	creds->crls = calloc(CRLS_MAX, sizeof(*creds->crls));
	if (!creds->keys || !creds->certs || !creds->ders || !creds->is_ca || !creds->crls ||
	    load_secrets(creds, config)) {
		creds_free(creds);
		return NULL;
	}
	load_certs(creds, config);
	return creds;
}

void creds_free(struct creds *creds)
{
	if (!creds)
		return;
	creds_free_psks(creds);
	creds_free_keys(creds);
	creds_free_certs(creds);
	free(creds);
}
