// SPDX-License-Identifier: BSD-2-Clause
/* local {} and remote {}: identities, certificates, and how each end proves who it is. */
#include <stdlib.h>
#include <string.h>
#include "lib/config_conn.h"

static const struct config_word key_words[] = {
	{"rsa", CONN_KEY_RSA | CONN_KEY_RSA_PSS},
	{"rsa/pkcs1", CONN_KEY_RSA},
	{"rsa/pss", CONN_KEY_RSA_PSS},
	{"ecdsa", CONN_KEY_ECDSA},
	{"ed25519", CONN_KEY_ED25519},
	{"ed448", CONN_KEY_ED448},
	{NULL, 0},
};

static const struct config_word hash_words[] = {
	{"sha256", CONN_HASH_SHA256},
	{"sha384", CONN_HASH_SHA384},
	{"sha512", CONN_HASH_SHA512},
	{"identity", 0}, /* EdDSA hashes for itself */
	{NULL, 0},
};

static bool word_add(const struct config_word *words, const char *word, unsigned int *mask)
{
	for (; words->name; words++) {
		if (strcmp(word, words->name) == 0) {
			*mask |= words->value;
			return true;
		}
	}
	return false;
}

/* Bits of the type of key that was named last, RSA or ECDSA; of several numbers the lowest. */
static bool auth_bits(const char *word, unsigned int type, struct conn_auth *out)
{
	unsigned int *bits = type & (CONN_KEY_RSA | CONN_KEY_RSA_PSS) ? &out->min_rsa
			     : type & CONN_KEY_ECDSA                  ? &out->min_ecdsa
								      : NULL;
	unsigned int number;

	if (!bits || !text_number(word, &number) || !number)
		return false;
	if (!*bits || number < *bits)
		*bits = number;
	return true;
}

/* One of the words between the dashes. */
static bool auth_word(const char *word, unsigned int *type, struct conn_auth *out)
{
	unsigned int named = 0;

	if (word_add(key_words, word, &named)) {
		*type = named;
		out->keys |= named;
		return true;
	}
	return word_add(hash_words, word, &out->hashes) || auth_bits(word, *type, out);
}

static bool auth_words(char *text, struct conn_auth *out)
{
	unsigned int type = 0;
	char *rest = text;

	for (char *word = strsep(&rest, "-"); word; word = strsep(&rest, "-")) {
		bool first = word == text;

		if (first && strcmp(word, "psk") == 0 && !rest) {
			out->kind = CONN_AUTH_PSK;
			return true;
		}
		if (!(first && strcmp(word, "pubkey") == 0) && !auth_word(word, &type, out))
			return false;
	}
	out->kind = CONN_AUTH_PUBKEY;
	return true;
}

bool parse_auth(struct config_diag *diag, const struct config_node *node, struct conn_auth *out)
{
	const char *text = node->value;
	bool ike_alone = strncmp(text, "ike:", 4) == 0; /* of AUTH, not of the chain */
	char copy[128];

	if (strncmp(text, "eap", 3) == 0 || strncmp(text, "xauth", 5) == 0) {
		config_error(diag, &node->value_place,
			     "%s = %s: not supported in this version: expected psk or pubkey",
			     node->name, config_shown(text));
		return false;
	}
	if (ike_alone)
		text += 4;
	if (strlen(text) < sizeof(copy)) {
		strcpy(copy, text);
		if (auth_words(copy, out)) {
			out->chain_hashes = ike_alone ? 0 : out->hashes;
			return true;
		}
	}
	config_error(diag, &node->value_place,
		     "%s = %s: expected psk, pubkey, rsa, rsa/pss, ecdsa, ed25519 or ed448, with "
		     "-sha256, -sha384, -sha512 behind it if wanted, and -BITS behind rsa and "
		     "ecdsa",
		     node->name, config_shown(node->value));
	return false;
}

/* ------------------------------------------------------------------ keys */

static bool key_auth(struct config_diag *diag, const struct config_node *node, void *into)
{
	return parse_auth(diag, node, into);
}

static bool key_id(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_auth *auth = into;

	return parse_identity(diag, node, &auth->id);
}

static bool key_ca_id(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_auth *auth = into;

	return parse_identity(diag, node, &auth->ca_id);
}

static bool key_certs(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_auth *auth = into;

	return parse_blobs(diag, node, &auth->certs);
}

static bool key_cacerts(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_auth *auth = into;

	return parse_blobs(diag, node, &auth->cacerts);
}

/* cert-1 { file = PATH } */
static bool key_cert_file(struct config_diag *diag, const struct config_node *node, void *into)
{
	return parse_blobs(diag, node, into);
}

static const struct config_key cert_keys[] = {{"file", key_cert_file, false, true}, {0}};

static bool section_cert(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_auth *auth = into;

	return config_walk(diag, node, node->first, cert_keys, &auth->certs);
}

static bool section_cacert(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_auth *auth = into;

	return config_walk(diag, node, node->first, cert_keys, &auth->cacerts);
}

static bool key_revocation(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word words[] = {{"relaxed", CONN_REVOCATION_RELAXED},
						   {"ifuri", CONN_REVOCATION_IFURI},
						   {"strict", CONN_REVOCATION_STRICT},
						   {NULL, 0}};
	struct conn_auth *auth = into;
	unsigned int value;

	if (!parse_word(diag, node, words, &value))
		return false;
	auth->revocation = value;
	return true;
}

static bool key_round(struct config_diag *diag, const struct config_node *node, void *into)
{
	unsigned int round;

	return parse_number(diag, node, 0, 255, &round);
}

static const struct config_key local_keys[] = {
	{"auth", key_auth, false, false},
	{"id", key_id, false, false},
	{"certs", key_certs, false, false},
	{"cert*", section_cert, true, false},
	{"round", key_round, false, false},
	{"pubkeys", key_unsupported, false, false},
	{"eap_id", key_unsupported, false, false},
	{"aaa_id", key_unsupported, false, false},
	{"xauth_id", key_unsupported, false, false},
	{0},
};

static const struct config_key remote_keys[] = {
	{"auth", key_auth, false, false},
	{"id", key_id, false, false},
	{"certs", key_certs, false, false},
	{"cert*", section_cert, true, false},
	{"cacerts", key_cacerts, false, false},
	{"cacert*", section_cacert, true, false},
	{"ca_id", key_ca_id, false, false},
	{"revocation", key_revocation, false, false},
	{"round", key_round, false, false},
	{"pubkeys", key_unsupported, false, false},
	{"eap_id", key_unsupported, false, false},
	{"groups", key_unsupported, false, false},
	{"cert_policy", key_unsupported, false, false},
	{0},
};

/* Several rounds (RFC 4739) would make several sections of a kind. */
static bool one_round(struct config_diag *diag, const struct config_node *node, bool *told)
{
	if (!*told) {
		*told = true;
		return true;
	}
	config_error(diag, &node->place,
		     "%s is one more round of authentication, not supported in this version: "
		     "expected one local and one remote section",
		     node->name);
	return false;
}

bool config_conn_local(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	return one_round(diag, node, &draft->has_local) &&
	       config_walk(diag, node, node->first, local_keys, &draft->conn->local);
}

bool config_conn_remote(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	return one_round(diag, node, &draft->has_remote) &&
	       config_walk(diag, node, node->first, remote_keys, &draft->conn->remote);
}
