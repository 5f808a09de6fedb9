/* SPDX-License-Identifier: BSD-2-Clause */
/* The SAs of sas {}, which have their keys from the config. */
#ifndef LOADER_MANUAL_H
#define LOADER_MANUAL_H

#include "lib/config_clients.h"
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

/* The same where no more than `change` is new in `config`, for the SAs of clients: of those whose
 * packets it does not speak of none is looked at. */
int manual_withdraw_by(struct sas *sas, const struct config *config,
		       const struct config_client_change *change, char *text);

/* When it is switched in: these refuse what the new list refuses. Returns as above. */
int manual_switched_by(struct sas *sas, const struct config *config,
		       const struct config_client_change *change, char *text);

/* Does it speak of packets of a manual SA? Its list was made with its key, of the file. */
bool manual_concerned(struct sas *sas, const struct config *config,
		      const struct config_client_change *change);

/* The same for all SAs, and adds: the manual SAs are those of `config` then, and what did not
 * change does not notice. 0, or -errno with `text` (XIPSEC_SADB_ERR_TEXT) of the first whose record
 * could not be closed (sas_delete()), or that could not be added; the others are as they should be.
 */
int manual_apply(struct sas *sas, struct config *config, char *text);

#endif
