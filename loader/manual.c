// SPDX-License-Identifier: BSD-2-Clause
#include "loader/manual.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "lib/config_policy.h"
#include "lib/log.h"
#include "lib/sa_list.h"
#include "lib/sa_selectors.h"

int manual_add(struct sas *sas, struct xipsec_sa *sa, __u32 flags, char *text)
{
	int err;

	sa->flags |= XIPSEC_SA_MANUAL | flags;
	err = sas_add(sas, sa, text);
	if (err)
		log_error("%s", text);
	else
		log_info("SA %s: %s, child %s, is up", sa->name,
			 sa->dir == XIPSEC_DIR_OUT ? "outbound" : "inbound", sa->child);
	return err;
}

static const struct xipsec_sa *wanted(const struct config *config, const char *name)
{
	for (unsigned int i = 0; i < config->n_sas; i++)
		if (strcmp(config->sas[i].sa.name, name) == 0)
			return &config->sas[i].sa;
	return NULL;
}

/* What becomes of an SA by a config. */
enum fate { FATE_STAYS, FATE_LIST, FATE_GOES };

static enum fate fate_of(enum sa_list list)
{
	return list == SA_LIST_SAME ? FATE_STAYS : list == SA_LIST_REFUSALS ? FATE_LIST : FATE_GOES;
}

/* A client's SA has the list of selectors that the policies gave it; what they give it now may be
 * another one: *now. */
static enum fate clients_fate(const struct config *config, const struct sa *sa,
			      struct xipsec_sa *now)
{
	xipsec_sa_copy(now, &sa->sa);
	return sa_selectors_narrow(config, now) ? FATE_GOES
						: fate_of(sa_list_compare(&sa->sa, now));
}

static enum fate manuals_fate(struct sas *sas, const struct config *config, const struct sa *sa,
			      struct xipsec_sa *now)
{
	const struct config_tunnel *tunnel = config_tunnel_find(config, sa->sa.if_id);
	const struct xipsec_sa *want = wanted(config, sa->sa.name);

	if (!want || (tunnel && tunnel->engine != sa->sa.engine))
		return FATE_GOES; /* its interface is another one now */
	xipsec_sa_copy(now, want);
	OPENSSL_cleanse(now->key, sizeof(now->key));
	return fate_of(sas_compare(sas, sa, want));
}

/*
 * An SA from which other rules take something now stays as it is, but for its list. That list is
 * all that judges what its peer sends by it, and it cannot change in the same instant as the SPD:
 *
 * Before the switch the SA refuses what either list refuses, and only behind it no more than the
 * new one says. So what the new policies refuse ends no later than they come into force (every
 * worker has said that it goes by it), and what the old ones refuse not a packet before they go.
 * The other way round, or with the new list in one step, one of the two would come out of the
 * tunnel until the other side of the switch. Should there be no switch after all, the SA still
 * refuses what the policies in force refuse.
 */
enum when { BEFORE_SWITCH, SWITCHED };

/* False: it cannot be done in place. */
static bool relist(struct sas *sas, struct sa **sa, struct xipsec_sa *now, enum when when)
{
	struct xipsec_sa joined;
	struct sa *with;

	if (when == BEFORE_SWITCH) {
		xipsec_sa_copy(&joined, &(*sa)->sa);
		if (!sa_list_join(&joined, now))
			return false;
		if (sa_list_compare(&(*sa)->sa, &joined) == SA_LIST_SAME)
			return true;
		now = &joined;
	}
	with = sas_relist(sas, *sa, now);
	if (!with)
		return false;
	*sa = with;
	if (when == SWITCHED)
		log_info("SA %s goes on with %u selectors, for earlier rules than its own have "
			 "changed",
			 with->sa.name, with->sa.n_selectors);
	return true;
}

/* True if it must go, or be made anew; else *sa is where it stands now. */
static bool outdated(struct sas *sas, const struct config *config, struct sa **sa, enum when when)
{
	const bool manual = (*sa)->sa.flags & XIPSEC_SA_MANUAL;
	struct xipsec_sa now;
	enum fate fate = manual ? manuals_fate(sas, config, *sa, &now)
				: clients_fate(config, *sa, &now);

	if (fate == FATE_STAYS || (fate == FATE_LIST && relist(sas, sa, &now, when)))
		return false;
	if (manual)
		return true;
	log_info("SA %s: the policies of its child have changed, its client has to make it anew",
		 (*sa)->sa.name);
	sas_expire(sas, *sa);
	return true;
}

/* Do they speak of a packet that the SA accepts? */
static bool meets(const struct xipsec_sa *sa, const struct config_policy *policies, unsigned int n)
{
	struct xipsec_selector both;

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < policies[i].n_rules; k++)
			for (__u32 e = 0; e < sa->n_selectors; e++)
				if (!sa->refuse[e] && selector_meet(&policies[i].rules[k].sel,
								    &sa->selector[e], &both))
					return true;
	return false;
}

/* The list of an SA is made of the policies that meet what it accepts: where others come or go, it
 * stays. To ask that of 10,000 SAs takes 1 ms; to make their lists anew among 5,000 policies, 1 s.
 */
static bool concerned(const struct config *config, const struct config_client_change *change,
		      const struct sa *sa)
{
	if (sa->sa.if_id && sa->sa.flags & XIPSEC_SA_MANUAL)
		return false; /* routes lead into it: no policy speaks of it */
	return meets(&sa->sa, change->old_policies, change->n_old) ||
	       meets(&sa->sa, config->policies + change->at, change->n_new);
}

/* `change` NULL: of all. */
static int withdraw(struct sas *sas, const struct config *config,
		    const struct config_client_change *change, enum when when, char *text)
{
	struct sa **gone = calloc(sas_count(sas) + 1, sizeof(*gone));
	unsigned int n = 0;
	int err;

	if (!gone)
		return -ENOMEM;
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa))
		if ((!change || concerned(config, change, sa)) && outdated(sas, config, &sa, when))
			gone[n++] = sa;
	sas_settle(sas);
	err = sas_delete(sas, gone, n);
	free(gone);
	if (err)
		snprintf(text, XIPSEC_SADB_ERR_TEXT,
			 "what an SA that went received cannot be written to state_dir: %s: make "
			 "room there, add that SA and delete it again, or never use its key again",
			 strerror(-err));
	return err;
}

int manual_withdraw(struct sas *sas, const struct config *config, char *text)
{
	return withdraw(sas, config, NULL, BEFORE_SWITCH, text);
}

int manual_withdraw_by(struct sas *sas, const struct config *config,
		       const struct config_client_change *change, char *text)
{
	return withdraw(sas, config, change, BEFORE_SWITCH, text);
}

int manual_switched_by(struct sas *sas, const struct config *config,
		       const struct config_client_change *change, char *text)
{
	return withdraw(sas, config, change, SWITCHED, text);
}

bool manual_concerned(struct sas *sas, const struct config *config,
		      const struct config_client_change *change)
{
	struct sa *sa = sas_next(sas, NULL);

	while (sa && !(sa->sa.flags & XIPSEC_SA_MANUAL && concerned(config, change, sa)))
		sa = sas_next(sas, sa);
	return sa;
}

int manual_apply(struct sas *sas, struct config *config, char *text)
{
	int err, first = withdraw(sas, config, NULL, SWITCHED, text);
	char why[XIPSEC_SADB_ERR_TEXT];

	for (unsigned int i = 0; i < config->n_sas; i++) {
		struct xipsec_sa *sa = &config->sas[i].sa;

		if (sas_by_name(sas, sa->name))
			continue;
		err = manual_add(sas, sa, 0, why);
		if (err && !first) {
			first = err;
			memcpy(text, why, sizeof(why));
		}
	}
	return first;
}
