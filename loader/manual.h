/* SPDX-License-Identifier: BSD-2-Clause */
/* The SAs of sas {}, which have their keys from the config. */
#ifndef LOADER_MANUAL_H
#define LOADER_MANUAL_H

#include "lib/config.h"
#include "loader/sas.h"

/* Adds one, marked as manual, with XIPSEC_SA_* `flags`. 0, or -errno with `text`
 * (XIPSEC_SADB_ERR_TEXT). The caller wipes the key. */
int manual_add(struct sas *sas, struct xipsec_sa *sa, __u32 flags, char *text);

/* Before the policies of `config` are switched in. Takes away what it does not have, or has
 * otherwise: manual SAs, and those of clients to which its policies would give other selectors.
 * Where no more has changed than what earlier rules take from an SA, that stays and refuses from
 * now on what either list refuses. 0, or -errno with `text` (XIPSEC_SADB_ERR_TEXT) where a record
 * could not be closed (sas_delete()). */
int manual_withdraw(struct sas *sas, const struct config *config, char *text);

/* The same for the SAs of the children of `conn` alone. */
int manual_withdraw_of(struct sas *sas, const struct config *config, const struct conn *conn,
		       char *text);

/* When they are switched in: these refuse what the new list refuses. Returns as above. */
int manual_switched_of(struct sas *sas, const struct config *config, const struct conn *conn,
		       char *text);

/* The same for all SAs, and adds: the manual SAs are those of `config` then, and what did not
 * change does not notice. 0, or -errno with `text` (XIPSEC_SADB_ERR_TEXT) of the first whose record
 * could not be closed (sas_delete()), or that could not be added; the others are as they should be.
 */
int manual_apply(struct sas *sas, struct config *config, char *text);

#endif
