/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's end of the control channel: messages of include/xipsec/ctl.h, checked before anybody
 * looks at them. A message that breaks the contract ends the worker: its other end is xipsecd, so
 * it is a bug and nothing to go on with.
 */
#ifndef WORKER_CTL_H
#define WORKER_CTL_H

#include <stdbool.h>
#include "xipsec/ctl.h"

#define CTL_FDS_MAX 5

union ctl_msg {
	struct ctl_hdr hdr;
	struct ctl_hello hello;
	struct ctl_dev dev;
	struct ctl_xsk xsk;
	struct ctl_xsk_ref xsk_ref;
	struct ctl_sa sa;
	struct ctl_sa_ref sa_ref;
	struct ctl_nexthop nexthop;
	struct ctl_tap tap;
	struct ctl_tap_sa tap_sa;
	struct ctl_slow slow;
};

struct ctl_in {
	union ctl_msg msg;
	int fd[CTL_FDS_MAX]; /* -1: none. Whoever keeps one sets its place to -1 */
	unsigned int n_fds;
};

/* Reads one message. 0: *in holds one; end it with ctl_done(). -EAGAIN: nothing there (never with
 * `wait`). -EPIPE: xipsecd is gone. -EPROTO after a log line: malformed. */
int ctl_receive(int fd, bool wait, struct ctl_in *in);

/* Wipes the message (it may hold a key) and closes the descriptors that nobody kept. */
void ctl_done(struct ctl_in *in);

/* Sends one message, filling in its header. 0, -EAGAIN: the other end does not read; -errno. */
int ctl_send(int fd, enum xipsec_ctl_type type, void *msg, __u32 len);

#endif
