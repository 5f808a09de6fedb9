// SPDX-License-Identifier: BSD-2-Clause
#include "iked/creds_inside.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "lib/log.h"

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

/* May these two use it? One that names somebody besides us is for those alone: who shares it with
 * us would else be believed to be any other peer that has none of its own. */
static bool is_for(const struct psk *psk, const struct ident *me, const struct ident *other)
{
	bool others = false;

	if (!psk->n_owners || owned_by(psk, other))
		return true;
	for (unsigned int i = 0; i < psk->n_owners; i++)
		others |= !me || !ident_match(psk->owners[i], me);
	return owned_by(psk, me) && (!other || !others);
}

struct bytes creds_psk(const struct creds *creds, const struct ident *me, const struct ident *other)
{
	struct bytes best = BYTES_NONE;
	int best_me = -1, best_other = -1;

	for (unsigned int i = 0; i < creds->n_psks; i++) {
		const struct psk *psk = &creds->psks[i];
		int of_me = owned_by(psk, me), of_other = owned_by(psk, other);

		if (!psk->len || !is_for(psk, me, other))
			continue;
		if (of_other > best_other || (of_other == best_other && of_me > best_me)) {
			best = BYTES(psk->data, psk->len);
			best_me = of_me;
			best_other = of_other;
		}
	}
	return best;
}

void creds_free_psks(struct creds *creds)
{
	for (unsigned int i = 0; i < creds->n_psks; i++) {
		struct psk *psk = &creds->psks[i];

		for (unsigned int k = 0; k < psk->n_owners; k++)
			free(psk->owners[k]);
		free(psk->owners);
		OPENSSL_secure_free(psk->data); /* wipes */
	}
	free(creds->psks);
}
