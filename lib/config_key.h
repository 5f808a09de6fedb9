/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which keys a section knows, as a table, and the walk that finds the unknown, the doubled and the
 * missing ones.
 */
#ifndef LIB_CONFIG_KEY_H
#define LIB_CONFIG_KEY_H

#include "lib/config_tree.h"

/* Understands one key into `into`. false: it has told `diag` what is wrong. */
typedef bool (*config_parse_fn)(struct config_diag *diag, const struct config_node *node,
				void *into);

struct config_key {
	const char *name; /* "local*": every name that begins so */
	config_parse_fn parse;
	bool section; /* `name { ... }`, not `name = ...` */
	bool required;
};

/* Walks `section` (NULL: the top of a file, which is `first`) with a table that an entry without a
 * name ends. Returns true if no error was found in it. */
bool config_walk(struct config_diag *diag, const struct config_node *section,
		 const struct config_node *first, const struct config_key *keys, void *into);

/* Walks a section of sections that bear names of the user's choice: calls `parse` for each, refuses
 * values, doubled names, and names that do not fit into `name_size` bytes. */
bool config_walk_named(struct config_diag *diag, const struct config_node *section,
		       size_t name_size, config_parse_fn parse, void *into);

/* Sections in it: an upper bound of what config_walk_named() will call. */
unsigned int config_count(const struct config_node *section);

/* The word of `words` (n of them) that `word` was probably meant to be, or NULL. */
const char *config_nearest(const char *word, const char *const *words, size_t n);

#endif
