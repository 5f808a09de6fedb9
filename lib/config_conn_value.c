// SPDX-License-Identifier: BSD-2-Clause
/* Hosts, texts, certificates and identities of connections {}. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include "lib/config_conn.h"
#include "lib/proposal.h"

/* Room for one more of `size` bytes, all zero; NULL after noting that there is no memory. */
static void *grow(struct config_diag *diag, void **array, unsigned int n, size_t size)
{
	char *more = realloc(*array, (n + 1) * size);

	if (!more) {
		diag->nomem = true;
		return NULL;
	}
	*array = more;
	return memset(more + n * size, 0, size);
}

static bool too_many(struct config_diag *diag, const struct config_node *node, unsigned int n,
		     unsigned int max)
{
	if (n < max)
		return false;
	config_error(diag, &node->value_place, "%s has too many items: expected at most %u",
		     node->name, max);
	return true;
}

static bool text_copy(struct config_diag *diag, const char *text, char **out)
{
	*out = strdup(text);
	if (!*out)
		diag->nomem = true;
	return *out;
}

/* ------------------------------------------------------------------ hosts */

static bool is_dns_name(const char *text)
{
	size_t len = strlen(text);

	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_", *c))
			return false;
	return len > 0 && len < 254 && isalnum((unsigned char)text[0]);
}

static bool text_host(const char *text, struct conn_host *host)
{
	host->kind = CONN_HOST_ANY;
	host->family = XIPSEC_FAMILY_ANY;
	if (strcmp(text, "%any") == 0)
		return true;
	host->family = XIPSEC_FAMILY_IP4;
	if (strcmp(text, "%any4") == 0 || strcmp(text, "0.0.0.0/0") == 0)
		return true;
	host->family = XIPSEC_FAMILY_IP6;
	if (strcmp(text, "%any6") == 0 || strcmp(text, "::/0") == 0)
		return true;
	host->kind = CONN_HOST_RANGE;
	return text_addr_range(text, &host->lo, &host->hi, &host->family);
}

/* Of which link? Nothing that is said of an SA's ends names an interface. */
static bool is_link_local(const struct conn_host *host)
{
	return host->kind == CONN_HOST_RANGE && host->family == XIPSEC_FAMILY_IP6 &&
	       host->lo.byte[0] == 0xfe && (host->lo.byte[1] & 0xc0) == 0x80;
}

static bool host_item(struct config_diag *diag, const struct config_node *node, const char *text,
		      void *into)
{
	struct conn_hosts *out = into;
	struct conn_host *host;

	if (too_many(diag, node, out->n, CONN_HOSTS_MAX))
		return false;
	host = grow(diag, (void **)&out->host, out->n, sizeof(*host));
	if (!host)
		return false;
	out->n++;
	if (text_host(text, host)) {
		if (!is_link_local(host))
			return true;
		config_error(diag, &node->value_place,
			     "%s: %s is of one link, not supported in this version: expected an "
			     "address that needs no interface beside it",
			     node->name, config_shown(text));
		return false;
	}
	*host = (struct conn_host){.kind = CONN_HOST_NAME};
	if (is_dns_name(text) && strspn(text, "0123456789.") < strlen(text))
		return text_copy(diag, text, &host->name);
	config_error(diag, &node->value_place,
		     "%s: %s is no host: expected an address, a prefix, FIRST-LAST, a DNS name or "
		     "%%any",
		     node->name, config_shown(text));
	return false;
}

bool parse_hosts(struct config_diag *diag, const struct config_node *node, struct conn_hosts *out)
{
	return parse_list(diag, node, host_item, out);
}

/* ------------------------------------------------------------------ texts */

struct texts_to {
	struct conn_texts *out;
	unsigned int max;
};

static bool text_item(struct config_diag *diag, const struct config_node *node, const char *text,
		      void *into)
{
	struct texts_to *to = into;
	char **one;

	if (too_many(diag, node, to->out->n, to->max))
		return false;
	one = grow(diag, (void **)&to->out->text, to->out->n, sizeof(*one));
	if (!one)
		return false;
	to->out->n++;
	return text_copy(diag, text, one);
}

bool parse_texts(struct config_diag *diag, const struct config_node *node, unsigned int max,
		 struct conn_texts *out)
{
	struct texts_to to = {out, max};

	return parse_list(diag, node, text_item, &to);
}

struct proposals_to {
	struct conn_texts *out;
	enum proposal_protocol protocol;
	struct proposals list; /* of what was good so far */
};

static bool proposal_item(struct config_diag *diag, const struct config_node *node,
			  const char *text, void *into)
{
	struct proposals_to *to = into;
	struct texts_to texts = {to->out, CONN_PROPOSALS_MAX};
	char why[256];

	if (proposals_add(&to->list, to->protocol, text, why, sizeof(why)) == 0)
		return text_item(diag, node, text, &texts);
	config_error(diag, &node->value_place, "%s: %s: %s", node->name, config_shown(text), why);
	return false;
}

bool parse_proposals(struct config_diag *diag, const struct config_node *node, __u8 l4_proto,
		     struct conn_texts *out)
{
	struct proposals_to to = {.out = out, .protocol = PROPOSAL_IKE};

	if (l4_proto)
		to.protocol = l4_proto == IPPROTO_AH ? PROPOSAL_AH : PROPOSAL_ESP;
	return parse_list(diag, node, proposal_item, &to);
}

bool parse_identity(struct config_diag *diag, const struct config_node *node, char **out)
{
	if (strlen(node->value) >= CONN_ID_MAX) {
		config_error(diag, &node->value_place,
			     "%s is no identity: expected less than %u letters", node->name,
			     CONN_ID_MAX);
		return false;
	}
	return text_copy(diag, node->value, out);
}

/* ------------------------------------------------------------------ certificates */

static struct conn_blob *blob_new(struct config_diag *diag, const struct config_node *node,
				  struct conn_blobs *out)
{
	struct conn_blob *blob;

	if (too_many(diag, node, out->n, CONN_CERTS_MAX))
		return NULL;
	blob = grow(diag, (void **)&out->blob, out->n, sizeof(*blob));
	if (blob)
		out->n++;
	return blob;
}

static bool blob_file(struct config_diag *diag, const struct config_node *node, const char *text,
		      void *into)
{
	struct conn_blob *blob = blob_new(diag, node, into);

	return blob && text_copy(diag, text, &blob->file);
}

static bool blob_bytes(struct config_diag *diag, const struct config_node *node,
		       const struct config_node *item, struct conn_blobs *out)
{
	struct conn_blob *blob = blob_new(diag, node, out);

	if (!blob)
		return false;
	blob->data = malloc(item->len + 1);
	if (!blob->data) {
		diag->nomem = true;
		return false;
	}
	memcpy(blob->data, item->value, item->len + 1);
	blob->len = item->len;
	return true;
}

bool parse_blobs(struct config_diag *diag, const struct config_node *node, struct conn_blobs *out)
{
	if (node->kind != CONFIG_BLOBS)
		return parse_list(diag, node, blob_file, out);
	for (const struct config_node *item = node->first; item; item = item->next)
		if (!blob_bytes(diag, node, item, out))
			return false;
	return true;
}

/* ------------------------------------------------------------------ what two sections say */

/* One node below `path`. */
static void digest_node(EVP_MD_CTX *hash, const struct config_node *node, const __u8 *path,
			__u8 out[CONN_DIGEST_LEN])
{
	EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
	EVP_DigestUpdate(hash, path, CONN_DIGEST_LEN);
	if (node->name)
		EVP_DigestUpdate(hash, node->name, strlen(node->name) + 1);
	if (node->value)
		EVP_DigestUpdate(hash, node->value, node->len);
	EVP_DigestFinal_ex(hash, out, NULL);
}

/* Nodes are added up, so the order of keys does not count; sections are part of the path of what
 * stands in them. */
static void digest_add(EVP_MD_CTX *hash, const struct config_node *first, const char *but,
		       const __u8 *path, __u8 sum[CONN_DIGEST_LEN])
{
	for (const struct config_node *node = first; node; node = node->next) {
		__u8 here[CONN_DIGEST_LEN];

		if (node->kind == CONFIG_SECTION && but && strcmp(node->name, but) == 0)
			continue;
		digest_node(hash, node, path, here);
		for (unsigned int i = 0; i < CONN_DIGEST_LEN; i++)
			sum[i] ^= here[i];
		digest_add(hash, node->first, NULL, here, sum);
	}
}

bool config_conn_digest(struct config_diag *diag, const struct config_node *section,
			const char *but, __u8 digest[CONN_DIGEST_LEN])
{
	static const __u8 root[CONN_DIGEST_LEN];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	memset(digest, 0, CONN_DIGEST_LEN);
	if (!hash) {
		diag->nomem = true;
		return false;
	}
	digest_add(hash, section->first, but, root, digest);
	EVP_MD_CTX_free(hash);
	return true;
}

bool parse_only(struct config_diag *diag, const struct config_node *node, const char *good,
		const char *why)
{
	if (strcmp(node->value, good) == 0)
		return true;
	config_error(diag, &node->value_place, "%s = %s: %s: expected %s, or no %s", node->name,
		     config_shown(node->value), why, good, node->name);
	return false;
}

bool key_unsupported(struct config_diag *diag, const struct config_node *node, void *into)
{
	config_error(diag, &node->place,
		     "%s is not supported in this version: expected it left out", node->name);
	return false;
}
