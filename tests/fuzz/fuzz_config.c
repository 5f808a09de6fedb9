// SPDX-License-Identifier: BSD-2-Clause
/*
 * The config file: any bytes are read, or refused with words. What is taken has selectors and keys
 * of the lengths that it says, and connections within their bounds.
 */
#include "tests/fuzz/harness.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/config.h"

/* A file in memory, by a name. */
static int file_fd;
static char file_path[64];
static FILE *errors;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	file_fd = memfd_create("fuzz.conf", MFD_CLOEXEC);
	MUST(file_fd >= 0 && !fchmod(file_fd, 0600)); /* or no key may stand in it */
	snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file_fd);
	errors = fopen("/dev/null", "w");
	MUST(errors);
	return 0;
}

static void sa_must(const struct xipsec_sa *sa)
{
	MUST(sa->key_len == alg_key_len(sa->alg) && sa->key_len);
	MUST(sa->n_selectors <= XIPSEC_SELECTORS_MAX);
	MUST(sa->dir == XIPSEC_DIR_IN || sa->dir == XIPSEC_DIR_OUT);
	MUST(sa->outer_family == 4 || sa->outer_family == 6);
	MUST(memchr(sa->name, 0, sizeof(sa->name)) && memchr(sa->child, 0, sizeof(sa->child)));
	if (sa->dir == XIPSEC_DIR_IN)
		MUST(sa->window >= XIPSEC_WINDOW_MIN && sa->window <= XIPSEC_WINDOW_MAX);
}

static void conn_must(const struct conn *conn)
{
	MUST(memchr(conn->name, 0, sizeof(conn->name)) && conn->name[0]);
	MUST(conn->local_addrs.n <= CONN_HOSTS_MAX && conn->remote_addrs.n <= CONN_HOSTS_MAX);
	for (unsigned int i = 0; i < conn->n_children; i++) {
		const struct conn_child *child = &conn->children[i];

		MUST(memchr(child->name, 0, sizeof(child->name)) && child->name[0]);
		MUST(child->local_ts.n && child->local_ts.n <= CONN_TS_MAX);
		MUST(child->remote_ts.n && child->remote_ts.n <= CONN_TS_MAX);
		MUST(conn_child_find(conn, child->name));
	}
	MUST(conn_same(conn, conn));
}

static void config_must(const struct config *config)
{
	unsigned int n_rules = 0;

	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		MUST(memchr(policy->name, 0, sizeof(policy->name)));
		for (unsigned int r = 0; r < policy->n_rules; r++)
			MUST(policy->rules[r].action <= XIPSEC_ACTION_PROTECT);
		n_rules += policy->n_rules;
	}
	MUST(n_rules <= config->max_rules);
	for (unsigned int i = 0; i < config->n_conns; i++)
		conn_must(&config->conns[i]);
	for (unsigned int i = 0; i < config->n_sas; i++)
		sa_must(&config->sas[i].sa);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	int err;

	/* An include or a key file could be any file of this machine. */
	if (memmem(data, size, "include", 7) || memmem(data, size, "file:", 5))
		return 0;
	MUST(!ftruncate(file_fd, 0));
	MUST(pwrite(file_fd, data, size, 0) == (ssize_t)size);
	err = config_load(file_path, &config, errors);
	if (err) {
		MUST(!config && err < 0);
		return 0;
	}
	config_must(config);
	config_free(config);
	return 0;
}
