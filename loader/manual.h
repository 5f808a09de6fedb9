/* SPDX-License-Identifier: BSD-2-Clause */
/* The SAs of sas {}, which have their keys from the config. */
#ifndef LOADER_MANUAL_H
#define LOADER_MANUAL_H

#include "lib/config.h"
#include "loader/sas.h"

/* Adds one, marked as manual, with XIPSEC_SA_* `flags`. 0, or -errno with `text`
 * (XIPSEC_SADB_ERR_TEXT). The caller wipes the key. */
int manual_add(struct sas *sas, struct xipsec_sa *sa, __u32 flags, char *text);

/* Makes the manual SAs be those of `config`: what did not change does not notice. SAs of clients go
 * if the policies would give them other selectors now. 0, or -errno with `text`
 * (XIPSEC_SADB_ERR_TEXT) of the first whose record could not be closed (sas_delete()), or that
 * could not be added; the others are as they should be. */
int manual_apply(struct sas *sas, struct config *config, char *text);

#endif
