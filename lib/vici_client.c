// SPDX-License-Identifier: BSD-2-Clause
#include "lib/vici_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"

struct vici_client {
	int fd;
	__u8 *packet; /* the last one that came, VICI_SEGMENT_MAX bytes of room */
	size_t len;
};

/* What a packet says. */
struct heard {
	enum vici_packet type;
	char name[VICI_NAME_MAX + 1]; /* of an event */
	struct bytes message;
};

int vici_connect(const char *path, struct vici_client **out)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	struct vici_client *client;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const void *)&addr, sizeof(addr)) < 0)
		return -errno;
	client = calloc(1, sizeof(*client));
	if (client)
		client->packet = malloc(VICI_SEGMENT_MAX);
	if (!client || !client->packet) {
		free(client);
		return -ENOMEM;
	}
	client->fd = take_fd(&fd);
	*out = client;
	return 0;
}

void vici_disconnect(struct vici_client *client)
{
	if (!client)
		return;
	close(client->fd);
	free(client->packet);
	free(client);
}

/* ------------------------------------------------------------------ packets */

static int send_all(int fd, const void *data, size_t len)
{
	const __u8 *at = data;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= n;
	}
	return 0;
}

static int receive_all(int fd, void *data, size_t len)
{
	__u8 *at = data;

	while (len) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		at += n;
		len -= n;
	}
	return 0;
}

static int send_packet(struct vici_client *client, enum vici_packet type, const char *name,
		       struct bytes message)
{
	__u8 head[6 + VICI_NAME_MAX];
	size_t name_len = strnlen(name, VICI_NAME_MAX);
	__u32 len = htonl(2 + name_len + message.len);
	int err;

	memcpy(head, &len, 4);
	head[4] = type;
	head[5] = name_len;
	memcpy(head + 6, name, name_len);
	err = send_all(client->fd, head, 6 + name_len);
	return err ? err : send_all(client->fd, message.data, message.len);
}

static int receive_packet(struct vici_client *client, struct heard *out)
{
	struct reader r;
	__u32 len;
	int err = receive_all(client->fd, &len, sizeof(len));

	if (err)
		return err;
	client->len = ntohl(len);
	if (client->len > VICI_SEGMENT_MAX)
		return -EPROTO;
	err = receive_all(client->fd, client->packet, client->len);
	if (err)
		return err;
	r = reader_of(BYTES(client->packet, client->len));
	out->type = reader_u8(&r);
	out->name[0] = 0;
	if (out->type == VICI_EVENT) {
		struct bytes name = reader_bytes(&r, reader_u8(&r));

		memcpy(out->name, name.data ? name.data : (const __u8 *)"", name.len);
		out->name[name.len] = 0;
	}
	out->message = reader_rest(&r);
	return r.failed || vici_validate(out->message) ? -EPROTO : 0;
}

/* ------------------------------------------------------------------ requests */

/* Events before the answer go to `fn`. */
static int wait_for(struct vici_client *client, enum vici_packet wanted, vici_event_fn fn,
		    void *ctx, struct heard *out)
{
	for (;;) {
		int err = receive_packet(client, out);

		if (err)
			return err;
		if (out->type == wanted)
			return 0;
		if (out->type == VICI_CMD_UNKNOWN || out->type == VICI_EVENT_UNKNOWN)
			return -ENOSYS;
		if (out->type != VICI_EVENT)
			return -EPROTO;
		err = fn ? fn(ctx, out->name, out->message) : 0;
		if (err)
			return err;
	}
}

static int register_event(struct vici_client *client, enum vici_packet type, const char *event,
			  vici_event_fn fn, void *ctx)
{
	struct heard heard;
	int err = send_packet(client, type, event, BYTES("", 0));

	return err ? err : wait_for(client, VICI_EVENT_CONFIRM, fn, ctx, &heard);
}

static int call(struct vici_client *client, const char *command, const struct vici_writer *request,
		vici_event_fn fn, void *ctx, struct vici_writer *answer)
{
	static const struct vici_writer empty;
	struct heard heard;
	int err = request && request->err ? request->err : 0;

	if (!err)
		err = send_packet(client, VICI_CMD_REQUEST, command,
				  vici_view(request ? request : &empty));
	if (!err)
		err = wait_for(client, VICI_CMD_RESPONSE, fn, ctx, &heard);
	if (err)
		return err;
	vici_append(answer, heard.message);
	return answer->err;
}

int vici_call(struct vici_client *client, const char *command, const struct vici_writer *request,
	      const char *event, vici_event_fn fn, void *ctx, struct vici_writer *answer)
{
	int err;

	if (!event)
		return call(client, command, request, fn, ctx, answer);
	err = register_event(client, VICI_EVENT_REGISTER, event, fn, ctx);
	if (!err)
		err = call(client, command, request, fn, ctx, answer);
	if (!err)
		err = register_event(client, VICI_EVENT_UNREGISTER, event, fn, ctx);
	return err;
}

int vici_listen(struct vici_client *client, const char *const *events, vici_event_fn fn, void *ctx)
{
	for (; *events; events++) {
		int err = register_event(client, VICI_EVENT_REGISTER, *events, fn, ctx);

		if (err)
			return err;
	}
	for (;;) {
		struct heard heard;
		int err = receive_packet(client, &heard);

		if (!err && heard.type != VICI_EVENT)
			err = -EPROTO;
		if (!err)
			err = fn(ctx, heard.name, heard.message);
		if (err)
			return err;
	}
}
