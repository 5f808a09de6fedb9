// SPDX-License-Identifier: BSD-2-Clause
/* What the many initiators prove themselves with. */
#include "tools/bench/ike_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/cleanup.h"

static FILE *opened(const char *name)
{
	FILE *file = fopen(name, "re");

	if (!file)
		fprintf(stderr, "ike: %s: %s\n", name, strerror(errno));
	return file;
}

/* Peers' chains end in this CA, as ours do. */
static int trust_read(struct load_creds *creds)
{
	char why[160] = "no memory";
	__u8 *der = NULL;
	int len = i2d_X509(creds->ca, &der), err;

	creds->trust = cert_store_new();
	err = creds->trust && len > 0
		      ? cert_store_add_ca(creds->trust, BYTES(der, len), why, sizeof(why))
		      : -ENOMEM;
	OPENSSL_free(der);
	if (err)
		fprintf(stderr, "ike: the CA: %s\n", why);
	return err;
}

int load_creds_read(struct load_creds *creds, const char *ca, const char *ca_key)
{
	FILE *cert = opened(ca), *key = opened(ca_key);

	creds->certs = true;
	creds->ca = cert ? PEM_read_X509(cert, NULL, NULL, NULL) : NULL;
	creds->ca_key = key ? PEM_read_PrivateKey(key, NULL, NULL, NULL) : NULL;
	creds->key = EVP_EC_gen("P-256");
	if (cert)
		fclose(cert);
	if (key)
		fclose(key);
	if (!creds->ca || !creds->ca_key || !creds->key) {
		fprintf(stderr, "ike: no CA certificate with its key\n");
		return -EINVAL;
	}
	return trust_read(creds);
}

static bool extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool good = extension && X509_add_ext(cert, extension, -1);

	X509_EXTENSION_free(extension);
	return good;
}

static bool fill_in(const struct load_creds *creds, X509 *cert, unsigned int n)
{
	X509_NAME *name = X509_get_subject_name(cert);
	char text[64], alt[80];

	snprintf(text, sizeof(text), "p%u.load.example.org", n);
	snprintf(alt, sizeof(alt), "DNS:%s", text);
	return X509_set_version(cert, X509_VERSION_3) &&
	       ASN1_INTEGER_set(X509_get_serialNumber(cert), 1000 + n) &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), -60) &&
	       X509_gmtime_adj(X509_getm_notAfter(cert), 86400) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (__u8 *)text, -1, -1, 0) &&
	       X509_set_issuer_name(cert, X509_get_subject_name(creds->ca)) &&
	       X509_set_pubkey(cert, creds->key) && extend(cert, NID_subject_alt_name, alt) &&
	       extend(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       extend(cert, NID_key_usage, "critical,digitalSignature") &&
	       X509_sign(cert, creds->ca_key, EVP_sha256());
}

size_t load_creds_cert(const struct load_creds *creds, unsigned int n, __u8 **out)
{
	X509 *cert = X509_new();
	__u8 *der = NULL;
	int len = cert && fill_in(creds, cert, n) ? i2d_X509(cert, &der) : 0;

	X509_free(cert);
	if (len <= 0)
		return 0;
	*out = malloc(len);
	if (*out)
		memcpy(*out, der, len);
	OPENSSL_free(der);
	return *out ? len : 0;
}

static struct auth_in inputs(const struct ike_auth_ask *ask, struct bytes id)
{
	return (struct auth_in){.initiator = ask->initiator,
				.init = BYTES(ask->message, ask->message_len),
				.nonce = BYTES(ask->nonce, ask->nonce_len),
				.prf = ask->prf,
				.sk_p = BYTES(ask->sk_p, ask->sk_p_len),
				.id = id};
}

static const struct bytes psk = {(const __u8 *)PSK, sizeof(PSK) - 1};

int load_creds_auth(const struct load_creds *creds, const struct ike_auth_ask *ask, struct bytes id,
		    __u8 *method, struct writer *out)
{
	struct auth_in in = inputs(ask, id);
	enum auth_scheme scheme;
	__u32 hashes = 0;
	__u8 *room;

	if (!creds->certs) {
		*method = IKE_AUTH_PSK;
		room = writer_room(out, prf_len(ask->prf));
		return room ? auth_psk(&in, psk, room) : -ENOMEM;
	}
	for (size_t i = 0; i < ask->n_hashes; i++)
		hashes |= 1u << ask->hashes[i];
	scheme = auth_scheme_choose(creds->key, hashes);
	*method = auth_scheme_method(scheme);
	return auth_sign(&in, creds->key, scheme, out);
}

int load_creds_verify(const struct ike_auth_ask *ask)
{
	struct auth_in in = inputs(ask, BYTES(ask->id, ask->id_len));

	return auth_psk_verify(&in, psk, BYTES(ask->auth, ask->auth_len));
}
