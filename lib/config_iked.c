// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>
/* iked {}: how xipsec-iked runs. */
#include "lib/config_key.h"
#include "lib/config_section.h"
#include "lib/config_value.h"

#define UID_MAX 0x7fffff00

/* From 1: what parses strangers' messages is never root. The resolver takes the next one. */
static bool key_uid(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_number(diag, node, 1, UID_MAX, &draft->config->iked.uid);
}

static bool key_credentials(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_iked *iked = &((struct config_draft *)into)->config->iked;

	return parse_path(diag, node, iked->credentials, sizeof(iked->credentials));
}

static bool key_vici_socket(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_iked *iked = &((struct config_draft *)into)->config->iked;

	return parse_path(diag, node, iked->vici_socket, sizeof(iked->vici_socket));
}

static bool key_save_keys(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_iked *iked = &((struct config_draft *)into)->config->iked;

	return parse_path(diag, node, iked->save_keys, sizeof(iked->save_keys));
}

static const struct config_key iked_keys[] = {
	{"uid", key_uid, false, false},
	{"credentials", key_credentials, false, false},
	{"vici_socket", key_vici_socket, false, false},
	{"save_keys", key_save_keys, false, false},
	{0},
};

bool config_iked(struct config_diag *diag, const struct config_node *node, void *into)
{
	return config_walk(diag, node, node->first, iked_keys, into);
}

void config_iked_paths(struct config_diag *diag, const struct config_node *node,
		       struct config *config)
{
	struct config_draft draft = {.config = config};

	for (const struct config_node *key = node->first; key; key = key->next)
		if (key->kind == CONFIG_VALUE && strcmp(key->name, "vici_socket") == 0)
			key_vici_socket(diag, key, &draft);
}
