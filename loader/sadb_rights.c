// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sadb_rights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sadb_rights_add(struct sadb_rights *rights, const char *child)
{
	char(*children)[XIPSEC_NAME_LEN];

	if (rights->sealed || rights->n_children >= XIPSEC_CHILDREN_MAX)
		return -EPERM;
	if (rights->n_children == rights->room) {
		children = realloc(rights->children, (rights->room + 64) * sizeof(*children));
		if (!children)
			return -ENOMEM;
		rights->children = children;
		rights->room += 64;
	}
	snprintf(rights->children[rights->n_children++], XIPSEC_NAME_LEN, "%s", child);
	rights->restricted = true;
	return 0;
}

int sadb_rights_add_connections(struct sadb_rights *rights)
{
	if (rights->sealed)
		return -EPERM;
	rights->connections = rights->restricted = true;
	return 0;
}

void sadb_rights_seal(struct sadb_rights *rights)
{
	if (rights->restricted)
		rights->sealed = true;
}

bool sadb_rights_serve(const struct sadb_rights *rights, const struct config *config,
		       const char *child)
{
	if (!rights->restricted)
		return true;
	if (!memchr(child, 0, XIPSEC_NAME_LEN))
		return false;
	for (unsigned int i = 0; i < rights->n_children; i++)
		if (strcmp(rights->children[i], child) == 0)
			return true;
	return rights->connections && config_conn_child_known(config, child);
}

bool sadb_rights_own(const struct sadb_rights *rights, const struct config *config,
		     const struct xipsec_sa *sa)
{
	if (!rights->restricted)
		return true;
	return !(sa->flags & XIPSEC_SA_MANUAL) && sadb_rights_serve(rights, config, sa->child);
}

void sadb_rights_free(struct sadb_rights *rights)
{
	free(rights->children);
}
