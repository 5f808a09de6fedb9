// SPDX-License-Identifier: BSD-2-Clause
#include "iked/conn_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct conn *const *)a)->name,
		      (*(const struct conn *const *)b)->name);
}

static int to_name(const void *name, const void *b)
{
	return strcmp(name, (*(const struct conn *const *)b)->name);
}

int conn_names_make(const struct config *config, struct conn_names *out)
{
	const struct conn **conn = calloc(config->n_conns + 1, sizeof(const struct conn *));

	if (!conn)
		return -ENOMEM;
	for (unsigned int i = 0; i < config->n_conns; i++)
		conn[i] = &config->conns[i];
	qsort(conn, config->n_conns, sizeof(const struct conn *), by_name);
	*out = (struct conn_names){conn, config->n_conns};
	return 0;
}

const struct conn *conn_names_find(const struct conn_names *names, const char *name)
{
	const struct conn **found = names->n ? bsearch(name, names->conn, names->n,
						       sizeof(const struct conn *), to_name)
					     : NULL;

	return found ? *found : NULL;
}

void conn_names_free(struct conn_names *names)
{
	free(names->conn);
	*names = (struct conn_names){0};
}
