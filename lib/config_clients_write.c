// SPDX-License-Identifier: BSD-2-Clause
/* RUN_DIR/connections.d: the writing of what the rules of clients' connections follow from. */
#include "lib/config_clients.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/cleanup.h"

static void print_range(FILE *out, __u8 family, const struct xipsec_addr *lo,
			const struct xipsec_addr *hi)
{
	int af = family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6;
	char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];

	inet_ntop(af, lo->byte, first, sizeof(first));
	inet_ntop(af, hi->byte, last, sizeof(last));
	fprintf(out, "%s-%s", first, last);
}

/* A name of the DNS tells no rule anything: any address will do. */
static void print_hosts(FILE *out, const char *key, const struct conn_hosts *hosts)
{
	if (!hosts->n)
		return;
	fprintf(out, "\t\t%s = ", key);
	for (unsigned int i = 0; i < hosts->n; i++) {
		const struct conn_host *host = &hosts->host[i];

		fprintf(out, "%s", i ? ", " : "");
		if (host->kind == CONN_HOST_RANGE)
			print_range(out, host->family, &host->lo, &host->hi);
		else
			fprintf(out, "%%any");
	}
	fprintf(out, "\n");
}

static void print_ts(FILE *out, const struct conn_ts *ts)
{
	if (ts->dynamic)
		fprintf(out, "dynamic");
	else
		print_range(out, ts->family, &ts->lo, &ts->hi);
	if (ts->any_proto)
		return;
	fprintf(out, "[%u", ts->l4_proto);
	if (ts->opaque)
		fprintf(out, "/opaque");
	else if (ts->port_lo || ts->port_hi != XIPSEC_PORT_MAX)
		fprintf(out, "/%u-%u", ts->port_lo, ts->port_hi);
	fprintf(out, "]");
}

static void print_ts_list(FILE *out, const char *key, const struct conn_ts_list *list)
{
	fprintf(out, "\t\t\t\t%s = ", key);
	for (unsigned int i = 0; i < list->n; i++) {
		fprintf(out, "%s", i ? ", " : "");
		print_ts(out, &list->ts[i]);
	}
	fprintf(out, "\n");
}

static void print_child(FILE *out, const struct conn_child *child)
{
	static const char *const modes[] = {"tunnel", "transport", "pass", "drop"};

	fprintf(out, "\t\t\t\"%s\" {\n", child->name);
	print_ts_list(out, "local_ts", &child->local_ts);
	print_ts_list(out, "remote_ts", &child->remote_ts);
	fprintf(out, "\t\t\t\tmode = %s\n", modes[child->mode]);
	if (child->if_id)
		fprintf(out, "\t\t\t\tif_id_in = %u\n\t\t\t\tif_id_out = %u\n", child->if_id,
			child->if_id);
	fprintf(out, "\t\t\t}\n");
}

static void print_conn(FILE *out, const struct conn *conn)
{
	fprintf(out, "\t\"%s\" {\n", conn->name);
	print_hosts(out, "local_addrs", &conn->local_addrs);
	print_hosts(out, "remote_addrs", &conn->remote_addrs);
	fprintf(out, "\t\tlocal {\n\t\t\tauth = psk\n\t\t}\n\t\tremote {\n\t\t\tauth = psk\n\t\t}\n"
		     "\t\tchildren {\n");
	for (unsigned int i = 0; i < conn->n_children; i++)
		print_child(out, &conn->children[i]);
	fprintf(out, "\t\t}\n\t}\n");
}

/* ------------------------------------------------------------------ files */

static int file_write(int dir, const char *name, const struct conn *conn)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	int err;

	if (!out) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	fprintf(out,
		"# Written by xipsec-iked: the rules of what a client loaded (swanctl). Changes "
		"are lost.\nconnections {\n");
	print_conn(out, conn);
	fprintf(out, "}\n");
	err = ferror(out) ? -EIO : 0;
	if (fclose(out) && !err)
		err = -errno;
	return err;
}

static int dir_open(const char *run_dir)
{
	int fd, run = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (run < 0)
		return -errno;
	fd = openat(run, CONFIG_CLIENTS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !mkdirat(run, CONFIG_CLIENTS_DIR, 0700))
		fd = openat(run, CONFIG_CLIENTS_DIR,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(run);
	return fd;
}

int config_client_write(const char *run_dir, __u32 number, const struct conn *conn)
{
	_cleanup_close_ int dir = dir_open(run_dir);
	char name[32];
	int err;

	if (dir < 0)
		return dir;
	snprintf(name, sizeof(name), CONFIG_CLIENT_FILE, number);
	if (!conn)
		return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
	err = file_write(dir, "new", conn);
	if (!err && renameat(dir, "new", dir, name))
		err = -errno;
	if (err)
		unlinkat(dir, "new", 0);
	return err;
}

int config_clients_forget(const char *run_dir, bool *any)
{
	int err = 0, fd = dir_open(run_dir);
	const struct dirent *entry;
	DIR *dir;

	*any = false;
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		close(fd);
		return err;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		*any = true;
		if (unlinkat(dirfd(dir), entry->d_name, 0))
			err = -errno;
	}
	closedir(dir);
	return err;
}
