// SPDX-License-Identifier: BSD-2-Clause
#include "lib/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

int netlink_open(int bus, struct netlink *out)
{
	struct timeval deadline = {.tv_sec = 2};
	struct mnl_socket *socket;
	int err;

	socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &deadline,
		       sizeof(deadline)) < 0) {
		err = -errno;
		mnl_socket_close(socket);
		return err;
	}
	out->socket = socket;
	out->bus = bus;
	out->seq = 0;
	out->portid = mnl_socket_get_portid(socket);
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl->socket)
		mnl_socket_close(nl->socket);
	nl->socket = NULL;
}

int netlink_join(struct netlink *nl, unsigned int group)
{
	int value = (int)group;

	if (mnl_socket_setsockopt(nl->socket, NETLINK_ADD_MEMBERSHIP, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

int netlink_fd(const struct netlink *nl)
{
	return mnl_socket_get_fd(nl->socket);
}

struct nlmsghdr *netlink_request(void *buf, __u16 type, __u16 flags, size_t extra, void **header)
{
	struct nlmsghdr *nlh;

	memset(buf, 0, NETLINK_REQUEST_MAX);
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	*header = mnl_nlmsg_put_extra_header(nlh, extra);
	return nlh;
}

/* Reads answers until the last one, `buf` has room for one packet of them. */
static int read_answers(struct netlink *nl, char *buf, size_t size, mnl_cb_t cb, void *ctx)
{
	ssize_t len;
	int ret;

	for (;;) {
		len = mnl_socket_recvfrom(nl->socket, buf, size);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		ret = mnl_cb_run(buf, len, nl->seq, nl->portid, cb, ctx);
		if (ret < 0 && (errno == ESRCH || errno == EPROTO)) {
			/* ESRCH can be the kernel's own answer, or libmnl's word for an answer to
			 * an older request that ran into its deadline. */
			const struct nlmsghdr *nlh = (const void *)buf;

			if (nlh->nlmsg_seq != nl->seq)
				continue;
		}
		if (ret < 0)
			return -errno;
		if (ret == MNL_CB_STOP)
			return 0;
	}
}

/* The kernel lists SAs with their keys, and tells their ends with them. */
static void wipe(const struct netlink *nl, char *buf, size_t len)
{
	if (nl->bus == NETLINK_XFRM)
		explicit_bzero(buf, len);
}

int netlink_call(struct netlink *nl, struct nlmsghdr *req, mnl_cb_t cb, void *ctx)
{
	char buf[32768];
	int ret;

	req->nlmsg_flags |= NLM_F_REQUEST;
	/* One bit of a dump is NLM_F_EXCL in other requests. */
	if ((req->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		req->nlmsg_flags |= NLM_F_ACK;
	req->nlmsg_seq = ++nl->seq;
	req->nlmsg_pid = nl->portid; /* XFRM tells it to those who listen */
	if (mnl_socket_sendto(nl->socket, req, req->nlmsg_len) < 0)
		return -errno;
	ret = read_answers(nl, buf, sizeof(buf), cb, ctx);
	wipe(nl, buf, sizeof(buf));
	return ret;
}

int netlink_events(struct netlink *nl, mnl_cb_t cb, void *ctx)
{
	char buf[32768];
	ssize_t len;
	int ret;

	for (;;) {
		len = recv(netlink_fd(nl), buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? 0 : -errno;
		ret = mnl_cb_run(buf, len, 0, 0, cb, ctx);
		wipe(nl, buf, (size_t)len);
		if (ret < 0)
			return -errno;
	}
}
