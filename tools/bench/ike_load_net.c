// SPDX-License-Identifier: BSD-2-Clause
/* The sockets of the many initiators: two for all of them, each with an address of its own. */
#include "tools/bench/ike_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MARKER_LEN 4
#define TURN       64

static const __u16 ports[2] = {500, 4500};

int load_net_open(struct load_net *net)
{
	int on = 1, room = 8 << 20;

	for (int i = 0; i < 2; i++) {
		struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(ports[i])};
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) ||
		    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
		    bind(fd, (struct sockaddr *)&any, sizeof(any))) {
			int err = -errno;

			if (fd >= 0)
				close(fd);
			return err;
		}
		net->fd[i] = fd;
	}
	return 0;
}

union control {
	char buf[CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct cmsghdr align;
};

void load_net_send(struct load_net *net, const struct ike_path *path, const __u8 *data, size_t len)
{
	static const __u8 marker[MARKER_LEN];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = path->remote_port};
	struct iovec iov[2] = {{(void *)marker, path->natt ? MARKER_LEN : 0}, {(void *)data, len}};
	union control control = {0};
	struct msghdr mh = {.msg_name = &to,
			    .msg_namelen = sizeof(to),
			    .msg_iov = iov,
			    .msg_iovlen = 2,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	struct in_pktinfo info = {0};

	memcpy(&to.sin_addr, path->remote.byte, 4);
	memcpy(&info.ipi_spec_dst, path->local.byte, 4);
	control.align.cmsg_level = IPPROTO_IP;
	control.align.cmsg_type = IP_PKTINFO;
	control.align.cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(&control.align), &info, sizeof(info));
	(void)!sendmsg(net->fd[path->natt], &mh, MSG_NOSIGNAL); /* what is lost is sent again */
}

static bool receive(struct load_net *net, int natt, struct engine *engine)
{
	static __u8 buf[65536];
	union control control;
	struct sockaddr_in from = {0};
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr mh = {.msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	struct ike_path path = {.natt = natt, .family = XIPSEC_FAMILY_IP4};
	ssize_t got = recvmsg(net->fd[natt], &mh, 0);
	ssize_t skip = natt ? MARKER_LEN : 0;
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	if (got < 0)
		return false;
	if (!c || c->cmsg_type != IP_PKTINFO || got <= skip)
		return true;
	memcpy(path.local.byte, CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_addr), 4);
	memcpy(path.remote.byte, &from.sin_addr, 4);
	path.local_port = htons(ports[natt]);
	path.remote_port = from.sin_port;
	engine_datagram(engine, &path, buf + skip, got - skip);
	return true;
}

void load_net_receive(struct load_net *net, struct engine *engine)
{
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < TURN && receive(net, i, engine); k++)
			;
}
