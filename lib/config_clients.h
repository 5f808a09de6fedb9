/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RUN_DIR/connections.d: the connections that clients loaded (swanctl), a file each, as much of
 * each as its children's rules follow from, in the syntax of the config, no credentials.
 * config_load() reads them behind the config file, whoever calls it, so their rules are in every
 * SPD that is made, and stay, closed, when the client or the daemon that took them is gone. The
 * folder is beside what the config file says, in its run_dir: it does not outlive a reboot.
 *
 * A connection has a number, which names its file and gives its place behind the others. One that
 * comes, goes or changes is put into a config that was read before by config_client_set(), which
 * costs the same however many there are.
 */
#ifndef LIB_CONFIG_CLIENTS_H
#define LIB_CONFIG_CLIENTS_H

#include "lib/config.h"

#define CONFIG_CLIENTS_DIR "connections.d"
#define CONFIG_CLIENT_FILE "%010u.conf"

/* Writes the file of a number (mode 0600, by one rename), or with NULL takes it away. 0 or -errno:
 * what was there is untouched then. */
int config_client_write(const char *run_dir, __u32 number, const struct conn *conn);

/* Takes all of them away; *any: there were some. 0 or -errno, some may be gone then. */
int config_clients_forget(const char *run_dir, bool *any);

/* Reads that file. 0 and *out (zero before), for conn_clear(); -ENOENT; -EINVAL after lines to
 * `errors`; -errno. */
int config_client_read(const char *run_dir, __u32 number, struct conn *out, FILE *errors);

/* What became another one. Policies from `at` on: n_old were replaced by n_new. */
struct config_client_change {
	struct conn old; /* without a name: there was none */
	struct config_policy *old_policies;
	unsigned int at, n_old, n_new;
};

/*
 * Makes `conn` the connection of that number, in the place of what had it; NULL: it goes. Takes
 * *conn over (zero afterwards, also on failure). 0 and *change, for config_client_change_free();
 * -ENOTSUP: a child of either has an if_id, which concerns more than its own rules: read the whole
 * config (not where the policies were forgotten); -EEXIST: another one has its name; -EINVAL after
 * lines to `errors`; -ENOMEM. On failure the config is as it was.
 */
int config_client_set(struct config *config, __u32 number, struct conn *conn,
		      struct config_client_change *change, FILE *errors);
void config_client_change_free(struct config_client_change *change);
#define _cleanup_client_change_ __attribute__((cleanup(config_client_change_free)))

#endif
