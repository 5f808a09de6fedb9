// SPDX-License-Identifier: BSD-2-Clause
/*
 * IKE on the wire: UDP 500, and UDP 4500 with the non-ESP marker (RFC 3948 2.2). The sockets are
 * xipsecd's; both it and we have descriptors of them. A datagram goes out from the address that it
 * is to be from, by IP_PKTINFO.
 */
#include "iked/child_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"

#define IKE_PORT   500
#define NATT_PORT  4500
#define MARKER_LEN 4
#define TURN       64 /* datagrams that are read before others have their turn */

static bool is_natt(int i)
{
	return i == XIPSEC_IKE_4500_IP4 || i == XIPSEC_IKE_4500_IP6;
}

static int socket_of(const struct child *c, const struct ike_path *path)
{
	if (path->family == XIPSEC_FAMILY_IP4)
		return c->fd[path->natt ? XIPSEC_IKE_4500_IP4 : XIPSEC_IKE_500_IP4];
	return c->fd[path->natt ? XIPSEC_IKE_4500_IP6 : XIPSEC_IKE_500_IP6];
}

/* ------------------------------------------------------------------ out */

union control {
	char buf[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

union address {
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static void address_to(struct msghdr *mh, union address *to, const struct ike_path *path)
{
	if (path->family == XIPSEC_FAMILY_IP4) {
		to->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = path->remote_port};
		memcpy(&to->in.sin_addr, path->remote.byte, 4);
		mh->msg_namelen = sizeof(to->in);
	} else {
		to->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
						.sin6_port = path->remote_port};
		memcpy(&to->in6.sin6_addr, path->remote.byte, 16);
		mh->msg_namelen = sizeof(to->in6);
	}
	mh->msg_name = to;
}

static void control_add(struct msghdr *mh, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((char *)mh->msg_control + mh->msg_controllen);

	mh->msg_controllen += CMSG_SPACE(len);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
}

/* ECN is 0: IKE does not know it. */
static void address_from(struct msghdr *mh, union control *control, const struct ike_path *path,
			 __u8 dscp)
{
	struct in6_pktinfo in6 = {0};
	struct in_pktinfo in = {0};
	int tos = dscp << 2;

	memset(control, 0, sizeof(*control));
	mh->msg_control = control;
	mh->msg_controllen = 0;
	if (path->family == XIPSEC_FAMILY_IP4) {
		memcpy(&in.ipi_spec_dst, path->local.byte, 4);
		control_add(mh, IPPROTO_IP, IP_PKTINFO, &in, sizeof(in));
		if (tos)
			control_add(mh, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	} else {
		memcpy(&in6.ipi6_addr, path->local.byte, 16);
		control_add(mh, IPPROTO_IPV6, IPV6_PKTINFO, &in6, sizeof(in6));
		if (tos)
			control_add(mh, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	}
}

/* Direction of failure: it is lost, as any datagram may be. */
static void send_parts(struct child *c, const struct ike_path *path, __u8 dscp, struct iovec *iov,
		       size_t n)
{
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = n};
	int fd = socket_of(c, path);
	union control control;
	union address to;

	if (fd < 0)
		return;
	address_to(&mh, &to, path);
	address_from(&mh, &control, path, dscp);
	if (sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a message cannot be sent: %s", strerror(errno));
}

void child_udp_send(void *ctx, const struct ike_path *path, __u8 dscp, const __u8 *data, size_t len)
{
	static const __u8 marker[MARKER_LEN];
	struct iovec iov[2] = {{(void *)marker, MARKER_LEN}, {(void *)data, len}};

	send_parts(ctx, path, dscp, path->natt ? iov : iov + 1, path->natt ? 2 : 1);
}

void child_udp_keepalive(void *ctx, const struct ike_path *path)
{
	static const __u8 octet = 0xff;
	struct iovec iov = {(void *)&octet, 1};

	send_parts(ctx, path, 0, &iov, 1);
}

/* ------------------------------------------------------------------ in */

static bool local_of(struct msghdr *mh, struct ike_path *path)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(path->local.byte,
			       CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_addr), 4);
			return true;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(path->local.byte,
			       CMSG_DATA(c) + offsetof(struct in6_pktinfo, ipi6_addr), 16);
			return true;
		}
	}
	return false;
}

static void remote_of(const union address *from, struct ike_path *path)
{
	if (from->in.sin_family == AF_INET) {
		path->family = XIPSEC_FAMILY_IP4;
		path->remote_port = from->in.sin_port;
		memcpy(path->remote.byte, &from->in.sin_addr, 4);
	} else {
		path->family = XIPSEC_FAMILY_IP6;
		path->remote_port = from->in6.sin6_port;
		memcpy(path->remote.byte, &from->in6.sin6_addr, 16);
	}
}

/* Of one link: an answer would need an interface beside it, and so would ESP. */
static bool is_link_local(const struct ike_path *path)
{
	return path->family == XIPSEC_FAMILY_IP6 && path->remote.byte[0] == 0xfe &&
	       (path->remote.byte[1] & 0xc0) == 0x80;
}

/* false: nothing waits. */
static bool receive(struct child *c, int i)
{
	static __u8 buf[65536];
	union {
		char buf[256];
		struct cmsghdr align;
	} control;
	union address from = {0};
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr mh = {.msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	struct ike_path path = {.natt = is_natt(i)};
	ssize_t got = recvmsg(c->fd[i], &mh, MSG_DONTWAIT);
	size_t skip = path.natt ? MARKER_LEN : 0;

	if (got < 0)
		return errno == EINTR;
	path.local_port = htons(path.natt ? NATT_PORT : IKE_PORT);
	remote_of(&from, &path);
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !local_of(&mh, &path) ||
	    (size_t)got < skip || is_link_local(&path))
		return true;
	engine_datagram(c->engine, &path, buf + skip, (size_t)got - skip);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct child *c = ctx;

	child_set_clock(c);
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++) {
		if (c->fd[i] != fd)
			continue;
		for (int k = 0; k < TURN && receive(c, i); k++)
			;
	}
	child_plan(c);
}

/* ------------------------------------------------------------------ sockets */

void child_udp_close(struct child *c)
{
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++) {
		if (c->readable[i])
			event_free(c->readable[i]);
		c->readable[i] = NULL;
		if (c->fd[i] >= 0)
			close(c->fd[i]);
		c->fd[i] = -1;
	}
}

void child_udp_sockets(struct child *c, __u32 have, int *fds, unsigned int n)
{
	unsigned int at = 0;

	child_udp_close(c);
	for (int i = 0; i < XIPSEC_IKE_SOCKETS && at < n; i++) {
		if (!(have & 1U << i))
			continue;
		c->fd[i] = fds[at];
		fds[at++] = -1;
		c->readable[i] = event_new(c->base, c->fd[i], EV_READ | EV_PERSIST, on_readable, c);
	}
	if (c->listed)
		child_udp_listen(c);
}

void child_udp_listen(struct child *c)
{
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++)
		if (c->readable[i])
			event_add(c->readable[i], NULL);
}
