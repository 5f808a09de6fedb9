/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A netlink socket and one request at a time on it, over libmnl. Answers are read with a deadline,
 * so that a caller with an event loop can lose 2 seconds at most.
 */
#ifndef LIB_NETLINK_H
#define LIB_NETLINK_H

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/types.h>

struct netlink {
	struct mnl_socket *socket;
	int bus;
	__u32 seq;
	__u32 portid;
};

/* Room for a request that the callers here make. */
#define NETLINK_REQUEST_MAX 2048

/* Opens a socket of `bus` (NETLINK_ROUTE), closed on exec. 0 or -errno. */
int netlink_open(int bus, struct netlink *out);
void netlink_close(struct netlink *nl);

/* Joins a multicast group (RTNLGRP_...). 0 or -errno. */
int netlink_join(struct netlink *nl, unsigned int group);
int netlink_fd(const struct netlink *nl);

/* Starts a message in `buf` (NETLINK_REQUEST_MAX bytes) with `extra` zeroed bytes of family header,
 * which *header points to. */
struct nlmsghdr *netlink_request(void *buf, __u16 type, __u16 flags, size_t extra, void **header);

/* Sends a request (NLM_F_REQUEST is added; NLM_F_ACK too unless it is a dump or wants an answer,
 * `cb` given) and feeds each answer to `cb`. 0, or the kernel's -errno, or -ETIMEDOUT. */
int netlink_call(struct netlink *nl, struct nlmsghdr *req, mnl_cb_t cb, void *ctx);

/* Reads what waits on a joined socket without blocking. 0; -ENOBUFS: events were lost, read
 * everything anew; other -errno. */
int netlink_events(struct netlink *nl, mnl_cb_t cb, void *ctx);

#endif
