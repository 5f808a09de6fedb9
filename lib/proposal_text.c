// SPDX-License-Identifier: BSD-2-Clause
#include "lib/proposal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/config_key.h"
#include "lib/proposal_names.h"

#define WORD_MAX 512 /* bytes of a proposal as text */

static int refuse(char *why, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(char *why, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, size, fmt, args);
	va_end(args);
	return -EINVAL;
}

static const char *protocol_name(unsigned int protocol)
{
	return protocol == PROPOSAL_IKE ? "IKE" : protocol == PROPOSAL_AH ? "AH" : "ESP";
}

/* ------------------------------------------------------------------ reading */

static bool is_aead(__u16 encr)
{
	return encr != ENCR_AES_CBC && encr != ENCR_AES_CTR && encr != ENCR_NULL;
}

static int add_transform(struct proposal *p, const struct transform *t, char *why, size_t size)
{
	for (unsigned int i = 0; i < p->n; i++)
		if (p->t[i].type == t->type && p->t[i].id == t->id &&
		    p->t[i].key_bits == t->key_bits)
			return 0;
	if (p->n == PROPOSAL_TRANSFORMS_MAX)
		return refuse(why, size, "more than %d algorithms", PROPOSAL_TRANSFORMS_MAX);
	p->t[p->n++] = *t;
	return 0;
}

static int unknown_name(const char *name, enum proposal_protocol protocol, char *why, size_t size)
{
	const char *all[80], *near, *reason = proposal_name_refused(name);
	bool null_in_ike = protocol == PROPOSAL_IKE && !strcasecmp(name, "null");

	if (!proposal_name_find(name, protocol)) {
		for (unsigned int other = PROPOSAL_IKE; other <= PROPOSAL_ESP; other++)
			if (proposal_name_find(name, other) && !null_in_ike)
				return refuse(why, size, "%s: is none of %s", name,
					      protocol_name(protocol));
	}
	if (reason)
		return refuse(why, size, "%s: %s", name, reason);
	near = config_nearest(name, all, proposal_names(protocol, all, 80));
	return refuse(why, size, "%s: is not known%s%s%s", name, near ? " (did you mean " : "",
		      near ? near : "", near ? "?)" : "");
}

static int add_name(struct proposal *p, const char *name, char *why, size_t size)
{
	const struct proposal_name *known = proposal_name_find(name, p->protocol);
	struct transform t = {0};

	if (!known)
		return unknown_name(name, p->protocol, why, size);
	t.type = known->type;
	t.id = known->id;
	t.key_bits = known->key_bits;
	return add_transform(p, &t, why, size);
}

static int add_names(struct proposal *p, const char *word, char *why, size_t size)
{
	char copy[WORD_MAX], *rest = copy, *name;
	int err = 0;

	if (strlen(word) >= sizeof(copy))
		return refuse(why, size, "is longer than %zu bytes", sizeof(copy) - 1);
	strcpy(copy, word);
	while (!err && (name = strsep(&rest, "-")))
		err = *name ? add_name(p, name, why, size)
			    : refuse(why, size, "nothing between two `-`, or in front or behind");
	return err;
}

static bool has(const struct proposal *p, enum transform_type type)
{
	return proposal_find(p, type);
}

static void drop_type(struct proposal *p, enum transform_type type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < p->n; i++)
		if (p->t[i].type != type)
			p->t[n++] = p->t[i];
	p->n = (__u8)n;
}

/* strongSwan's words: without a PRF, that of the integrity algorithm's hash is meant. */
static int add_prfs(struct proposal *p, char *why, size_t size)
{
	int err = 0;

	if (has(p, TRANSFORM_PRF))
		return 0;
	for (unsigned int i = 0; !err && i < p->n; i++) {
		struct transform t = {.type = TRANSFORM_PRF};

		if (p->t[i].type != TRANSFORM_INTEG)
			continue;
		t.id = (__u16)(p->t[i].id - INTEG_HMAC_SHA2_256_128 + PRF_HMAC_SHA2_256);
		err = add_transform(p, &t, why, size);
	}
	if (!err && !has(p, TRANSFORM_PRF))
		return refuse(why, size, "a PRF is missing: add prfsha256");
	return err;
}

/* Integrity goes with ciphers that have none of their own, and with those alone (RFC 5282 8). */
static int check_integrity(struct proposal *p, char *why, size_t size)
{
	unsigned int aead = 0, others = 0;

	for (unsigned int i = 0; i < p->n; i++)
		if (p->t[i].type == TRANSFORM_ENCR)
			*(is_aead(p->t[i].id) ? &aead : &others) += 1;
	if (aead && others)
		return refuse(why, size,
			      "ciphers with and without integrity of their own: make "
			      "two proposals of it");
	if (aead)
		drop_type(p, TRANSFORM_INTEG);
	else if (!has(p, TRANSFORM_INTEG))
		return refuse(why, size, "an integrity algorithm is missing: add sha256");
	return 0;
}

static int complete_ike(struct proposal *p, char *why, size_t size)
{
	int err;

	if (!has(p, TRANSFORM_ENCR))
		return refuse(why, size, "a cipher is missing: add aes128gcm16");
	err = add_prfs(p, why, size);
	if (!err)
		err = check_integrity(p, why, size);
	if (!err && !has(p, TRANSFORM_KE))
		err = refuse(why, size, "a key exchange is missing: add x25519");
	return err;
}

static int complete_sa(struct proposal *p, char *why, size_t size)
{
	const struct transform noesn = {.type = TRANSFORM_ESN, .id = ESN_NO};
	int err = 0;

	if (p->protocol == PROPOSAL_ESP && !has(p, TRANSFORM_ENCR))
		return refuse(why, size, "a cipher is missing: add aes128gcm16");
	if (p->protocol == PROPOSAL_ESP)
		err = check_integrity(p, why, size);
	else if (!has(p, TRANSFORM_INTEG))
		err = refuse(why, size, "an integrity algorithm is missing: add sha256");
	if (!err && !has(p, TRANSFORM_ESN))
		err = add_transform(p, &noesn, why, size);
	return err;
}

static int parse_word(const char *word, struct proposal *p, char *why, size_t size)
{
	int err = add_names(p, word, why, size);

	if (err)
		return err;
	return p->protocol == PROPOSAL_IKE ? complete_ike(p, why, size) : complete_sa(p, why, size);
}

/* ------------------------------------------------------------------ default */

static const char *const default_ike[] = {
	"aes128gcm16-aes256gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512-"
	"x25519-ecp256-ecp384-ecp521-x448-modp3072-modp4096-modp2048-modp6144-modp8192",
	"aes128-aes256-sha256-sha384-sha512-prfsha256-prfsha384-prfsha512-"
	"x25519-ecp256-ecp384-ecp521-x448-modp3072-modp4096-modp2048-modp6144-modp8192",
	NULL,
};

static const char *const default_esp[] = {
	"aes128gcm16-aes256gcm16-chacha20poly1305-esn-noesn",
	"aes128-aes256-sha256-sha384-sha512-esn-noesn",
	NULL,
};

static const char *const default_ah[] = {"sha256-sha384-sha512-esn-noesn", NULL};

static int add_words(struct proposals *list, enum proposal_protocol protocol,
		     const char *const *words, char *why, size_t size)
{
	unsigned int n = list->n;

	for (; *words; words++) {
		struct proposal p = {.number = (__u8)(n + 1), .protocol = (__u8)protocol};
		int err = parse_word(*words, &p, why, size);

		if (err)
			return err;
		if (n == PROPOSALS_MAX) {
			refuse(why, size, "more than %d proposals", PROPOSALS_MAX);
			return -E2BIG;
		}
		list->p[n++] = p;
	}
	list->n = n;
	return 0;
}

static const char *const *default_words(enum proposal_protocol protocol)
{
	return protocol == PROPOSAL_IKE  ? default_ike
	       : protocol == PROPOSAL_AH ? default_ah
					 : default_esp;
}

int proposals_add(struct proposals *list, enum proposal_protocol protocol, const char *word,
		  char *why, size_t size)
{
	const char *const one[] = {word, NULL};
	bool standard = !strcasecmp(word, "default");

	return add_words(list, protocol, standard ? default_words(protocol) : one, why, size);
}

void proposals_default(struct proposals *list, enum proposal_protocol protocol)
{
	char why[64];

	list->n = 0;
	add_words(list, protocol, default_words(protocol), why, sizeof(why));
}

/* ------------------------------------------------------------------ writing */

static size_t print(char *to, size_t size, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static size_t print(char *to, size_t size, size_t at, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(at < size ? to + at : NULL, at < size ? size - at : 0, fmt, args);
	va_end(args);
	return at + (size_t)n;
}

/* A type and a number, of what has no name. */
static size_t print_number(const struct transform *t, char *to, size_t size, size_t at)
{
	static const char *const types[] = {"0", "encr", "prf", "integ", "ke", "esn"};

	if (t->type < sizeof(types) / sizeof(types[0]))
		at = print(to, size, at, "%s_%u", types[t->type], t->id);
	else
		at = print(to, size, at, "%u_%u", t->type, t->id);
	return t->key_bits ? print(to, size, at, "_%u", t->key_bits) : at;
}

static size_t print_transform(const struct transform *t, unsigned int protocol, char *to,
			      size_t size, size_t at)
{
	const struct proposal_name *name = t->odd ? NULL : proposal_name_of(t, protocol);

	if (name)
		return print(to, size, at, "%s", name->name);
	if (t->type == TRANSFORM_INTEG && !t->id)
		return print(to, size, at, "integ_none");
	at = print_number(t, to, size, at);
	return t->odd ? print(to, size, at, "?") : at;
}

size_t proposal_print(const struct proposal *p, char *to, size_t size)
{
	size_t at = print(to, size, 0, "%s", "");

	for (unsigned int i = 0; i < p->n; i++) {
		at = print(to, size, at, "%s", i ? "-" : "");
		at = print_transform(&p->t[i], p->protocol, to, size, at);
	}
	return at;
}

size_t proposals_print(const struct proposals *list, char *to, size_t size)
{
	size_t at = print(to, size, 0, "%s", "");

	for (unsigned int i = 0; i < list->n; i++) {
		at = print(to, size, at, "%s", i ? ", " : "");
		at += proposal_print(&list->p[i], at < size ? to + at : NULL,
				     at < size ? size - at : 0);
	}
	return at;
}

const char *transform_name(const struct transform *t)
{
	const struct proposal_name *name = proposal_name_of(t, 0);
	static char number[40];

	if (name)
		return name->name;
	print_transform(t, 0, number, sizeof(number), 0);
	return number;
}

const char *ke_name(__u16 ke_id)
{
	const struct transform t = {.type = TRANSFORM_KE, .id = ke_id};

	return transform_name(&t);
}
