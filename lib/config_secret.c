// SPDX-License-Identifier: BSD-2-Clause
/* secrets {}: preshared keys and passphrases of private keys. No message prints one. */
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "lib/config_conn.h"

#define SECRET_MAX    1024 /* letters in the config */
#define SECRET_OWNERS 32
#define SECRET_HEX    "0x"
#define SECRET_BASE64 "0s"

/* Whether the bytes of `text` (len) could be read into out->data. */
static bool bytes_hex(const char *text, size_t len, struct conn_secret *out)
{
	size_t n = 0;

	return len && OPENSSL_hexstr2buf_ex(out->data, len, &n, text, '\0') == 1 &&
	       (out->len = n) > 0;
}

static bool bytes_base64(const char *text, size_t len, struct conn_secret *out)
{
	size_t padding = len > 1 ? (text[len - 1] == '=') + (text[len - 2] == '=') : 0;
	int n = len % 4 ? -1 : EVP_DecodeBlock(out->data, (const void *)text, len);

	if (n <= 0 || (size_t)n <= padding)
		return false;
	out->len = n - padding;
	return true;
}

static bool bytes_plain(const char *text, size_t len, struct conn_secret *out)
{
	memcpy(out->data, text, len);
	out->len = len;
	return len > 0;
}

/* strongSwan's ways to write a secret: text, 0x and hex, 0s and base64. */
static bool key_secret(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_secret *out = into;
	const char *text = node->value;
	bool ok;

	if (node->place.file->exposed && !node->place.file->told) {
		config_error(diag, &node->value_place,
			     "%s holds secrets and others may read it: expected mode 0600",
			     node->place.file->name);
		node->place.file->told = true;
		return false;
	}
	out->data = calloc(1, node->len + 4);
	if (!out->data) {
		diag->nomem = true;
		return false;
	}
	if (strncmp(text, SECRET_HEX, 2) == 0)
		ok = bytes_hex(text + 2, node->len - 2, out);
	else if (strncmp(text, SECRET_BASE64, 2) == 0)
		ok = bytes_base64(text + 2, node->len - 2, out);
	else
		ok = bytes_plain(text, node->len, out);
	if (ok && node->len <= SECRET_MAX)
		return true;
	config_error(diag, &node->value_place,
		     "%s is no secret: expected text, 0x and hex digits, or 0s and base64, at most "
		     "%u letters",
		     node->name, SECRET_MAX);
	return false;
}

static bool key_owner(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_secret *out = into;
	char **more = realloc(out->owners.text, (out->owners.n + 1) * sizeof(*more));

	if (!more) {
		diag->nomem = true;
		return false;
	}
	out->owners.text = more;
	more[out->owners.n] = NULL;
	if (out->owners.n == SECRET_OWNERS) {
		config_error(diag, &node->place, "%s is one too many: expected at most %u",
			     node->name, SECRET_OWNERS);
		return false;
	}
	return parse_identity(diag, node, &more[out->owners.n++]);
}

static bool key_file(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_secret *out = into;

	out->file = strdup(node->value);
	if (!out->file)
		diag->nomem = true;
	return out->file;
}

static const struct config_key ike_keys[] = {
	{"secret", key_secret, false, true},
	{"id*", key_owner, false, false},
	{0},
};

static const struct config_key private_keys[] = {
	{"file", key_file, false, true},
	{"secret", key_secret, false, false},
	{0},
};

static bool secret_walk(struct config_diag *diag, const struct config_node *node,
			struct conn_secret *out)
{
	static const char *const files[] = {"private", "rsa", "ecdsa", "pkcs8"};

	if (strncmp(node->name, "ike", 3) == 0)
		return config_walk(diag, node, node->first, ike_keys, out);
	out->kind = CONN_SECRET_PRIVATE;
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strncmp(node->name, files[i], strlen(files[i])) == 0)
			return config_walk(diag, node, node->first, private_keys, out);
	config_error(diag, &node->place,
		     "%s {} is not supported in this version: expected ike*, private*, rsa*, "
		     "ecdsa* or pkcs8*",
		     node->name);
	return false;
}

bool config_secret(struct config_diag *diag, const struct config_node *node,
		   struct conn_secret *out)
{
	strncpy(out->name, node->name, sizeof(out->name) - 1);
	out->line = node->place.line;
	if (secret_walk(diag, node, out))
		return true;
	conn_secret_clear(out);
	return false;
}
