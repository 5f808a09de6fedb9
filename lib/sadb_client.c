// SPDX-License-Identifier: BSD-2-Clause
#include "lib/sadb_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "lib/cleanup.h"

/* The largest message either way, with room for those of a newer release. */
#define SADB_MESSAGE_MAX 65536

int sadb_connect(const char *run_dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval deadline = {.tv_sec = 30};
	_cleanup_close_ int fd = -1;
	int n;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sadb.sock", run_dir);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return take_fd(&fd);
}

static void say(char *text, const char *what)
{
	if (text)
		snprintf(text, XIPSEC_SADB_ERR_TEXT, "%s", what);
}

static int send_request(int fd, struct sadb_hdr *request, size_t len, char *text)
{
	static __u32 seq;

	request->abi = XIPSEC_ABI;
	request->len = len;
	request->err = 0;
	request->seq = ++seq;
	if (send(fd, request, len, MSG_NOSIGNAL) < 0) {
		say(text, "xipsecd does not take requests: it is stopping, or was killed");
		return -errno;
	}
	return 0;
}

/* Returns the length of the next message of this request, or -errno. */
static ssize_t receive(int fd, __u32 seq, void *buf, size_t size, char *text)
{
	const struct sadb_hdr *hdr = buf;
	ssize_t len;

	for (;;) {
		len = recv(fd, buf, size, 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0) {
			say(text, "no answer from xipsecd");
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		}
		if (len == 0) {
			say(text, "xipsecd closed the connection");
			return -ECONNRESET;
		}
		if ((size_t)len < sizeof(*hdr) || hdr->len != (size_t)len)
			return -EBADMSG;
		if (hdr->abi != XIPSEC_ABI) {
			say(text,
			    "xipsecd is of another release: restart it, or use its own xipsec");
			return -EPROTO;
		}
		if (hdr->type != XIPSEC_SADB_EVENT && hdr->seq == seq)
			return len;
	}
}

/* The reply's error, with its text. */
static int final(const void *buf, size_t len, char *text)
{
	const struct sadb_reply *reply = buf;

	if (text && len >= sizeof(*reply))
		snprintf(text, XIPSEC_SADB_ERR_TEXT, "%.*s", XIPSEC_SADB_ERR_TEXT - 1, reply->text);
	return reply->hdr.err;
}

int sadb_call(int fd, struct sadb_hdr *request, size_t len, sadb_item_fn item, void *ctx,
	      char *text)
{
	char buf[SADB_MESSAGE_MAX] __attribute__((aligned(8)));
	const struct sadb_hdr *hdr = (const void *)buf;
	ssize_t got;
	int err;

	say(text, "");
	err = send_request(fd, request, len, text);
	if (err)
		return err;
	for (;;) {
		got = receive(fd, request->seq, buf, sizeof(buf), text);
		if (got < 0)
			return (int)got;
		if (!(hdr->flags & XIPSEC_SADB_MORE))
			return final(buf, got, text);
		err = item ? item(ctx, hdr, got) : 0;
		if (err)
			return err;
	}
}

int sadb_ask(int fd, struct sadb_hdr *request, size_t len, void *answer, size_t answer_len,
	     char *text)
{
	char buf[SADB_MESSAGE_MAX] __attribute__((aligned(8)));
	const struct sadb_hdr *hdr = (const void *)buf;
	ssize_t got;
	int err;

	say(text, "");
	err = send_request(fd, request, len, text);
	if (err)
		return err;
	got = receive(fd, request->seq, buf, sizeof(buf), text);
	if (got < 0)
		return (int)got;
	if (hdr->err)
		return final(buf, got, text);
	if ((size_t)got != answer_len) {
		say(text, "xipsecd's answer has another form: is it of another release?");
		return -EBADMSG;
	}
	memcpy(answer, buf, answer_len);
	return 0;
}

int sadb_event(int fd, struct sadb_event *out, char *text)
{
	struct sadb_event event;
	ssize_t len;

	say(text, "");
	for (;;) {
		/* The socket has a time limit, for answers; events take their time. */
		len = recv(fd, &event, sizeof(event), MSG_TRUNC);
		if (len < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (len <= 0) {
			say(text, "xipsecd closed the connection");
			return len < 0 ? -errno : -ECONNRESET;
		}
		if ((size_t)len < sizeof(event.hdr) || event.hdr.len != (size_t)len)
			return -EBADMSG;
		if (event.hdr.abi == XIPSEC_ABI && event.hdr.type != XIPSEC_SADB_EVENT)
			continue;
		if (event.hdr.abi != XIPSEC_ABI || (size_t)len != sizeof(event)) {
			say(text,
			    "xipsecd is of another release: restart it, or use its own xipsec");
			return -EPROTO;
		}
		*out = event;
		return 0;
	}
}
