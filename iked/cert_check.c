// SPDX-License-Identifier: BSD-2-Clause
/* From a peer's certificates to its public key, or to a reason why not. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/cert_x509.h"

#define SECURITY_LEVEL 2 /* OpenSSL's: RSA from 2048 bits, no MD5, no SHA-1 */

/* One check on its way: OpenSSL's callback finds it in the context. */
struct check {
	const struct cert_policy *policy;
	const struct cert_store *store;
	X509 *leaf;
	STACK_OF(X509) * others;
	int error, depth; /* the first that was not let pass */
};

static int refuse(char *why, size_t size, X509 *cert, const char *what)
{
	struct ident *name = cert_name(cert);
	char text[200] = "?";

	if (name)
		ident_print(name, text, sizeof(text));
	free(name);
	snprintf(why, size, "certificate `%s`: %s", text, what);
	return -EACCES;
}

/* ------------------------------------------------------------------ revocation */

static bool is_crl_error(int error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
	case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
	case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
	case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE: return true;
	default: return false;
	}
}

/* Must there be a CRL that says it is good? Nobody answers for the anchor but the config. */
static bool needs_crl(const struct check *check, X509_STORE_CTX *ctx)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	int top = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;

	if (X509_STORE_CTX_get_error_depth(ctx) >= top)
		return false;
	switch (check->policy->revocation) {
	case CERT_REVOCATION_STRICT: return true;
	case CERT_REVOCATION_IFURI:
		return cert && X509_get_ext_by_NID(cert, NID_crl_distribution_points, -1) >= 0;
	default: return false;
	}
}

static int on_verify(int ok, X509_STORE_CTX *ctx)
{
	struct check *check = X509_STORE_CTX_get_app_data(ctx);
	int error = X509_STORE_CTX_get_error(ctx);

	if (ok)
		return 1;
	if (is_crl_error(error) && !needs_crl(check, ctx))
		return 1;
	check->error = error;
	check->depth = X509_STORE_CTX_get_error_depth(ctx);
	return 0;
}

/* ------------------------------------------------------------------ the chain */

static void set_params(X509_STORE_CTX *ctx, const struct cert_policy *policy)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_time(param, policy->now);
	X509_VERIFY_PARAM_set_depth(param, CERT_CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST |
						   X509_V_FLAG_CRL_CHECK |
						   X509_V_FLAG_CRL_CHECK_ALL);
}

static int chain_fault(const struct check *check, X509_STORE_CTX *ctx, char *why, size_t size)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

	return refuse(why, size, cert ? cert : check->leaf,
		      X509_verify_cert_error_string(check->error ? check->error
								 : X509_V_ERR_UNSPECIFIED));
}

static bool is_named(X509 *ca, const struct ident *id)
{
	struct ident *name = cert_name(ca);
	bool is = name && ident_match(id, name);

	free(name);
	return is || cert_has_name(ca, id);
}

static int not_named(const struct check *check, char *why, size_t size)
{
	char text[200], what[260];

	ident_print(check->policy->ca_id, text, sizeof(text));
	snprintf(what, sizeof(what), "is not below a CA `%s`, which ca_id asks for", text);
	return refuse(why, size, check->leaf, what);
}

/* Is its key as strong as the config wants? Edwards curves have one strength each. */
static int check_key(const struct cert_policy *policy, X509 *cert, char *why, size_t size)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	bool rsa = key && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"));
	unsigned int bits = key ? (unsigned int)EVP_PKEY_get_bits(key) : 0;
	unsigned int min = rsa ? policy->min_rsa : policy->min_ecdsa;
	char what[160];

	if ((!policy->min_rsa && !policy->min_ecdsa) ||
	    (!rsa && (!key || !EVP_PKEY_is_a(key, "EC"))))
		return 0;
	if (min && bits >= min)
		return 0;
	if (min)
		snprintf(what, sizeof(what), "its %s key has %u bits, `auth` asks for %u",
			 rsa ? "RSA" : "ECDSA", bits, min);
	else
		snprintf(what, sizeof(what), "its key is %s, for which `auth` gives no strength",
			 rsa ? "RSA" : "ECDSA");
	return refuse(why, size, cert, what);
}

/* Is it signed with a hash that the config wants? */
static int check_hash(const struct cert_policy *policy, X509 *cert, char *why, size_t size)
{
	int hash = NID_undef;
	__u32 is = 0;

	if (!policy->hashes)
		return 0;
	X509_get_signature_info(cert, &hash, NULL, NULL, NULL);
	switch (hash) {
	case NID_undef: return 0; /* EdDSA hashes for itself */
	case NID_sha256: is = 1U << IKE_HASH_SHA256; break;
	case NID_sha384: is = 1U << IKE_HASH_SHA384; break;
	case NID_sha512: is = 1U << IKE_HASH_SHA512; break;
	default: break;
	}
	return policy->hashes & is ? 0
				   : refuse(why, size, cert,
					    "is signed with a hash that `auth` does not allow");
}

/* The anchor is there because the config says so, whoever signed it. */
static int check_strength(const struct cert_policy *policy, STACK_OF(X509) * chain, char *why,
			  size_t size)
{
	int n = sk_X509_num(chain), err = 0;

	for (int i = 0; i < n && !err; i++)
		err = check_key(policy, sk_X509_value(chain, i), why, size);
	for (int i = 0; i < n - 1 && !err; i++)
		err = check_hash(policy, sk_X509_value(chain, i), why, size);
	return err;
}

/* A v1 certificate passes OpenSSL as a CA if it is self-signed; here it never does. */
static int check_chain(const struct check *check, STACK_OF(X509) * chain, char *why, size_t size)
{
	const struct ident *ca_id = check->policy->ca_id;
	bool through = !check->policy->cas.len, named = !ca_id;

	for (int i = 1; i < sk_X509_num(chain); i++) {
		X509 *ca = sk_X509_value(chain, i);

		if (X509_check_ca(ca) != 1)
			return refuse(why, size, ca, "is no CA");
		through |= cert_hash_in(ca, check->policy->cas);
		named = named || is_named(ca, ca_id);
	}
	if (!named)
		return not_named(check, why, size);
	if (!through)
		return refuse(why, size, check->leaf,
			      "is not below one of the CAs that are asked for");
	return check_strength(check->policy, chain, why, size);
}

static time_t earliest_end(STACK_OF(X509) * chain)
{
	time_t end = 0;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		struct tm tm;
		time_t at;

		if (!ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(chain, i)), &tm))
			continue;
		at = timegm(&tm);
		if (!end || at < end)
			end = at;
	}
	return end;
}

/* What is found goes into `out`: the end, and the anchor's hash. */
static int walk(struct check *check, struct cert_peer *out, char *why, size_t size)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) * chain;
	int err;

	if (!ctx || !X509_STORE_CTX_init(ctx, check->store->trust, check->leaf, check->others)) {
		X509_STORE_CTX_free(ctx);
		return -ENOMEM;
	}
	set_params(ctx, check->policy);
	X509_STORE_CTX_set0_crls(ctx, check->store->crls);
	X509_STORE_CTX_set_app_data(ctx, check);
	X509_STORE_CTX_set_verify_cb(ctx, on_verify);
	if (X509_verify_cert(ctx) != 1) {
		err = chain_fault(check, ctx, why, size);
	} else {
		chain = X509_STORE_CTX_get0_chain(ctx);
		err = check_chain(check, chain, why, size);
		out->not_after = earliest_end(chain);
		cert_hash(sk_X509_value(chain, sk_X509_num(chain) - 1), out->ca);
	}
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return err;
}

/* ------------------------------------------------------------------ pinned */

static bool is_pinned(const struct cert_policy *policy, struct bytes leaf)
{
	for (unsigned int i = 0; i < policy->n_pinned; i++)
		if (bytes_equal(policy->pinned[i], leaf))
			return true;
	return false;
}

/* The certificate itself is in the config: its time, and how strong its key is. */
static int check_pinned(const struct check *check, struct cert_peer *out, char *why, size_t size)
{
	time_t now = check->policy->now;
	EVP_PKEY *key = X509_get0_pubkey(check->leaf);
	struct tm tm;

	if (X509_cmp_time(X509_get0_notBefore(check->leaf), &now) > 0)
		return refuse(why, size, check->leaf, "certificate is not yet valid");
	if (X509_cmp_time(X509_get0_notAfter(check->leaf), &now) < 0)
		return refuse(why, size, check->leaf, "certificate has expired");
	if (!key || EVP_PKEY_get_security_bits(key) < 112)
		return refuse(why, size, check->leaf, "key is too weak");
	if (check_key(check->policy, check->leaf, why, size))
		return -EACCES;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(check->leaf), &tm))
		out->not_after = timegm(&tm);
	return 0;
}

/* ------------------------------------------------------------------ all of it */

static int check_leaf(const struct check *check, const struct ident *id, char *why, size_t size)
{
	const char *fault = cert_usage_fault(check->leaf);
	char text[200], what[260];

	if (fault)
		return refuse(why, size, check->leaf, fault);
	if (cert_has_name(check->leaf, id))
		return 0;
	ident_print(id, text, sizeof(text));
	snprintf(what, sizeof(what), "does not bear the identity `%s`", text);
	return refuse(why, size, check->leaf, what);
}

static int check_all(struct check *check, struct bytes leaf, const struct ident *id,
		     struct cert_peer *out, char *why, size_t size)
{
	struct cert_peer peer = {0};
	int err;

	if (check->policy->n_pinned && !is_pinned(check->policy, leaf))
		err = refuse(why, size, check->leaf, "is not the one that the config has");
	else if (check->policy->n_pinned && !check->policy->ca_id)
		err = check_pinned(check, &peer, why, size);
	else
		err = walk(check, &peer, why, size);
	if (!err)
		err = check_leaf(check, id, why, size);
	if (err)
		return err;
	peer.key = X509_get_pubkey(check->leaf);
	peer.subject = cert_name(check->leaf);
	if (!peer.key || !peer.subject) {
		cert_peer_free(&peer);
		ERR_clear_error();
		return refuse(why, size, check->leaf, "its key or its subject cannot be read");
	}
	*out = peer;
	return 0;
}

static void gather(struct check *check, const struct bytes *certs, unsigned int n)
{
	check->leaf = n ? cert_of_der(certs[0]) : NULL;
	check->others = sk_X509_new_null();
	for (unsigned int i = 1; i < n && i < CERT_CHAIN_MAX && check->others; i++) {
		X509 *cert = cert_of_der(certs[i]); /* one that cannot be read may not be needed */

		if (cert && !sk_X509_push(check->others, cert))
			X509_free(cert);
	}
}

int cert_check(const struct cert_store *store, const struct bytes *certs, unsigned int n,
	       const struct ident *id, const struct cert_policy *policy, struct cert_peer *out,
	       char *why, size_t size)
{
	struct check check = {.policy = policy, .store = store};
	int err;

	gather(&check, certs, n);
	if (!check.leaf) {
		snprintf(why, size, "the peer's certificate cannot be read");
		err = -EBADMSG;
	} else if (!check.others) {
		err = -ENOMEM;
	} else {
		err = check_all(&check, certs[0], id, out, why, size);
	}
	X509_free(check.leaf);
	sk_X509_pop_free(check.others, X509_free);
	return err;
}

void cert_peer_free(struct cert_peer *peer)
{
	EVP_PKEY_free(peer->key);
	free(peer->subject);
	*peer = (struct cert_peer){0};
}
