// SPDX-License-Identifier: BSD-2-Clause
/* What the two engines have, and whether it is the same. */
#include "tests/unit/ike_sim_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

unsigned int sim_ikes(const struct side *side, int state)
{
	unsigned int n = 0;

	for (const struct ike_sa *ike = side->engine->first; ike; ike = ike->next)
		n += state < 0 || ike->state == state;
	return n;
}

struct ike_sa *sim_ike(const struct side *side)
{
	struct ike_sa *found = NULL;

	for (struct ike_sa *ike = side->engine->first; ike; ike = ike->next) {
		if (ike->state != IKE_UP)
			continue;
		if (found)
			return NULL;
		found = ike;
	}
	return found;
}

unsigned int sim_children(const struct side *side, int state)
{
	unsigned int n = 0;

	for (const struct ike_sa *ike = side->engine->first; ike; ike = ike->next)
		for (const struct child_sa *child = ike->children; child; child = child->next)
			n += state < 0 || child->state == state;
	return n;
}

struct child_sa *sim_child(const struct side *side, const char *name)
{
	struct child_sa *found = NULL;

	for (const struct ike_sa *ike = side->engine->first; ike; ike = ike->next)
		for (struct child_sa *child = ike->children; child; child = child->next) {
			if (child->state != CHILD_UP || strcmp(child->cfg->name, name))
				continue;
			if (found)
				return NULL;
			found = child;
		}
	return found;
}

/* Of an outbound SA alone: how it seals. */
#define SEALS (XIPSEC_SA_NO_ECN | XIPSEC_SA_DSCP | XIPSEC_SA_FLOW_COPY)

static void same_half(struct sim *sim, const struct xipsec_sa *out, const struct side *other)
{
	int i = sim_find_in(other, out->spi);
	const struct xipsec_sa *in = i < 0 ? NULL : &other->sa[i];

	if (!in) {
		sim_fail(sim, "%s has no other half", out->name);
		return;
	}
	if (in->alg != out->alg || in->key_len != out->key_len || in->mode != out->mode ||
	    memcmp(in->key, out->key, out->key_len) ||
	    (in->flags & ~(XIPSEC_SA_STAY | XIPSEC_SA_LATER)) != (out->flags & ~SEALS))
		sim_fail(sim, "%s and %s are not the same SA", out->name, in->name);
	if (out->n_selectors != in->n_selectors)
		sim_fail(sim, "%s and %s have other selectors", out->name, in->name);
	for (unsigned int k = 0; k < out->n_selectors; k++)
		if (memcmp(&out->selector[k].local_lo, &in->selector[k].remote_lo,
			   2 * sizeof(struct xipsec_addr)) ||
		    memcmp(&out->selector[k].remote_lo, &in->selector[k].local_lo,
			   2 * sizeof(struct xipsec_addr)))
			sim_fail(sim, "%s and %s have other selectors", out->name, in->name);
}

static void same_side(struct sim *sim, struct side *side, unsigned int n_ikes,
		      unsigned int n_children)
{
	struct side *other = &sim->side[!side->n];
	unsigned int n = sim_ikes(side, -1);

	if (n != n_ikes || sim_ikes(side, IKE_UP) != n_ikes)
		sim_fail(sim, "side %d: %u IKE SAs, %u of them up; expected %u", side->n, n,
			 sim_ikes(side, IKE_UP), n_ikes);
	for (const struct ike_sa *ike = side->engine->first; ike; ike = ike->next) {
		const struct ike_sa *twin =
			ike_by_spi(other->engine, ike->initiator ? ike->spi_r : ike->spi_i);

		if (!twin || memcmp(ike->keys->sk_d, twin->keys->sk_d, ike->keys->len) ||
		    ike->w.out_id != twin->w.in_id)
			sim_fail(sim, "side %d: IKE SA %u has no twin", side->n, ike->id);
		if (ike->n_children != n_children ||
		    sim_children(side, CHILD_UP) != n_ikes * n_children)
			sim_fail(sim, "side %d: IKE SA %u has %u children, %u in all are up",
				 side->n, ike->id, ike->n_children, sim_children(side, CHILD_UP));
		if (ike->ours || ike->peers || ike->tasks || ike->setup || ike->from)
			sim_fail(sim, "side %d: IKE SA %u is not at rest", side->n, ike->id);
	}
	if (side->n_sas != 2 * n_ikes * n_children)
		sim_fail(sim, "side %d: xipsecd has %u SAs, expected %u", side->n, side->n_sas,
			 2 * n_ikes * n_children);
	for (unsigned int i = 0; i < side->n_sas; i++)
		if (side->sa[i].dir == XIPSEC_DIR_OUT)
			same_half(sim, &side->sa[i], other);
}

void sim_same(struct sim *sim, unsigned int n_ikes, unsigned int n_children)
{
	same_side(sim, &sim->side[0], n_ikes, n_children);
	same_side(sim, &sim->side[1], n_ikes, n_children);
}
