/* SPDX-License-Identifier: BSD-2-Clause */
/* The connections of a config, by name: ten thousand of them are asked for in each AUTH. */
#ifndef IKED_CONN_NAMES_H
#define IKED_CONN_NAMES_H

#include "lib/config.h"

struct conn_names {
	const struct conn **conn; /* own memory, sorted; what it points at is the config's */
	unsigned int n;
};

/* 0 or -ENOMEM: *out is untouched then. It is good as long as the config's connections stay where
 * they are. */
int conn_names_make(const struct config *config, struct conn_names *out);
const struct conn *conn_names_find(const struct conn_names *names, const char *name);
void conn_names_free(struct conn_names *names);

#endif
