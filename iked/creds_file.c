// SPDX-License-Identifier: BSD-2-Clause
#include "iked/creds_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "iked/conn_pack.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define FILE_MAX (64 << 10) /* of a certificate or key */

const char *const creds_key_folders[] = {"private", "rsa", "ecdsa", "pkcs8", NULL};

static int open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A descriptor or -errno; `path` is where it was looked for last. */
static int open_file(const struct creds *creds, const char *kind, const char *name,
		     char path[PATH_MAX])
{
	const char *const alone[] = {kind, NULL};
	bool is_key = !strcmp(kind, creds_key_folders[0]);
	int fd = -ENOENT;

	if (name[0] == '/') {
		snprintf(path, PATH_MAX, "%s", name);
		return open_path(path);
	}
	for (const char *const *in = is_key ? creds_key_folders : alone; *in && fd == -ENOENT;
	     in++) {
		snprintf(path, PATH_MAX, "%s/%s/%s", creds->dir, *in, name);
		fd = open_path(path);
	}
	if (fd != -ENOENT)
		return fd;
	snprintf(path, PATH_MAX, "%s/%s", creds->dir, name);
	return open_path(path);
}

int creds_read_file(const struct creds *creds, const char *kind, const char *name, bool secret,
		    __u8 **data, size_t *len)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = open_file(creds, kind, name, path);
	struct stat st;
	int err = fd < 0 ? fd : 0;

	if (!err && fstat(fd, &st) < 0)
		err = -errno;
	if (!err && secret && st.st_mode & 077) {
		log_error("%s: others than its owner may read it (mode %04o): it is not used; "
			  "chmod 600",
			  path, st.st_mode & 07777);
		return -EPERM;
	}
	if (!err)
		err = conn_read_all(fd, FILE_MAX, data, len);
	if (err)
		log_error("%s: %s", path, strerror(-err));
	return err;
}

void creds_each_file(struct creds *creds, const char *kind,
		     void (*each)(struct creds *creds, const char *path))
{
	struct dirent **list = NULL;
	char path[PATH_MAX];
	int n;

	snprintf(path, sizeof(path), "%s/%s", creds->dir, kind);
	n = scandir(path, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s/%s", creds->dir, kind, list[i]->d_name);
		if (list[i]->d_name[0] != '.' && !stat(path, &st) && S_ISREG(st.st_mode))
			each(creds, path);
		free(list[i]);
	}
	free(list);
}
