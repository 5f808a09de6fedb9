/* SPDX-License-Identifier: BSD-2-Clause */
/* What one connection to the sadb socket may do: everything, until it is restricted (sadb.h). */
#ifndef LOADER_SADB_RIGHTS_H
#define LOADER_SADB_RIGHTS_H

#include <stdbool.h>
#include "lib/config.h"
#include "xipsec/sadb.h"

struct sadb_rights {
	bool restricted;  /* for good */
	bool connections; /* to the children of connections {}, and those below */
	bool sealed;      /* no more children can be added */
	char (*children)[XIPSEC_NAME_LEN];
	unsigned int n_children, room;
};

/* Restricts it to one child more. 0, or -EPERM: its list is closed, or full; -ENOMEM. */
int sadb_rights_add(struct sadb_rights *rights, const char *child);
/* The same for all children that connections {} has whenever it is asked. 0 or -EPERM. */
int sadb_rights_add_connections(struct sadb_rights *rights);

/* Whoever a restricted connection was lent to must not widen it: after the first request of another
 * kind the list is closed. */
void sadb_rights_seal(struct sadb_rights *rights);

/* By the config in force. `child` has XIPSEC_NAME_LEN bytes, with an end among them or not. */
bool sadb_rights_serve(const struct sadb_rights *rights, const struct config *config,
		       const char *child);

/* The same for an SA that exists: those of sas {} are nobody's who is restricted. */
bool sadb_rights_own(const struct sadb_rights *rights, const struct config *config,
		     const struct xipsec_sa *sa);

void sadb_rights_free(struct sadb_rights *rights);

#endif
