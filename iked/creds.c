// SPDX-License-Identifier: BSD-2-Clause
#include "iked/creds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "iked/conn_pack.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define SECURE_HEAP (1 << 20)
#define SECURE_MIN  32
#define FILE_MAX    (64 << 10) /* of a certificate or key */
#define KEYS_MAX    1024
#define CAS_MAX     1024
#define CRLS_MAX    1024

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
};

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

/* ------------------------------------------------------------------ files */

/* Not by a link that somebody else put there. A descriptor or -errno. */
static int open_file(const struct creds *creds, const char *kind, const char *name,
		     char path[PATH_MAX])
{
	int fd;

	if (name[0] == '/') {
		snprintf(path, PATH_MAX, "%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	snprintf(path, PATH_MAX, "%s/%s/%s", creds->dir, kind, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	snprintf(path, PATH_MAX, "%s/%s", creds->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* *data is for free(). `secret`: nobody but its owner may read it. */
static int read_file(const struct creds *creds, const char *kind, const char *name, bool secret,
		     __u8 **data, size_t *len)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = open_file(creds, kind, name, path);
	struct stat st;
	int err = fd < 0 ? fd : 0;

	if (!err && fstat(fd, &st) < 0)
		err = -errno;
	if (!err && secret && st.st_mode & 077) {
		log_error("%s: others than its owner may read it (mode %04o): it is not used; "
			  "chmod 600",
			  path, st.st_mode & 07777);
		return -EPERM;
	}
	if (!err)
		err = conn_read_all(fd, FILE_MAX, data, len);
	if (err)
		log_error("%s: %s", path, strerror(-err));
	return err;
}

/* Each file of a folder, in the order of their names. */
static void each_file(struct creds *creds, const char *kind,
		      void (*each)(struct creds *creds, const char *path))
{
	struct dirent **list = NULL;
	char path[PATH_MAX];
	int n;

	snprintf(path, sizeof(path), "%s/%s", creds->dir, kind);
	n = scandir(path, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s/%s", creds->dir, kind, list[i]->d_name);
		if (list[i]->d_name[0] != '.' && !stat(path, &st) && S_ISREG(st.st_mode))
			each(creds, path);
		free(list[i]);
	}
	free(list);
}

/* ------------------------------------------------------------------ preshared keys */

static bool psk_owner(struct psk *psk, const char *name, const char *text)
{
	char why[160] = "";
	int err = ident_parse(text, &psk->owners[psk->n_owners], why, sizeof(why));

	if (err)
		log_error("secret %s: identity %s: %s", name, text, why);
	else
		psk->n_owners++;
	return !err;
}

/* A secret that lost an owner must not become one for everybody. */
void creds_add_psk(struct creds *creds, const struct conn_secret *secret)
{
	struct psk *psks, *psk;

	if (!secret->data || !secret->len)
		return;
	psks = realloc(creds->psks, (creds->n_psks + 1) * sizeof(*psks));
	if (!psks) {
		log_error("secret %s: no memory", secret->name);
		return;
	}
	creds->psks = psks;
	psk = &psks[creds->n_psks];
	memset(psk, 0, sizeof(*psk));
	psk->owners = calloc(secret->owners.n + 1, sizeof(*psk->owners));
	psk->data = OPENSSL_secure_malloc(secret->len);
	if (!psk->owners || !psk->data) {
		log_error("secret %s: no memory", secret->name);
		OPENSSL_secure_free(psk->data);
		free(psk->owners);
		return;
	}
	memcpy(psk->data, secret->data, secret->len);
	psk->len = secret->len;
	creds->n_psks++;
	for (unsigned int i = 0; i < secret->owners.n; i++)
		if (!psk_owner(psk, secret->name, secret->owners.text[i]))
			psk->len = 0;
}

/* How well it is that one's: 0: not at all. */
static int owned_by(const struct psk *psk, const struct ident *id)
{
	int best = 0;

	for (unsigned int i = 0; i < psk->n_owners && id; i++) {
		int match = ident_match(psk->owners[i], id);

		best = match > best ? match : best;
	}
	return best;
}

struct bytes creds_psk(const struct creds *creds, const struct ident *me, const struct ident *other)
{
	struct bytes best = BYTES_NONE;
	int best_me = -1, best_other = -1;

	for (unsigned int i = 0; i < creds->n_psks; i++) {
		const struct psk *psk = &creds->psks[i];
		int of_me = owned_by(psk, me), of_other = owned_by(psk, other);

		if (!psk->len || (psk->n_owners && !of_me && !of_other))
			continue;
		if (of_other > best_other || (of_other == best_other && of_me > best_me)) {
			best = BYTES(psk->data, psk->len);
			best_me = of_me;
			best_other = of_other;
		}
	}
	return best;
}

/* ------------------------------------------------------------------ private keys */

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

static void load_key(struct creds *creds, const char *name, const struct conn_secret *secret)
{
	__u8 *data = NULL;
	EVP_PKEY *key;
	size_t len;

	if (creds->n_keys >= KEYS_MAX || read_file(creds, "private", name, true, &data, &len))
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

static void load_private(struct creds *creds, const char *path)
{
	load_key(creds, path, NULL);
}

/* The place of a certificate that we have; -1: we have it not. Reading one takes 85 us, most of it
 * for the key in it, and this is asked with each AUTH. */
static int place_of(const struct creds *creds, struct bytes der)
{
	for (unsigned int i = 0; i < creds->n_certs; i++)
		if (bytes_equal(creds->ders[i], der))
			return (int)i;
	return -1;
}

EVP_PKEY *creds_key(const struct creds *creds, struct bytes cert)
{
	int place = place_of(creds, cert);
	EVP_PKEY *public = place < 0 ? NULL : X509_get0_pubkey(creds->certs[place]), *found = NULL;

	for (unsigned int i = 0; i < creds->n_keys && public && !found; i++)
		if (EVP_PKEY_eq(creds->keys[i], public) == 1)
			found = creds->keys[i];
	ERR_clear_error();
	return found;
}

/* ------------------------------------------------------------------ certificates */

/* Owns `x509`. The place of it; -1: not taken. */
static int add_cert(struct creds *creds, X509 *x509, bool ca)
{
	unsigned char *der = NULL;
	int len;

	for (unsigned int i = 0; i < creds->n_certs; i++) {
		if (X509_cmp(creds->certs[i], x509) == 0) {
			creds->is_ca[i] |= ca;
			X509_free(x509);
			return (int)i;
		}
	}
	len = creds->n_certs < CAS_MAX ? i2d_X509(x509, &der) : -1;
	if (len < 0) {
		X509_free(x509);
		return -1;
	}
	creds->certs[creds->n_certs] = x509;
	creds->ders[creds->n_certs] = BYTES(der, (size_t)len);
	creds->is_ca[creds->n_certs] = ca;
	return (int)creds->n_certs++;
}

/* Every certificate in it, PEM or DER. The place of the first; -1: none. */
static int add_certs(struct creds *creds, const char *name, const __u8 *data, size_t len, bool ca)
{
	BIO *bio = BIO_new_mem_buf(data, (int)len);
	const unsigned char *at = data;
	X509 *x509 = NULL;
	int first = -1;

	while (bio && (x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		int place = add_cert(creds, x509, ca);

		first = first < 0 ? place : first;
	}
	BIO_free(bio);
	if (first < 0 && (x509 = d2i_X509(NULL, &at, (long)len)))
		first = add_cert(creds, x509, ca);
	ERR_clear_error();
	if (first < 0)
		log_error("%s: no certificate, in PEM or DER", name);
	return first;
}

bool creds_add_cert(struct creds *creds, const char *name, struct bytes data, bool ca)
{
	return add_certs(creds, name, data.data, data.len, ca) >= 0;
}

unsigned int creds_certs(const struct creds *creds)
{
	return creds->n_certs;
}

struct bytes creds_cert(const struct creds *creds, unsigned int i, bool *ca, bool *has_key)
{
	*ca = creds->is_ca[i];
	*has_key = creds_key(creds, creds->ders[i]);
	return creds->ders[i];
}

static void load_ca(struct creds *creds, const char *path)
{
	_cleanup_free_ __u8 *data = NULL;
	size_t len;

	if (!read_file(creds, "x509ca", path, false, &data, &len))
		add_certs(creds, path, data, len, true);
}

static struct crl *crl_new(struct creds *creds)
{
	return creds->n_crls < CRLS_MAX ? &creds->crls[creds->n_crls] : NULL;
}

static void load_crl(struct creds *creds, const char *path)
{
	struct crl *crl = crl_new(creds);

	if (crl && (crl->path = strdup(path)))
		creds->n_crls++;
}

void creds_add_crl(struct creds *creds, struct bytes data)
{
	struct crl *crl = crl_new(creds);

	if (!crl || !(crl->data = malloc(data.len + 1)))
		return;
	memcpy(crl->data, data.data, data.len);
	crl->len = data.len;
	creds->n_crls++;
}

/* Reads files in, so that the child gets bytes. */
static void load_blobs(struct creds *creds, struct conn_blobs *blobs, const char *kind, bool ca)
{
	for (unsigned int i = 0; i < blobs->n; i++) {
		struct conn_blob *blob = &blobs->blob[i];

		if (!blob->data && blob->file &&
		    read_file(creds, kind, blob->file, false, &blob->data, &blob->len))
			continue;
		if (blob->data)
			add_certs(creds, blob->file ? blob->file : "a client's certificate",
				  blob->data, blob->len, ca);
	}
}

/* DER, or the first of PEM that we have. */
static int own_cert(const struct creds *creds, const struct conn_blob *blob)
{
	int place = blob->data ? place_of(creds, BYTES(blob->data, blob->len)) : -1;
	BIO *bio = blob->data && place < 0 ? BIO_new_mem_buf(blob->data, (int)blob->len) : NULL;
	unsigned char *der;
	char *name, *header;
	long len;

	while (bio && place < 0 && PEM_read_bio(bio, &name, &header, &der, &len)) {
		place = place_of(creds, BYTES(der, (size_t)len));
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	BIO_free(bio);
	ERR_clear_error();
	return place;
}

static int issuer_of(const struct creds *creds, int place)
{
	X509 *x509 = creds->certs[place];

	for (unsigned int i = 0; i < creds->n_certs; i++)
		if ((int)i != place && X509_check_issued(creds->certs[i], x509) == X509_V_OK)
			return (int)i;
	return -1;
}

static bool self_issued(X509 *x509)
{
	return X509_NAME_cmp(X509_get_subject_name(x509), X509_get_issuer_name(x509)) == 0;
}

unsigned int creds_chain(const struct creds *creds, const struct conn *conn,
			 struct bytes chain[CREDS_CHAIN_MAX])
{
	unsigned int n = 0;
	int place = -1;

	for (unsigned int i = 0; i < conn->local.certs.n && place < 0; i++)
		place = own_cert(creds, &conn->local.certs.blob[i]);
	for (; place >= 0 && n < CREDS_CHAIN_MAX; place = issuer_of(creds, place)) {
		if (n && self_issued(creds->certs[place]))
			break;
		chain[n++] = creds->ders[place];
	}
	ERR_clear_error();
	return n;
}

static int ca_at(const struct creds *creds, unsigned int n)
{
	for (unsigned int i = 0; i < creds->n_certs; i++)
		if (creds->is_ca[i] && n-- == 0)
			return (int)i;
	return -1;
}

unsigned int creds_cas(const struct creds *creds)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < creds->n_certs; i++)
		n += creds->is_ca[i];
	return n;
}

struct bytes creds_ca(const struct creds *creds, unsigned int i)
{
	int place = ca_at(creds, i);

	return place < 0 ? BYTES_NONE : creds->ders[place];
}

unsigned int creds_crls(const struct creds *creds)
{
	return creds->n_crls;
}

static int crl_memory(const struct crl *crl)
{
	_cleanup_close_ int fd = memfd_create("crl", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, crl->data, crl->len) == (ssize_t)crl->len)
		return take_fd(&fd);
	return fd < 0 ? -errno : -ENOSPC;
}

int creds_crl_open(const struct creds *creds, unsigned int i)
{
	const struct crl *crl = &creds->crls[i];
	int fd = crl->path ? open(crl->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : crl_memory(crl);

	if (fd < 0) {
		fd = crl->path ? -errno : fd;
		log_error("%s: %s", crl->path ? crl->path : "a client's CRL", strerror(-fd));
	}
	return fd;
}

/* ------------------------------------------------------------------ all of it */

static void load_secrets(struct creds *creds, const struct config *config)
{
	for (unsigned int i = 0; i < config->n_secrets; i++) {
		const struct conn_secret *secret = &config->secrets[i];

		if (secret->kind == CONN_SECRET_IKE)
			creds_add_psk(creds, secret);
		else if (secret->file)
			load_key(creds, secret->file, secret);
	}
	each_file(creds, "private", load_private);
}

static void load_certs(struct creds *creds, struct config *config)
{
	each_file(creds, "x509ca", load_ca);
	each_file(creds, "x509crl", load_crl);
	for (unsigned int i = 0; i < config->n_conns; i++) {
		load_blobs(creds, &config->conns[i].local.certs, "x509", false);
		load_blobs(creds, &config->conns[i].remote.certs, "x509", false);
		load_blobs(creds, &config->conns[i].remote.cacerts, "x509ca", true);
	}
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
	if (!creds->keys || !creds->certs || !creds->ders || !creds->is_ca || !creds->crls) {
		creds_free(creds);
		return NULL;
	}
	load_secrets(creds, config);
	load_certs(creds, config);
	return creds;
}

void creds_free(struct creds *creds)
{
	if (!creds)
		return;
	for (unsigned int i = 0; i < creds->n_psks; i++) {
		struct psk *psk = &creds->psks[i];

		for (unsigned int k = 0; k < psk->n_owners; k++)
			free(psk->owners[k]);
		free(psk->owners);
		OPENSSL_secure_free(psk->data); /* wipes */
	}
	for (unsigned int i = 0; i < creds->n_keys; i++)
		EVP_PKEY_free(creds->keys[i]);
	for (unsigned int i = 0; i < creds->n_certs; i++) {
		X509_free(creds->certs[i]);
		OPENSSL_free((void *)creds->ders[i].data);
	}
	for (unsigned int i = 0; i < creds->n_crls; i++) {
		free(creds->crls[i].path);
		free(creds->crls[i].data);
	}
	free(creds->psks);
	free(creds->keys);
	free(creds->certs);
	free(creds->ders);
	free(creds->is_ca);
	free(creds->crls);
	free(creds);
}
