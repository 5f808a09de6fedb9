// SPDX-License-Identifier: BSD-2-Clause
#include "loader/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "lib/log.h"
#include "xipsec/sadb.h"

void settings_forget_keys(struct config *config)
{
	for (unsigned int i = 0; i < config->n_sas; i++)
		OPENSSL_cleanse(config->sas[i].sa.key, sizeof(config->sas[i].sa.key));
}

int settings_read(const char *path, struct config **out, char *text)
{
	char *errors = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&errors, &len);
	int err;

	if (!file)
		return -ENOMEM;
	err = config_load(path, out, file);
	fclose(file);
	if (err && text)
		snprintf(text, XIPSEC_SADB_ERR_TEXT, "%.*s",
			 (int)strcspn(errors && errors[0] ? errors : strerror(-err), "\n"),
			 errors && errors[0] ? errors : strerror(-err));
	if (err && !text) {
		for (char *line = strtok(errors, "\n"); line; line = strtok(NULL, "\n"))
			log_error("%s", line);
		if (!len)
			log_error("%s: %s", path, strerror(-err));
	}
	free(errors);
	return err;
}

void settings_say_restart(const struct config *old, const struct config *new)
{
	if (old->workers != new->workers || old->backend != new->backend ||
	    old->worker_uid != new->worker_uid || old->max_sas != new->max_sas ||
	    strcmp(old->pin_dir, new->pin_dir) != 0 || strcmp(old->run_dir, new->run_dir) != 0 ||
	    strcmp(old->state_dir, new->state_dir) != 0)
		log_warn("workers, backend, worker_uid, max_sas and the directories of datapath {} "
			 "are read at start only: restart xipsecd");
}

void settings_keep(const struct config *old, struct config *new)
{
	new->workers = old->workers;
	new->backend = old->backend;
	new->worker_uid = old->worker_uid;
	new->max_sas = old->max_sas;
	memcpy(new->pin_dir, old->pin_dir, sizeof(new->pin_dir));
	memcpy(new->run_dir, old->run_dir, sizeof(new->run_dir));
	memcpy(new->state_dir, old->state_dir, sizeof(new->state_dir));
}
