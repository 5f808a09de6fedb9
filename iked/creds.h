/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What proves who this machine is: private keys, preshared keys, its certificates; and the CA
 * certificates and CRLs that prove who peers are. In the parent alone. Secrets stand in libcrypto's
 * secure heap (locked, in no core dump), and are wiped with it.
 *
 * Files: names that do not begin with / are looked for in the folder of their kind below
 * `credentials` (x509, x509ca, private), then in `credentials` itself. All of private/, x509ca/ and
 * x509crl/ is read, as strongSwan does.
 */
#ifndef IKED_CREDS_H
#define IKED_CREDS_H

#include <openssl/evp.h>

#include "lib/buf.h"
#include "iked/ident.h"
#include "lib/config.h"

#define CREDS_CHAIN_MAX CONN_CERTS_MAX

struct creds;

/* Once a process, before the first creds_load(): the secure heap. 0 or -ENOMEM. */
int creds_init(void);

/* Reads all that `config` and its folders name; also reads its certificates in (conn_blob.data).
 * What cannot be read is a log line and not there. NULL: no memory. */
struct creds *creds_load(struct config *config);
void creds_free(struct creds *creds);

/* More of them, for as long as `creds` lives: what clients loaded. What cannot be used is a log
 * line. `name` is for people. */
void creds_add_psk(struct creds *creds, const struct conn_secret *secret);
bool creds_add_key(struct creds *creds, const char *name, struct bytes data);
/* The certificates that a connection names: reads them in, as creds_load(). */
void creds_add_conn(struct creds *creds, struct conn *conn);
bool creds_add_cert(struct creds *creds, const char *name, struct bytes data, bool ca);
void creds_add_crl(struct creds *creds, struct bytes data);

/* The SHA-1 of a private key's SubjectPublicKeyInfo in hex, which is how clients call keys: 40
 * digits and a 0. False: it is no key that can be used. */
#define CREDS_KEY_ID_LEN 41
bool creds_key_id(struct bytes data, char id[CREDS_KEY_ID_LEN]);

/* Every certificate: DER, is it a CA's, have we its key? */
unsigned int creds_certs(const struct creds *creds);
struct bytes creds_cert(const struct creds *creds, unsigned int i, bool *ca, bool *has_key);

/* The preshared key between `me` and `other` (either may be NULL: not known). The one whose owners
 * fit `other` best, then `me`; one without owners is for everybody, one of `me` alone for whoever
 * `other` is, one that names somebody besides `me` for no other than those. BYTES_NONE: there is
 * none. */
struct bytes creds_psk(const struct creds *creds, const struct ident *me,
		       const struct ident *other);

/* The private key of one of the certificates above (DER). NULL: there is none. It stays theirs. */
EVP_PKEY *creds_key(const struct creds *creds, struct bytes cert);

/* The chain of a connection's own end, DER: its certificate, then what leads to a root, which is
 * not sent. Returns how many. What it gives lives as long as `creds`. */
unsigned int creds_chain(const struct creds *creds, const struct conn *conn,
			 struct bytes chain[CREDS_CHAIN_MAX]);

/* CA certificates (DER), and CRLs by name of their file. */
unsigned int creds_cas(const struct creds *creds);
struct bytes creds_ca(const struct creds *creds, unsigned int i);
unsigned int creds_crls(const struct creds *creds);
/* A descriptor for reading, or -errno after a log line: -ELOOP for a symbolic link (O_NOFOLLOW),
 * -EINVAL for what is no regular file. */
int creds_crl_open(const struct creds *creds, unsigned int i);

#endif
