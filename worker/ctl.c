// SPDX-License-Identifier: BSD-2-Clause
#include "worker/ctl.h"

#include <stddef.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"

/* What each message has to be like. */
static const struct {
	__u32 len;
	unsigned int n_fds;
} ctl_form[] = {
	[XIPSEC_CTL_HELLO] = {sizeof(struct ctl_hello), 5},
	[XIPSEC_CTL_DEV] = {sizeof(struct ctl_dev), 0},
	[XIPSEC_CTL_DEV_GONE] = {sizeof(struct ctl_dev), 0},
	[XIPSEC_CTL_XSK] = {sizeof(struct ctl_xsk), 1},
	[XIPSEC_CTL_SA] = {sizeof(struct ctl_sa), 0},
	[XIPSEC_CTL_SA_GONE] = {sizeof(struct ctl_sa_ref), 0},
	[XIPSEC_CTL_NEXTHOP] = {sizeof(struct ctl_nexthop), 0},
	[XIPSEC_CTL_GO] = {sizeof(struct ctl_hdr), 0},
	[XIPSEC_CTL_XSK_BOUND] = {sizeof(struct ctl_xsk_ref), 0},
	[XIPSEC_CTL_TAP] = {sizeof(struct ctl_tap), 1},
	[XIPSEC_CTL_TAP_GONE] = {sizeof(struct ctl_tap), 0},
	[XIPSEC_CTL_SLOW] = {sizeof(struct ctl_slow), 1},
	[XIPSEC_CTL_TAP_SA] = {sizeof(struct ctl_tap_sa), 0},
};

#define CTL_FORMS (sizeof(ctl_form) / sizeof(ctl_form[0]))

/* An SA may end with its last selector. */
static bool len_fits(const union ctl_msg *msg, size_t got)
{
	if (msg->hdr.len != got)
		return false;
	if (msg->hdr.type == XIPSEC_CTL_SA)
		return got > offsetof(struct ctl_sa, sa) &&
		       xipsec_sa_whole(&msg->sa.sa, got - offsetof(struct ctl_sa, sa));
	return got == ctl_form[msg->hdr.type].len;
}

static int check(const struct ctl_in *in, ssize_t got, int flags)
{
	const struct ctl_hdr *hdr = &in->msg.hdr;

	if ((size_t)got < sizeof(*hdr) || flags & (MSG_TRUNC | MSG_CTRUNC)) {
		log_error("control message of %zd bytes is cut short", got);
		return -EPROTO;
	}
	if (hdr->abi != XIPSEC_ABI) {
		log_error("control message of ABI %u, this worker speaks %u: use the xipsecd and "
			  "xipsec-worker of one build",
			  hdr->abi, XIPSEC_ABI);
		return -EPROTO;
	}
	if (hdr->type >= CTL_FORMS || !ctl_form[hdr->type].len ||
	    !len_fits(&in->msg, (size_t)got) || in->n_fds != ctl_form[hdr->type].n_fds) {
		log_error("malformed control message: type %u, %u bytes said, %zd came, %u "
			  "descriptors",
			  hdr->type, hdr->len, got, in->n_fds);
		return -EPROTO;
	}
	return 0;
}

static void take_fds(struct msghdr *mh, struct ctl_in *in)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		in->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (in->n_fds > CTL_FDS_MAX)
			in->n_fds = CTL_FDS_MAX;
		memcpy(in->fd, CMSG_DATA(c), in->n_fds * sizeof(int));
	}
}

int ctl_receive(int fd, bool wait, struct ctl_in *in)
{
	union {
		char buf[CMSG_SPACE(CTL_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {&in->msg, sizeof(in->msg)};
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;
	int err;

	in->n_fds = 0;
	for (int i = 0; i < CTL_FDS_MAX; i++)
		in->fd[i] = -1;
	do
		got = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	if (got == 0)
		return -EPIPE;
	take_fds(&mh, in);
	err = check(in, got, mh.msg_flags);
	if (err)
		ctl_done(in);
	return err;
}

void ctl_done(struct ctl_in *in)
{
	for (int i = 0; i < CTL_FDS_MAX; i++) {
		if (in->fd[i] >= 0)
			close(in->fd[i]);
		in->fd[i] = -1;
	}
	explicit_bzero(&in->msg, sizeof(in->msg));
}

int ctl_send(int fd, enum xipsec_ctl_type type, void *msg, __u32 len)
{
	struct ctl_hdr *hdr = msg;
	ssize_t sent;

	*hdr = (struct ctl_hdr){.type = type, .abi = XIPSEC_ABI, .len = len};
	do
		sent = send(fd, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}
