/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands behind creds.h: one file each for files, preshared keys, private keys, certificates.
 */
#ifndef IKED_CREDS_INSIDE_H
#define IKED_CREDS_INSIDE_H

#include <openssl/x509.h>

#include "iked/creds.h"

#define KEYS_MAX 1024
#define CAS_MAX  1024
#define CRLS_MAX 1024

struct psk {
	struct ident **owners;
	unsigned int n_owners;
	__u8 *data; /* of the secure heap */
	size_t len;
};

/* In a file, or as bytes that a client brought. */
struct crl {
	char *path; /* NULL: data */
	__u8 *data;
	size_t len;
};

struct creds {
	struct psk *psks;
	unsigned int n_psks;
	EVP_PKEY **keys;
	unsigned int n_keys;
	X509 **certs; /* everything that may stand in a chain: CAs, and what connections name */
	struct bytes *ders;
	bool *is_ca;
	unsigned int n_certs;
	struct crl *crls;
	unsigned int n_crls;
	char dir[256];
	const struct conn_secret *secrets; /* of the config, while it is read */
	unsigned int n_secrets;
	bool *secret_used; /* of each: a key of a folder was read with it */
};

/* ------------------------------------------------------------------ creds_file.c */

/* Where private keys are looked for, in this order: those of swanctl. Ends with NULL. */
extern const char *const creds_key_folders[];

/* A file of the folder `kind` (the first of creds_key_folders: of any of them), of the one above,
 * or by its whole path. *data is for free(). `secret`: nobody but its owner may read it. 0 or
 * -errno after a log line. */
int creds_read_file(const struct creds *creds, const char *kind, const char *name, bool secret,
		    __u8 **data, size_t *len);
/* Each file of a folder, in the order of their names. */
void creds_each_file(struct creds *creds, const char *kind,
		     void (*each)(struct creds *creds, const char *path));

/* ------------------------------------------------------------------ creds_psk.c, creds_key.c */

void creds_free_psks(struct creds *creds);

/* `secret` has its passphrase; NULL: none. */
void creds_load_key(struct creds *creds, const char *name, const struct conn_secret *secret);
void creds_load_private(struct creds *creds, const char *path);
void creds_free_keys(struct creds *creds);

/* ------------------------------------------------------------------ creds_cert.c */

/* The place of a certificate that we have; -1: we have it not. */
int creds_place(const struct creds *creds, struct bytes der);
void creds_load_ca(struct creds *creds, const char *path);
void creds_load_crl(struct creds *creds, const char *path);
/* Reads files in, so that the child gets bytes. */
void creds_load_blobs(struct creds *creds, struct conn_blobs *blobs, const char *kind, bool ca);
void creds_free_certs(struct creds *creds);

#endif
