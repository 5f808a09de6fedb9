// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>
#include "lib/config_key.h"
#include "lib/name_index.h"

#define KEYS_MAX 64 /* of one table: they are marked in a word */

static bool key_is(const struct config_key *key, const char *name)
{
	size_t len = strcspn(key->name, "*");

	return key->name[len] ? strncmp(key->name, name, len) == 0 : strcmp(key->name, name) == 0;
}

static const struct config_key *key_find(const struct config_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (key_is(keys, name))
			return keys;
	return NULL;
}

/* Returns the key that was probably meant, or NULL. */
static const struct config_key *tell_unknown(struct config_diag *diag,
					     const struct config_node *node,
					     const struct config_key *keys)
{
	const struct config_key *table = keys;
	const char *kind = node->kind == CONFIG_SECTION ? "section" : "key";
	const char *names[KEYS_MAX] = {0}, *near;
	char list[1024] = "";
	size_t n = 0, len = 0;

	for (; keys->name && n < KEYS_MAX; keys++)
		names[n++] = keys->name;
	near = config_nearest(node->name, names, n);
	if (near) {
		config_error(diag, &node->place, "unknown %s %s: expected %s", kind,
			     config_shown(node->name), near);
		return key_find(table, near);
	}
	for (size_t i = 0; i < n && len < sizeof(list); i++)
		len += snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", names[i]);
	config_error(diag, &node->place, "unknown %s %s: expected one of %s", kind,
		     config_shown(node->name), list);
	return NULL;
}

/* The first node of that name before `node`, or NULL: for sections of known keys, which are few. */
static const struct config_node *earlier(const struct config_node *first,
					 const struct config_node *node)
{
	for (; first != node; first = first->next)
		if (first->kind != CONFIG_DAMAGE && strcmp(first->name, node->name) == 0)
			return first;
	return NULL;
}

/* The names of a list, each with its first node: a file may have a hundred thousand policies. */
struct names {
	const struct config_node **slot; /* open addressing, at most half full */
	size_t mask;
};

static bool names_make(struct names *names, const struct config_node *first)
{
	size_t n = 1;

	for (names->mask = 15; first; first = first->next)
		if (2 * n++ > names->mask)
			names->mask = 2 * names->mask + 1;
	names->slot = calloc(names->mask + 1, sizeof(names->slot[0]));
	return names->slot != NULL;
}

/* The first node of that name, if it came before; else `node` is it, and NULL returned. */
static const struct config_node *names_put(struct names *names, const struct config_node *node)
{
	size_t at = name_hash(node->name) & names->mask;

	for (; names->slot[at]; at = (at + 1) & names->mask)
		if (strcmp(names->slot[at]->name, node->name) == 0)
			return names->slot[at];
	names->slot[at] = node;
	return NULL;
}

static bool refuse_double(struct config_diag *diag, const struct config_node *before,
			  const struct config_node *node)
{
	if (!before)
		return false;
	config_error(diag, &node->place, "%s stands twice, first at %s:%u:%u: expected it once",
		     config_shown(node->name), before->place.file->name, before->place.line,
		     before->place.column);
	return true;
}

static bool refuse_refers(struct config_diag *diag, const struct config_node *node)
{
	if (node->refers)
		config_error(diag, &node->place,
			     "%s refers to other sections: expected `name {`, references are not "
			     "supported in this version",
			     config_shown(node->name));
	return node->refers;
}

static bool key_apply(struct config_diag *diag, const struct config_node *node,
		      const struct config_key *key, void *into)
{
	if (key->section && node->kind != CONFIG_SECTION) {
		config_error(diag, &node->place, "%s has a value: expected a section, `%s { ... }`",
			     node->name, node->name);
		return false;
	}
	if (!key->section && node->kind == CONFIG_SECTION) {
		config_error(diag, &node->place, "%s is a section: expected a value, `%s = ...`",
			     node->name, node->name);
		return false;
	}
	if (refuse_refers(diag, node))
		return false;
	if (!key->section && node->kind == CONFIG_VALUE && !node->value[0]) {
		config_error(diag, &node->place, "%s has no value: expected `%s = ...`", node->name,
			     node->name);
		return false;
	}
	return key->parse(diag, node, into);
}

bool config_walk(struct config_diag *diag, const struct config_node *section,
		 const struct config_node *first, const struct config_key *keys, void *into)
{
	bool ok = true, damaged = false;
	__u64 seen = 0;

	for (const struct config_node *node = first; node; node = node->next) {
		const struct config_key *key;

		if (node->kind == CONFIG_DAMAGE) {
			damaged = true;
			continue;
		}
		key = key_find(keys, node->name);
		if (!key) {
			key = tell_unknown(diag, node, keys);
			if (key)
				seen |= 1ULL << (key - keys);
			ok = false;
			continue;
		}
		seen |= 1ULL << (key - keys);
		if (refuse_double(diag, earlier(first, node), node) ||
		    !key_apply(diag, node, key, into))
			ok = false;
	}
	/* what is missing may stand in the damaged line */
	for (const struct config_key *key = keys; key->name && !damaged; key++) {
		if (key->required && !(seen & 1ULL << (key - keys))) {
			config_error(diag, &section->place, "%s has no %s: expected `%s = ...`",
				     config_shown(section->name), key->name, key->name);
			ok = false;
		}
	}
	return ok && !damaged;
}

static bool name_fits(struct config_diag *diag, const struct config_node *node, size_t size)
{
	const char *c = node->name;

	while (isgraph((unsigned char)*c) && *c != '/' && *c != '"')
		c++;
	if (*c || c == node->name || (size_t)(c - node->name) >= size) {
		config_error(diag, &node->place,
			     "bad name %s: expected 1 to %zu letters, digits or signs without "
			     "space, slash and quote",
			     config_shown(node->name), size - 1);
		return false;
	}
	return true;
}

static bool walk_named_one(struct config_diag *diag, const struct config_node *section,
			   const struct config_node *node, const struct config_node *before,
			   size_t name_size)
{
	if (node->kind == CONFIG_VALUE) {
		config_error(diag, &node->place,
			     "%s has a value: expected sections, `NAME { ... }`, in %s",
			     config_shown(node->name), section->name);
		return false;
	}
	return name_fits(diag, node, name_size) && !refuse_refers(diag, node) &&
	       !refuse_double(diag, before, node);
}

bool config_walk_named(struct config_diag *diag, const struct config_node *section,
		       size_t name_size, config_parse_fn parse, void *into)
{
	struct names names;
	bool ok = true;

	if (!names_make(&names, section->first)) {
		diag->nomem = true;
		return false;
	}
	for (const struct config_node *node = section->first; node; node = node->next) {
		if (node->kind == CONFIG_DAMAGE ||
		    !walk_named_one(diag, section, node, names_put(&names, node), name_size) ||
		    !parse(diag, node, into))
			ok = false;
	}
	free(names.slot);
	return ok;
}

unsigned int config_count(const struct config_node *section)
{
	unsigned int n = 0;

	for (const struct config_node *node = section->first; node; node = node->next)
		n += node->kind == CONFIG_SECTION;
	return n;
}
