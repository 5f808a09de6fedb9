// SPDX-License-Identifier: BSD-2-Clause
#include "lib/config_clients.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/config_conn.h"
#include "lib/config_section.h"

/* ------------------------------------------------------------------ all of them */

/* One that has the name of one of the file's has lost: the file was changed after it was loaded. */
static bool section_client(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;
	struct config *config = draft->config;

	if (config_conn_find(config, node->name))
		return true;
	if (!config_conns_one(diag, node, draft))
		return false;
	config->conns[config->n_conns - 1].client = draft->client;
	return true;
}

static bool clients_conns(struct config_diag *diag, const struct config_node *node, void *into)
{
	return config_walk_named(diag, node, CONN_NAME_LEN, section_client, into);
}

static int client_read(struct config_diag *diag, struct config_tree *tree, const char *path,
		       struct config_draft *draft)
{
	static const struct config_key keys[] = {{"connections", clients_conns, true, false}, {0}};
	const struct config_node *last = tree->list.last;
	int err = config_tree_read(tree, path, diag);

	if (!err)
		config_walk(diag, NULL, last ? last->next : tree->list.first, keys, draft);
	return err;
}

/* NUMBER.conf */
static int is_client(const struct dirent *entry)
{
	size_t digits = strspn(entry->d_name, "0123456789");

	return digits == 10 && strcmp(entry->d_name + digits, ".conf") == 0;
}

/* A folder that is not there says nothing; a file that cannot be read is an error: rules would be
 * missing of which somebody counts on. One that goes meanwhile was unloaded. */
int config_clients(struct config_diag *diag, struct config_tree *tree, struct config_draft *draft)
{
	char path[sizeof(draft->config->run_dir) + sizeof(CONFIG_CLIENTS_DIR) + 20];
	struct dirent **list = NULL;
	int n, err = 0;

	snprintf(path, sizeof(path), "%s/" CONFIG_CLIENTS_DIR, draft->config->run_dir);
	n = scandir(path, &list, is_client, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/" CONFIG_CLIENTS_DIR "/%.15s",
			 draft->config->run_dir, list[i]->d_name);
		draft->client = (__u32)strtoul(list[i]->d_name, NULL, 10);
		if (!err)
			err = client_read(diag, tree, path, draft);
		if (err == -ENOENT)
			err = 0;
		free(list[i]);
	}
	free(list);
	return err;
}

/* ------------------------------------------------------------------ one */

int config_client_read(const char *run_dir, __u32 number, struct conn *out, FILE *errors)
{
	struct config_diag diag = {.out = errors};
	const struct config_node *node;
	struct config_tree tree = {0};
	char path[300];
	int err = 0;

	if (snprintf(path, sizeof(path), "%s/" CONFIG_CLIENTS_DIR "/" CONFIG_CLIENT_FILE, run_dir,
		     number) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	err = config_tree_read(&tree, path, &diag);
	node = tree.list.first;
	if (!err && !diag.errors &&
	    (!node || node->kind != CONFIG_SECTION || !node->first ||
	     node->first->kind != CONFIG_SECTION || node->first->next))
		err = -EINVAL;
	if (!err && (diag.errors || !config_conn(&diag, node->first, out)))
		err = diag.nomem ? -ENOMEM : -EINVAL;
	if (!err)
		out->client = number;
	config_tree_free(&tree);
	return err;
}

/* Where the connection of that number stands, or would. */
static unsigned int conn_at(const struct config *config, __u32 number)
{
	unsigned int i = config->n_conns;

	while (i && config->conns[i - 1].client >= number)
		i--;
	return i;
}

/* The first policy of the connection at `i`. */
static unsigned int policy_at(const struct config *config, unsigned int i)
{
	unsigned int at = config->conns_at + config->n_conns_policies;

	for (unsigned int k = config->n_conns; k-- > i;)
		at -= config_conn_n_policies(&config->conns[k]);
	return at;
}

static bool in_tunnel(const struct conn *conn)
{
	return config_conn_n_policies(conn) != conn->n_children;
}

static void policies_free(struct config_policy *policies, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		free(policies[i].rules);
	free(policies);
}

void config_client_change_free(struct config_client_change *change)
{
	conn_clear(&change->old);
	policies_free(change->old_policies, change->n_old);
	*change = (struct config_client_change){0};
}

/* Room for what is to come; nothing has moved. */
static int make_room(struct config *config, unsigned int n_conns, unsigned int n_policies)
{
	struct config_policy *policies;
	struct conn *conns;

	conns = realloc(config->conns, (config->n_conns + n_conns) * sizeof(*conns) + 1);
	if (!conns)
		return -ENOMEM;
	config->conns = conns;
	policies = realloc(config->policies,
			   (config->n_policies + n_policies) * sizeof(*policies) + 1);
	if (!policies)
		return -ENOMEM;
	config->policies = policies;
	return 0;
}

/* The new policies take the place of the old ones, which *change gets. */
static void policies_swap(struct config *config, struct config_policy *policies,
			  struct config_client_change *change)
{
	struct config_policy *at = &config->policies[change->at];
	unsigned int behind = config->n_policies - change->at - change->n_old;

	if (change->n_old)
		memcpy(change->old_policies, at, change->n_old * sizeof(*at));
	memmove(at + change->n_new, at + change->n_old, behind * sizeof(*at));
	if (change->n_new)
		memcpy(at, policies, change->n_new * sizeof(*at));
	config->n_policies += change->n_new - change->n_old;
	config->n_conns_policies += change->n_new - change->n_old;
}

/* `have`: there is one at `i`, which goes; NULL: none comes. Either is there. False: it cannot be
 * found by its name, for want of memory; nothing has changed. */
static bool conns_swap(struct config *config, unsigned int i, bool have, struct conn *conn,
		       struct conn *old)
{
	unsigned int behind = config->n_conns - i - have;
	bool moves = have ? !conn || strcmp(config->conns[i].name, conn->name) != 0 : behind > 0;

	if (have)
		*old = config->conns[i];
	memmove(&config->conns[i + !!conn], &config->conns[i + have],
		behind * sizeof(config->conns[0]));
	if (conn)
		config->conns[i] = *conn;
	config->n_conns += !!conn - have;
	if (moves ? name_index_make(&config->conn_index, config_conn_name, config->conns,
				    config->n_conns)
		  : have || name_index_put(&config->conn_index, config_conn_name, config->conns, i))
		return true;
	memmove(&config->conns[i + have], &config->conns[i + !!conn],
		behind * sizeof(config->conns[0]));
	if (have)
		config->conns[i] = *old;
	config->n_conns += have - !!conn;
	memset(old, 0, sizeof(*old));
	return false;
}

static int client_set(struct config *config, __u32 number, struct conn *conn,
		      struct config_client_change *change, FILE *errors)
{
	struct config_file file = {.name = (char *)CONFIG_CLIENTS_DIR};
	struct config_place place = {.file = &file};
	struct config_diag diag = {.out = errors};
	unsigned int i = conn_at(config, number);
	bool have = i < config->n_conns && config->conns[i].client == number;
	const struct conn *other = conn ? config_conn_find(config, conn->name) : NULL;
	_cleanup_free_ struct config_policy *policies = NULL;
	int err = 0;

	if (!conn && !have)
		return 0; /* nothing goes */
	if (other && other->client != number)
		return -EEXIST;
	if (!config->no_policies) {
		if ((conn && in_tunnel(conn)) || (have && in_tunnel(&config->conns[i])))
			return -ENOTSUP;
		change->at = policy_at(config, i);
		change->n_old = have ? config_conn_n_policies(&config->conns[i]) : 0;
		change->n_new = conn ? config_conn_n_policies(conn) : 0;
	}
	policies = calloc(change->n_new + 1, sizeof(*policies));
	change->old_policies = calloc(change->n_old + 1, sizeof(*policies));
	if (!policies || !change->old_policies || make_room(config, 1, change->n_new))
		return -ENOMEM;
	if (change->n_new)
		config_conn_policies(&diag, &place, config, conn, policies);
	if (diag.nomem || diag.errors)
		err = diag.nomem ? -ENOMEM : -EINVAL;
	else if (!conns_swap(config, i, have, conn, &change->old))
		err = -ENOMEM;
	if (err)
		for (unsigned int k = 0; k < change->n_new; k++)
			free(policies[k].rules);
	else
		policies_swap(config, policies, change);
	return err;
}

int config_client_set(struct config *config, __u32 number, struct conn *conn,
		      struct config_client_change *change, FILE *errors)
{
	struct config_client_change made = {0};
	int err;

	if (conn)
		conn->client = number;
	err = client_set(config, number, conn, &made, errors);
	if (err) {
		free(made.old_policies);
		if (conn)
			conn_clear(conn);
		return err;
	}
	if (conn)
		memset(conn, 0, sizeof(*conn));
	*change = made;
	return 0;
}
