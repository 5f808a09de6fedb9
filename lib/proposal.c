// SPDX-License-Identifier: BSD-2-Clause
#include "lib/proposal.h"

#include <errno.h>
#include <string.h>

const struct transform *proposal_find(const struct proposal *p, enum transform_type type)
{
	for (unsigned int i = 0; i < p->n; i++)
		if (p->t[i].type == type)
			return &p->t[i];
	return NULL;
}

__u16 proposal_id(const struct proposal *p, enum transform_type type)
{
	const struct transform *t = proposal_find(p, type);

	return t ? t->id : 0;
}

static bool same(const struct transform *a, const struct transform *b)
{
	return !a->odd && !b->odd && a->type == b->type && a->id == b->id &&
	       a->key_bits == b->key_bits;
}

static bool offers(const struct proposal *p, const struct transform *t)
{
	for (unsigned int i = 0; i < p->n; i++)
		if (same(&p->t[i], t))
			return true;
	return false;
}

/* INTEG and KE: the value NONE, or no transform of that type, which means the same (RFC
 * 7296 3.3.3). */
static bool offers_none(const struct proposal *p, enum transform_type type)
{
	const struct transform none = {.type = (__u8)type, .id = TRANSFORM_NONE};

	return !proposal_find(p, type) || offers(p, &none);
}

bool proposal_has_ke(const struct proposal *p, __u16 ke_id)
{
	const struct transform t = {.type = TRANSFORM_KE, .id = ke_id};

	return offers(p, &t);
}

unsigned int proposals_groups(const struct proposals *list, __u16 *to, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < list->n; i++) {
		const struct proposal *p = &list->p[i];

		for (unsigned int j = 0; j < p->n && n < max; j++) {
			bool seen = p->t[j].type != TRANSFORM_KE || p->t[j].id == TRANSFORM_NONE;

			for (unsigned int k = 0; k < n && !seen; k++)
				seen = to[k] == p->t[j].id;
			if (!seen)
				to[n++] = p->t[j].id;
		}
	}
	return n;
}

void proposals_strip_ke(struct proposals *list)
{
	for (unsigned int i = 0; i < list->n; i++) {
		struct proposal *p = &list->p[i];
		unsigned int n = 0;

		for (unsigned int j = 0; j < p->n; j++)
			if (p->t[j].type != TRANSFORM_KE)
				p->t[n++] = p->t[j];
		p->n = (__u8)n;
	}
}

/* ------------------------------------------------------------------ choosing */

static bool is_aead(__u16 encr)
{
	return encr != ENCR_AES_CBC && encr != ENCR_AES_CTR && encr != ENCR_NULL;
}

static void take(struct proposal *out, const struct transform *t)
{
	out->t[out->n++] = *t;
}

/* Our most preferred of a type that they have too, but for NONE. */
static const struct transform *common(const struct proposal *ours, const struct proposal *theirs,
				      enum transform_type type)
{
	for (unsigned int i = 0; i < ours->n; i++) {
		const struct transform *t = &ours->t[i];

		if (t->type != type || (t->id == TRANSFORM_NONE && type != TRANSFORM_ESN))
			continue;
		if (offers(theirs, t))
			return t;
	}
	return NULL;
}

static bool choose_one(const struct proposal *ours, const struct proposal *theirs,
		       enum transform_type type, struct proposal *out)
{
	const struct transform *t = common(ours, theirs, type);

	if (t)
		take(out, t);
	return t;
}

/* A cipher, with integrity where it has none of its own and without where it has (RFC 5282 8). */
static bool choose_cipher(const struct proposal *ours, const struct proposal *theirs,
			  struct proposal *out)
{
	bool none = offers_none(theirs, TRANSFORM_INTEG) && offers_none(ours, TRANSFORM_INTEG);

	for (unsigned int i = 0; i < ours->n; i++) {
		const struct transform *t = &ours->t[i], *integ;

		if (t->type != TRANSFORM_ENCR || !offers(theirs, t))
			continue;
		integ = common(ours, theirs, TRANSFORM_INTEG);
		if (is_aead(t->id) ? !none : !integ)
			continue;
		take(out, t);
		if (!is_aead(t->id))
			take(out, integ);
		return true;
	}
	return false;
}

static bool choose_ke(const struct proposal *ours, const struct proposal *theirs,
		      const struct proposal_choice *how, struct proposal *out)
{
	const struct transform wish = {.type = TRANSFORM_KE, .id = how->ke_group};

	if (how->no_ke)
		return true;
	if (how->ke_group && offers(ours, &wish) && offers(theirs, &wish)) {
		take(out, &wish);
		return true;
	}
	if (choose_one(ours, theirs, TRANSFORM_KE, out))
		return true;
	return ours->protocol != PROPOSAL_IKE && offers_none(ours, TRANSFORM_KE) &&
	       offers_none(theirs, TRANSFORM_KE);
}

/* RFC 7296 3.3.6: one with a type that we do not know is unacceptable; 3.3.1: the SPI's size. */
static bool acceptable(const struct proposal *theirs)
{
	bool spi = theirs->protocol == PROPOSAL_IKE ? !theirs->spi_len || theirs->spi_len == 8
						    : theirs->spi_len == 4;

	for (unsigned int i = 0; i < theirs->n; i++)
		if (theirs->t[i].type < TRANSFORM_ENCR || theirs->t[i].type > TRANSFORM_ESN)
			return false;
	return spi;
}

static bool choose(const struct proposal *ours, const struct proposal *theirs,
		   const struct proposal_choice *how, struct proposal *out)
{
	struct proposal p = {.number = theirs->number, .protocol = theirs->protocol};

	if (ours->protocol != theirs->protocol || !acceptable(theirs))
		return false;
	p.spi_len = theirs->spi_len;
	memcpy(p.spi, theirs->spi, sizeof(p.spi));
	if (p.protocol == PROPOSAL_AH) {
		if (!choose_one(ours, theirs, TRANSFORM_INTEG, &p))
			return false;
	} else if (!choose_cipher(ours, theirs, &p)) {
		return false;
	}
	if (p.protocol == PROPOSAL_IKE && !choose_one(ours, theirs, TRANSFORM_PRF, &p))
		return false;
	if (!choose_ke(ours, theirs, how, &p))
		return false;
	if (p.protocol != PROPOSAL_IKE && !choose_one(ours, theirs, TRANSFORM_ESN, &p))
		return false;
	*out = p;
	return true;
}

int proposal_choose(const struct proposals *ours, const struct proposals *theirs,
		    const struct proposal_choice *how, struct proposal *out)
{
	for (unsigned int i = 0; i < ours->n; i++)
		for (unsigned int j = 0; j < theirs->n; j++)
			if (choose(&ours->p[i], &theirs->p[j], how, out))
				return 0;
	return -ENOENT;
}

/* Nothing of a type twice, nothing that was not offered. */
static bool consistent(const struct proposal *offer, const struct proposal *answer)
{
	for (unsigned int i = 0; i < answer->n; i++) {
		const struct transform *t = &answer->t[i];
		bool integ_none = t->type == TRANSFORM_INTEG && t->id == TRANSFORM_NONE;

		if (proposal_find(answer, t->type) != t)
			return false;
		if (!offers(offer, t) && !(integ_none && offers_none(offer, TRANSFORM_INTEG)))
			return false;
	}
	return true;
}

int proposal_accept(const struct proposals *offered, const struct proposals *answer, bool no_ke,
		    struct proposal *out)
{
	const struct proposal_choice how = {.no_ke = no_ke};
	const struct proposal *a = &answer->p[0];

	if (answer->n != 1)
		return -EINVAL;
	for (unsigned int i = 0; i < offered->n; i++) {
		const struct proposal *offer = &offered->p[i];
		struct proposal p;

		if (offer->number != a->number || !consistent(offer, a))
			continue;
		/* what choosing leaves of an answer, that is complete */
		if (choose(offer, a, &how, &p)) {
			*out = p;
			return 0;
		}
	}
	return -EINVAL;
}
