// SPDX-License-Identifier: BSD-2-Clause
/*
 * Certificates, CRLs, identities and signatures of strangers: nobody gets in, nothing breaks.
 *
 * Input: what it is; then its bytes.
 */
#include "iked/auth.h"
#include "iked/cert.h"
#include "tests/fuzz/ike_must.h"

#define NOW ((time_t)1700000000)

static struct cert_store *store;
static EVP_PKEY *key;
static struct ident *moon;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char why[100];

	store = cert_store_new();
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	MUST(store && key && !ident_parse("moon.example.org", &moon, why, sizeof(why)));
	return 0;
}

/* Pinned, so that all but the chain is passed through; then as one of a chain to nowhere. */
static void cert(struct bytes der)
{
	struct cert_policy pinned = {.now = NOW, .pinned = &der, .n_pinned = 1};
	struct cert_policy usual = {.now = NOW, .revocation = CERT_REVOCATION_STRICT};
	struct bytes chain[] = {der, der};
	struct cert_peer peer = {0};
	struct ident *subject = cert_subject(der), *id = moon;
	EVP_PKEY *public = cert_key(der);
	char why[300] = "";

	EVP_PKEY_free(public);
	MUST(cert_check(store, chain, 2, moon, &usual, &peer, why, sizeof(why)) && *why);
	MUST(!peer.key);
	if (subject) {
		ident_must(subject);
		if (subject->len <= IDENT_LEN_MAX)
			id = subject;
	}
	*why = 0;
	if (!cert_check(store, chain, 1, id, &pinned, &peer, why, sizeof(why))) {
		MUST(peer.key && peer.subject && cert_bears(der, id));
		cert_peer_free(&peer);
	} else {
		MUST(*why && memchr(why, 0, sizeof(why)));
	}
	cert_wanted(chain, 2, store, BYTES("01234567890123456789", 20));
	free(subject);
}

/* As somebody who may write a config file: PEM, DER, or neither. */
static void files(struct bytes data)
{
	struct cert_store *fresh = cert_store_new();
	struct writer der = {0}, hashes = {0};
	char why[200] = "";

	MUST(fresh);
	if (cert_store_add_ca(fresh, data, why, sizeof(why)))
		MUST(*why);
	if (cert_store_add_crl(fresh, data, why, sizeof(why)))
		MUST(*why);
	cert_store_hashes(fresh, &hashes);
	MUST(hashes.len == CERT_HASH_LEN * (size_t)cert_store_cas(fresh));
	if (!cert_der(data, &der)) {
		struct ident *subject = cert_subject(writer_view(&der));

		MUST(der.len > CERT_SIZE_MAX || subject || der.len);
		free(subject);
	}
	writer_free(&der);
	writer_free(&hashes);
	cert_store_free(fresh);
}

static void text(struct bytes data)
{
	char copy[600], why[200] = "";
	struct ident *id = NULL;

	if (data.len >= sizeof(copy))
		return;
	memcpy(copy, data.data, data.len);
	copy[data.len] = 0;
	if (ident_parse(copy, &id, why, sizeof(why))) {
		MUST(!id && *why);
		return;
	}
	if (id->type != IDENT_ANY)
		ident_must(id);
	ident_is_pattern(id);
	ident_match(id, moon);
	free(id);
}

static void identity(struct bytes data)
{
	struct ike_id payload = {.type = data.len ? data.data[0] : 0};
	struct ident *id = NULL;
	char why[120] = "";

	payload.data = data.len ? BYTES(data.data + 1, data.len - 1) : data;
	if (ident_of_payload(&payload, &id, why, sizeof(why))) {
		MUST(!id && *why);
		return;
	}
	ident_must(id);
	cert_bears(data, id);
	free(id);
}

/* No AUTH data is a signature of a key that nobody has. */
static void auth(struct bytes data)
{
	static const __u8 init[28] = {
		[0] = 1, [16] = 0, [17] = 0x20, [18] = IKE_SA_INIT, [19] = 8, [27] = 28};
	static const __u8 nonce[32], sk_p[32];
	struct auth_in in = {.initiator = true,
			     .init = BYTES_OF(init),
			     .nonce = BYTES_OF(nonce),
			     .prf = PRF_HMAC_SHA2_256,
			     .sk_p = BYTES_OF(sk_p),
			     .id = BYTES("\2\0\0\0moon", 8)};
	char why[200] = "";
	__u8 method = data.len ? data.data[0] : 0;

	if (data.len)
		data = BYTES(data.data + 1, data.len - 1);
	MUST(auth_verify(&in, key, method, data, NULL, why, sizeof(why)));
	in.init = data;
	MUST(auth_psk_verify(&in, BYTES("secret", 6), BYTES_OF(nonce)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	__u8 kind = take8(&in);
	__u8 *copy = malloc(in.left ? in.left : 1);
	struct bytes rest = BYTES(copy, in.left);

	MUST(copy);
	memcpy(copy, in.at, in.left);
	switch (kind % 5) {
	case 0: cert(rest); break;
	case 1: files(rest); break;
	case 2: text(rest); break;
	case 3: identity(rest); break;
	default: auth(rest); break;
	}
	free(copy);
	return 0;
}
