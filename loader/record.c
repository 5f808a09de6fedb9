// SPDX-License-Identifier: BSD-2-Clause
#include "loader/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/datapath.h"

const char *role_name(enum xipsec_role role)
{
	static const char *const names[] = {"none", "protected", "unprotected"};

	return role <= XIPSEC_ROLE_UNPROTECTED ? names[role] : "unknown";
}

static enum xipsec_role role_from_name(const char *name)
{
	if (!strcmp(name, "protected"))
		return XIPSEC_ROLE_PROTECTED;
	if (!strcmp(name, "unprotected"))
		return XIPSEC_ROLE_UNPROTECTED;
	return XIPSEC_ROLE_NONE;
}

int record_read(const char *run_dir, struct record *out)
{
	_cleanup_fclose_ FILE *file = NULL;
	struct record record = {0};
	char path[512], line[128];

	snprintf(path, sizeof(path), "%s/ifaces", run_dir);
	file = fopen(path, "re");
	if (!file && errno != ENOENT)
		return -errno;
	while (file && fgets(line, sizeof(line), file)) {
		char name[16] = "", role[16] = "", word[2][16] = {"", ""};

		if (sscanf(line, "%15s %15s %15s %15s", name, role, word[0], word[1]) < 2 ||
		    role_from_name(role) == XIPSEC_ROLE_NONE ||
		    record_set(&record, name, role_from_name(role))) {
			log_warn("%s: line not understood: %s", path, strtok(line, "\n") ?: "");
			continue;
		}
		for (unsigned int i = 0; i < 2; i++) {
			struct record_entry *entry = record_find(&record, name);

			entry->vlan_strip |= !strcmp(word[i], "vlan-strip");
			entry->dispatcher |= !strcmp(word[i], "dispatcher");
			entry->no_dispatcher |= !strcmp(word[i], "no-dispatcher");
		}
	}
	*out = record;
	return 0;
}

int record_write(const char *run_dir, const struct record *record)
{
	char path[512], fresh[512];
	FILE *file;
	int err;

	err = datapath_mkdir(run_dir, 0755);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/ifaces", run_dir);
	snprintf(fresh, sizeof(fresh), "%s/ifaces.new", run_dir);
	if (!record->n)
		return unlink(path) && errno != ENOENT ? -errno : 0;
	file = fopen(fresh, "we");
	if (!file)
		return -errno;
	for (unsigned int i = 0; i < record->n; i++) {
		const struct record_entry *entry = &record->entry[i];

		if (!entry->role)
			continue; /* noted for an interface that was then refused */
		fprintf(file, "%s %s%s%s\n", entry->name, role_name(entry->role),
			entry->vlan_strip ? " vlan-strip" : "",
			entry->no_dispatcher ? " no-dispatcher"
			: entry->dispatcher  ? " dispatcher"
					     : "");
	}
	err = ferror(file) ? -EIO : 0;
	if (fclose(file) && !err)
		err = -errno;
	if (!err && rename(fresh, path))
		err = -errno;
	if (err)
		unlink(fresh);
	return err;
}

struct record_entry *record_find(struct record *record, const char *name)
{
	for (unsigned int i = 0; i < record->n; i++) {
		if (!strcmp(record->entry[i].name, name))
			return &record->entry[i];
	}
	return NULL;
}

int record_set(struct record *record, const char *name, enum xipsec_role role)
{
	struct record_entry *entry = record_find(record, name);

	if (!entry) {
		if (record->n == XIPSEC_SLOTS_MAX)
			return -ENOSPC;
		entry = &record->entry[record->n++];
		memset(entry, 0, sizeof(*entry));
		snprintf(entry->name, sizeof(entry->name), "%s", name);
	}
	entry->role = role;
	return 0;
}

void record_remove(struct record *record, const char *name)
{
	struct record_entry *entry = record_find(record, name);

	if (entry)
		*entry = record->entry[--record->n];
}
