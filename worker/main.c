// SPDX-License-Identifier: BSD-2-Clause
/*
 * xipsec-worker: started by xipsecd with the control channel as descriptor XIPSEC_CTL_FD, and of no
 * use without it. It maps what it was lent, closes the sandbox, and only then reads keys and
 * packets.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "lib/core_dump.h"
#include "lib/log.h"
#include "worker/crypto.h"
#include "worker/hostile.h"
#include "worker/loop.h"
#include "worker/sandbox.h"

static char who[32] = "worker";

/* Nothing but stderr and the control channel comes in with us, whatever the parent left open. */
static int close_others(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	if (close_range(XIPSEC_CTL_FD + 1, ~0u, 0))
		return -errno;
	if (null > XIPSEC_CTL_FD || null < STDERR_FILENO)
		return 0;
	return -EBADF; /* stderr or the channel was not open */
}

static int check_ctl(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(XIPSEC_CTL_FD, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_SEQPACKET) {
		log_error("descriptor %d is no control channel: this program is started by "
			  "xipsecd, not by hand",
			  XIPSEC_CTL_FD);
		return -EBADF;
	}
	return 0;
}

/* Up to the closed sandbox; no key and no packet has been seen yet. */
static int start(struct worker **out, __u32 *hostile)
{
	struct worker *w = NULL;
	struct ctl_in in;
	int err;

	err = ctl_receive(XIPSEC_CTL_FD, true, &in);
	if (err) {
		if (err == -EPIPE)
			log_error("xipsecd went away before HELLO");
		return err;
	}
	snprintf(who, sizeof(who), "worker %u", in.msg.hello.worker);
	err = worker_new(XIPSEC_CTL_FD, &in, &w);
	if (!err) {
		*hostile = in.msg.hello.hostile;
		err = sandbox_close(in.msg.hello.uid);
	}
	ctl_done(&in);
	if (err) {
		worker_free(w);
		return err;
	}
	*out = w;
	return 0;
}

int main(void)
{
	struct worker *w;
	__u32 hostile = 0;
	int err;

	log_open(who, LOG_LEVEL_INFO);
	if (core_dump_off() || check_ctl() || close_others())
		return 1;
	if (crypto_init()) {
		log_error("no crypto library can be used on this machine");
		return 1;
	}
	if (start(&w, &hostile))
		return 1;
	err = worker_wait_go(w);
	if (!err && hostile)
		err = hostile_act(hostile);
	if (!err)
		err = worker_run(w);
	/* The channel has ended: so has xipsecd, and with it the right to these keys. */
	if (err == -EPIPE)
		log_info("xipsecd is gone: wiping keys");
	worker_free(w);
	return err == -EPIPE ? 0 : 1;
}
