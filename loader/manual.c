// SPDX-License-Identifier: BSD-2-Clause
#include "loader/manual.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
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

/* A client's SA has the list of selectors that the policies gave it; what they give it now may be
 * another one. */
static bool list_holds(const struct config *config, const struct sa *sa)
{
	struct xipsec_sa now;

	xipsec_sa_copy(&now, &sa->sa);
	return !sa_selectors_narrow(config, &now) && now.n_selectors == sa->sa.n_selectors &&
	       memcmp(&now, &sa->sa, XIPSEC_SA_SIZE(now.n_selectors)) == 0;
}

/* True if it must go, or be made anew. */
static bool outdated(struct sas *sas, const struct config *config, const struct sa *sa)
{
	const struct config_tunnel *tunnel = config_tunnel_find(config, sa->sa.if_id);
	const struct xipsec_sa *want = wanted(config, sa->sa.name);

	if (tunnel && tunnel->engine != sa->sa.engine)
		want = NULL; /* its interface is another one now */
	if (sa->sa.flags & XIPSEC_SA_MANUAL)
		return !want || !sas_same(sas, sa, want);
	if (list_holds(config, sa))
		return false;
	log_info("SA %s: the policies of its child have changed, its client has to make it anew",
		 sa->sa.name);
	sas_expire(sas, sa);
	return true;
}

static bool is_of(const struct conn *conn, const struct sa *sa)
{
	for (unsigned int i = 0; i < conn->n_children; i++)
		if (strcmp(conn->children[i].sadb_name, sa->sa.child) == 0)
			return true;
	return false;
}

/* `conn` NULL: of all. */
static int withdraw(struct sas *sas, const struct config *config, const struct conn *conn,
		    char *text)
{
	struct sa **gone = calloc(sas_count(sas) + 1, sizeof(*gone));
	unsigned int n = 0;
	int err;

	if (!gone)
		return -ENOMEM;
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa))
		if ((!conn || is_of(conn, sa)) && outdated(sas, config, sa))
			gone[n++] = sa;
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
	return withdraw(sas, config, NULL, text);
}

int manual_withdraw_of(struct sas *sas, const struct config *config, const struct conn *conn,
		       char *text)
{
	return withdraw(sas, config, conn, text);
}

int manual_apply(struct sas *sas, struct config *config, char *text)
{
	int err, first = manual_withdraw(sas, config, text);
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
