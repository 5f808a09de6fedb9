// SPDX-License-Identifier: BSD-2-Clause
#include "iked/conn_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cleanup.h"

/*
 * One walk over the model serves both ways, so they cannot disagree: packing, it writes what a
 * pointer leads to, unpacking it makes room and reads.
 */
struct pack {
	bool reads;
	bool failed; /* -EBADMSG */
	bool nomem;
	__u8 *data;
	size_t at, len, size;
};

static void put(struct pack *p, const void *from, size_t n)
{
	if (p->failed || p->nomem)
		return;
	if (n > CONN_PACK_MAX - p->len) {
		p->failed = true;
		return;
	}
	if (p->len + n > p->size) {
		size_t size = (p->len + n) * 2;
		__u8 *data = realloc(p->data, size);

		if (!data) {
			p->nomem = true;
			return;
		}
		p->data = data;
		p->size = size;
	}
	memcpy(p->data + p->len, from, n);
	p->len += n;
}

static void get(struct pack *p, void *to, size_t n)
{
	if (p->failed || p->nomem || n > p->len - p->at) {
		p->failed = true;
		memset(to, 0, n);
		return;
	}
	memcpy(to, p->data + p->at, n);
	p->at += n;
}

/* Bytes in memory of their own, with a 0 behind them. *data is NULL where there are none: its
 * presence travels as a byte. */
static void pack_bytes(struct pack *p, __u8 **data, size_t len)
{
	__u8 there = *data != NULL;

	if (!p->reads) {
		put(p, &there, 1);
		if (there)
			put(p, *data, len);
		return;
	}
	*data = NULL;
	get(p, &there, 1);
	if (!there || p->failed)
		return;
	if (len > p->len - p->at) {
		p->failed = true;
		return;
	}
	*data = calloc(1, len + 1);
	if (!*data)
		p->nomem = true;
	else
		get(p, *data, len);
}

static void pack_text(struct pack *p, char **text)
{
	__u32 len = !p->reads && *text ? (__u32)strlen(*text) : 0;
	__u8 *data = (__u8 *)*text;

	if (p->reads)
		get(p, &len, sizeof(len));
	else
		put(p, &len, sizeof(len));
	pack_bytes(p, &data, len);
	if (p->reads)
		*text = (char *)data;
}

/* Room for an array that was announced; on failure *n is 0, so that nothing walks over it. */
static void pack_array(struct pack *p, void **array, unsigned int *n, unsigned int max, size_t size)
{
	if (!p->reads) {
		if (*n)
			put(p, *array, *n * size);
		return;
	}
	*array = NULL;
	if (*n > max || *n * size > p->len - p->at)
		p->failed = true;
	else if (*n && !(*array = calloc(*n, size)))
		p->nomem = true;
	if (!*array)
		*n = 0;
	else
		get(p, *array, *n * size);
}

static void pack_texts(struct pack *p, struct conn_texts *texts)
{
	pack_array(p, (void **)&texts->text, &texts->n, CONN_PROPOSALS_MAX, sizeof(texts->text[0]));
	if (p->reads)
		for (unsigned int i = 0; i < texts->n; i++)
			texts->text[i] = NULL;
	for (unsigned int i = 0; i < texts->n; i++) {
		pack_text(p, &texts->text[i]);
		if (!texts->text[i])
			p->failed = true;
	}
}

static void pack_hosts(struct pack *p, struct conn_hosts *hosts)
{
	pack_array(p, (void **)&hosts->host, &hosts->n, CONN_HOSTS_MAX, sizeof(hosts->host[0]));
	if (p->reads)
		for (unsigned int i = 0; i < hosts->n; i++)
			hosts->host[i].name = NULL;
	for (unsigned int i = 0; i < hosts->n; i++)
		pack_text(p, &hosts->host[i].name);
}

static void pack_blobs(struct pack *p, struct conn_blobs *blobs)
{
	pack_array(p, (void **)&blobs->blob, &blobs->n, CONN_CERTS_MAX, sizeof(blobs->blob[0]));
	if (p->reads)
		for (unsigned int i = 0; i < blobs->n; i++) {
			blobs->blob[i].file = NULL;
			blobs->blob[i].data = NULL;
		}
	for (unsigned int i = 0; i < blobs->n; i++) {
		pack_text(p, &blobs->blob[i].file);
		pack_bytes(p, &blobs->blob[i].data, blobs->blob[i].len);
	}
}

static void pack_auth(struct pack *p, struct conn_auth *auth)
{
	pack_text(p, &auth->id);
	pack_text(p, &auth->ca_id);
	pack_blobs(p, &auth->certs);
	pack_blobs(p, &auth->cacerts);
}

static void pack_child(struct pack *p, struct conn_child *child)
{
	pack_texts(p, &child->proposals);
	pack_array(p, (void **)&child->local_ts.ts, &child->local_ts.n, CONN_TS_MAX,
		   sizeof(child->local_ts.ts[0]));
	pack_array(p, (void **)&child->remote_ts.ts, &child->remote_ts.n, CONN_TS_MAX,
		   sizeof(child->remote_ts.ts[0]));
	if (!memchr(child->name, 0, sizeof(child->name)) ||
	    !memchr(child->sadb_name, 0, sizeof(child->sadb_name)))
		p->failed = true;
}

/* What an array points at is not there yet: only that an error may walk over it. */
static void children_forget(struct conn *conn)
{
	for (unsigned int i = 0; i < conn->n_children; i++) {
		struct conn_child *child = &conn->children[i];

		child->proposals.text = NULL;
		child->local_ts.ts = child->remote_ts.ts = NULL;
	}
}

static void pack_conn(struct pack *p, struct conn *conn)
{
	pack_hosts(p, &conn->local_addrs);
	pack_hosts(p, &conn->remote_addrs);
	pack_texts(p, &conn->proposals);
	pack_auth(p, &conn->local);
	pack_auth(p, &conn->remote);
	pack_array(p, (void **)&conn->children, &conn->n_children, XIPSEC_CHILDREN_MAX,
		   sizeof(conn->children[0]));
	if (p->reads)
		children_forget(conn);
	for (unsigned int i = 0; i < conn->n_children; i++)
		pack_child(p, &conn->children[i]);
	if (!memchr(conn->name, 0, sizeof(conn->name)))
		p->failed = true;
}

/* Pointers of the parent's memory are nothing to the child. */
static void forget(struct conn *conn)
{
	conn->local_addrs.host = conn->remote_addrs.host = NULL;
	conn->proposals.text = NULL;
	conn->local.id = conn->local.ca_id = conn->remote.id = conn->remote.ca_id = NULL;
	conn->local.certs.blob = conn->local.cacerts.blob = NULL;
	conn->remote.certs.blob = conn->remote.cacerts.blob = NULL;
	conn->children = NULL;
}

static int sealed(const __u8 *data, size_t len)
{
	_cleanup_close_ int fd = memfd_create("connection", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (write(fd, data, len) != (ssize_t)len)
		return -ENOSPC;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(&fd);
}

int conn_pack(const struct conn *conn)
{
	struct conn copy = *conn;
	struct pack p = {0};
	int err;

	put(&p, conn, sizeof(*conn));
	pack_conn(&p, &copy);
	err = p.nomem ? -ENOMEM : p.failed ? -E2BIG : sealed(p.data, p.len);
	free(p.data);
	return err;
}

int conn_unpack(int fd, struct conn *out)
{
	struct pack p = {.reads = true};
	struct conn conn;
	int err = conn_read_all(fd, CONN_PACK_MAX, &p.data, &p.len);

	if (err)
		return err;
	get(&p, &conn, sizeof(conn));
	if (p.failed) {
		free(p.data);
		return -EBADMSG;
	}
	forget(&conn);
	pack_conn(&p, &conn);
	if (!p.nomem && p.at != p.len)
		p.failed = true;
	free(p.data);
	if (p.nomem || p.failed) {
		conn_clear(&conn);
		return p.nomem ? -ENOMEM : -EBADMSG;
	}
	*out = conn;
	return 0;
}

int conn_read_all(int fd, size_t max, __u8 **data, size_t *len)
{
	_cleanup_free_ __u8 *buf = NULL;
	size_t at = 0, size = 0;

	for (;;) {
		ssize_t got;

		if (at + 1 >= size) {
			__u8 *more = realloc(buf, size ? size * 2 : 16384);

			if (!more)
				return -ENOMEM;
			buf = more;
			size = size ? size * 2 : 16384;
		}
		got = pread(fd, buf + at, size - at - 1, (off_t)at);
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		at += (size_t)got;
		if (at > max)
			return -EFBIG;
	}
	buf[at] = 0;
	*data = take_ptr(buf);
	*len = at;
	return 0;
}
