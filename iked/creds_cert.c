// SPDX-License-Identifier: BSD-2-Clause
#include "iked/creds_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/cleanup.h"
#include "lib/log.h"

/* By its bytes: reading one takes 85 us, most of it for the key in it, and this is asked with each
 * AUTH. */
int creds_place(const struct creds *creds, struct bytes der)
{
	for (unsigned int i = 0; i < creds->n_certs; i++)
		if (bytes_equal(creds->ders[i], der))
			return (int)i;
	return -1;
}

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

void creds_load_ca(struct creds *creds, const char *path)
{
	_cleanup_free_ __u8 *data = NULL;
	size_t len;

	if (!creds_read_file(creds, "x509ca", path, false, &data, &len))
		add_certs(creds, path, data, len, true);
}

static struct crl *crl_new(struct creds *creds)
{
	return creds->n_crls < CRLS_MAX ? &creds->crls[creds->n_crls] : NULL;
}

void creds_load_crl(struct creds *creds, const char *path)
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

void creds_load_blobs(struct creds *creds, struct conn_blobs *blobs, const char *kind, bool ca)
{
	for (unsigned int i = 0; i < blobs->n; i++) {
		struct conn_blob *blob = &blobs->blob[i];

		if (!blob->data && blob->file &&
		    creds_read_file(creds, kind, blob->file, false, &blob->data, &blob->len))
			continue;
		if (blob->data)
			add_certs(creds, blob->file ? blob->file : "a client's certificate",
				  blob->data, blob->len, ca);
	}
}

/* DER, or the first of PEM that we have. */
static int own_cert(const struct creds *creds, const struct conn_blob *blob)
{
	int place = blob->data ? creds_place(creds, BYTES(blob->data, blob->len)) : -1;
	BIO *bio = blob->data && place < 0 ? BIO_new_mem_buf(blob->data, (int)blob->len) : NULL;
	unsigned char *der;
	char *name, *header;
	long len;

	while (bio && place < 0 && PEM_read_bio(bio, &name, &header, &der, &len)) {
		place = creds_place(creds, BYTES(der, (size_t)len));
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

/* The descriptor goes to the child: never by a link, never what is no file. */
static int crl_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? take_fd(&fd) : -EINVAL;
}

int creds_crl_open(const struct creds *creds, unsigned int i)
{
	const struct crl *crl = &creds->crls[i];
	int fd = crl->path ? crl_file(crl->path) : crl_memory(crl);

	if (fd == -ELOOP || fd == -EINVAL)
		log_error("%s: is a link, or no file: expected a file; it is not used", crl->path);
	else if (fd < 0)
		log_error("%s: %s", crl->path ? crl->path : "a client's CRL", strerror(-fd));
	return fd;
}

void creds_free_certs(struct creds *creds)
{
	for (unsigned int i = 0; i < creds->n_certs; i++) {
		X509_free(creds->certs[i]);
		OPENSSL_free((void *)creds->ders[i].data);
	}
	for (unsigned int i = 0; i < creds->n_crls; i++) {
		free(creds->crls[i].path);
		free(creds->crls[i].data);
	}
	free(creds->certs);
	free(creds->ders);
	free(creds->is_ca);
	free(creds->crls);
}
