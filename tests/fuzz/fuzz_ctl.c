// SPDX-License-Identifier: BSD-2-Clause
/*
 * The worker's end of the control channel: messages with any bytes, lengths and descriptors through
 * a real socket. One is taken just if the harness's own list says so; whatever it holds, the worker
 * stays whole, its answers keep to the contract, and no descriptor is lost. XSK's rings are not
 * lent: their socket cannot be mapped here.
 */
#include "tests/fuzz/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/alg.h"
#include "lib/log.h"
#include "worker/loop.h"
#include "worker/sa.h"

#define N_SAS    8
#define N_FRAMES 64
#define SIZE     2048
#define PATCHES  15

enum { UMEM, TABLE, STATES, STATS, GLOBALS, MEMORIES };

static const __u32 memory_size[MEMORIES] = {
	[UMEM] = N_FRAMES * SIZE,
	[TABLE] = N_FRAMES,
	[STATES] = N_SAS * sizeof(struct xipsec_sa_state),
	[STATS] = sizeof(struct xipsec_worker_stats),
	[GLOBALS] = sizeof(struct xipsec_globals),
};

/* Bytes, and descriptors, of what xipsecd may say; 0 bytes: not to a worker. */
static const struct {
	__u32 len, n_fds;
} forms[] = {
	{0, 0},
	{sizeof(struct ctl_hello), 5},
	{sizeof(struct ctl_dev), 0},
	{sizeof(struct ctl_dev), 0},
	{sizeof(struct ctl_xsk), 1},
	{sizeof(struct ctl_sa), 0},
	{sizeof(struct ctl_sa_ref), 0},
	{sizeof(struct ctl_nexthop), 0},
	{sizeof(struct ctl_hdr), 0},
	{sizeof(struct ctl_xsk_ref), 0},
	{sizeof(struct ctl_tap), 1},
	{sizeof(struct ctl_tap), 0},
	{sizeof(struct ctl_tap_sa), 0},
	{sizeof(struct ctl_slow), 1},
};
#define FORMS (sizeof(forms) / sizeof(*forms))

static int memory[MEMORIES], lent[MEMORIES]; /* those lent later cannot be mapped */
static struct worker *w;
static int xipsecd; /* its end of the channel */

static void memories_make(void)
{
	for (int i = 0; i < MEMORIES; i++) {
		memory[i] = memfd_create("fuzz", MFD_CLOEXEC);
		MUST(memory[i] >= 0 && !ftruncate(memory[i], memory_size[i]));
		lent[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		MUST(lent[i] >= 0);
	}
}

/* ---------------------------------------------------------------- saying */

static void say(const void *msg, __u32 len, const int *fds, __u32 n_fds)
{
	union {
		char buf[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)msg, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	MUST(sendmsg(xipsecd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len);
}

/* An SA that would be taken, in its place. */
static void sa_fill(struct ctl_sa *msg, __u8 place, __u8 alg)
{
	msg->index = place % N_SAS;
	msg->generation = 1 + place / N_SAS;
	msg->sa = (struct xipsec_sa){
		.name = "fuzz",
		.child = "fuzz",
		.spi = htonl(0x1000u + place),
		.outer_family = place & 1 ? 4 : 6,
		.l4_proto = alg & 0x80 ? IPPROTO_AH : IPPROTO_ESP,
		.dir = place & 2 ? XIPSEC_DIR_IN : XIPSEC_DIR_OUT,
		.mode = XIPSEC_MODE_TUNNEL,
		.alg = 1 + (alg & 0x7f) % (XIPSEC_ALG_COUNT - 1),
		.window = 64,
		.n_selectors = 1,
	};
	msg->sa.key_len = alg_key_len(msg->sa.alg);
}

static void message_fill(union ctl_msg *msg, __u16 type, struct input *in)
{
	memset(msg, 0, sizeof(*msg));
	msg->hdr = (struct ctl_hdr){
		.type = type, .abi = XIPSEC_ABI, .len = type < FORMS ? forms[type].len : 8};
	switch (type) {
	case XIPSEC_CTL_SA:
		sa_fill(&msg->sa, take8(in), take8(in));
		msg->hdr.len = offsetof(struct ctl_sa, sa) + XIPSEC_SA_SIZE(1);
		break;
	case XIPSEC_CTL_SA_GONE:
		msg->sa_ref.index = take8(in) % N_SAS;
		msg->sa_ref.generation = take8(in) % 4;
		break;
	case XIPSEC_CTL_DEV:
	case XIPSEC_CTL_DEV_GONE:
		msg->dev.slot = take8(in) % XIPSEC_SLOTS_MAX;
		msg->dev.mtu = 1500;
		msg->dev.up = 1;
		msg->dev.role = msg->dev.slot & 1 ? XIPSEC_ROLE_PROTECTED : XIPSEC_ROLE_UNPROTECTED;
		break;
	case XIPSEC_CTL_NEXTHOP:
		msg->nexthop.family = take8(in) & 1 ? 4 : 6;
		msg->nexthop.status = take8(in) % 5;
		msg->nexthop.slot = take8(in) % XIPSEC_SLOTS_MAX;
		msg->nexthop.mtu = 1500;
		break;
	case XIPSEC_CTL_TAP:
	case XIPSEC_CTL_TAP_GONE: msg->tap.if_id = take8(in) % 4; break;
	case XIPSEC_CTL_TAP_SA:
		msg->tap_sa.if_id = take8(in) % 4;
		msg->tap_sa.index = take8(in) % N_SAS;
		break;
	case XIPSEC_CTL_SLOW: msg->slow.kind = take8(in) % XIPSEC_SLOW_KINDS; break;
	default: break;
	}
}

/* ---------------------------------------------------------------- what must hold */

static void worker_must(void)
{
	MUST(w->n_sas == N_SAS && !w->n_xsks);
	for (unsigned int i = 0; i < N_SAS; i++) {
		const struct sa_place *place = &w->sas[i];

		if (!place->sa)
			continue;
		MUST(place->generation && place->generation == place->sa->generation);
		MUST(place->sa->index == i && place->dir == place->sa->dir);
		MUST((__u8 *)place->state == w->sa_state + i * w->sa_state_stride);
		MUST(place->sa->n_selectors <= XIPSEC_SELECTORS_MAX);
	}
	for (unsigned int i = 0; i < XIPSEC_SLOTS_MAX; i++)
		MUST(!w->dev[i].known || w->dev[i].ctl.mtu <= 65535);
	for (unsigned int i = 0; i < w->n_polls; i++)
		MUST(w->polls[i].fd < 0 || fcntl(w->polls[i].fd, F_GETFD) >= 0);
}

/* All that the worker has said so far. */
static void answers_must(void)
{
	union {
		struct ctl_hdr hdr;
		char bytes[1024];
	} answer;
	ssize_t got;

	while ((got = recv(xipsecd, &answer, sizeof(answer), MSG_DONTWAIT)) > 0) {
		MUST((size_t)got >= sizeof(answer.hdr) && answer.hdr.len == got);
		MUST(answer.hdr.abi == XIPSEC_ABI && answer.hdr.type >= XIPSEC_CTL_READY &&
		     answer.hdr.type <= XIPSEC_CTL_SAMPLE);
	}
}

/* ---------------------------------------------------------------- the run */

static void worker_open(void)
{
	const struct ctl_hello hello = {
		.hdr = {XIPSEC_CTL_HELLO, XIPSEC_ABI, sizeof(hello)},
		.n_sas = N_SAS,
		.frame_size = SIZE,
		.n_frames = N_FRAMES,
		.sa_state_size = memory_size[STATES],
		.sa_state_stride = sizeof(struct xipsec_sa_state),
		.stats_size = memory_size[STATS],
		.stats_stride = sizeof(struct xipsec_worker_stats),
	};
	struct ctl_in in;
	int pair[2];

	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	xipsecd = pair[0];
	say(&hello, sizeof(hello), memory, MEMORIES);
	w = NULL;
	MUST(!ctl_receive(pair[1], false, &in) && !worker_new(pair[1], &in, &w) && w);
	ctl_done(&in);
}

/* An SA ends with its last selector, or with the room for all of them. */
static bool length_right(const union ctl_msg *msg, __u32 len)
{
	const __u32 head = offsetof(struct ctl_sa, sa);

	if (msg->hdr.type == XIPSEC_CTL_SA)
		return len >= head && xipsec_sa_whole(&msg->sa.sa, len - head);
	return forms[msg->hdr.type].len && forms[msg->hdr.type].len == len;
}

/* 0: the worker goes on. */
static int message_run(struct input *in)
{
	__u8 first = take8(in), n_patches;
	union ctl_msg msg;
	struct ctl_in got;
	__u32 len, n_fds;
	int err, right;

	message_fill(&msg, first & 15, in);
	len = msg.hdr.len;
	n_fds = (first & 15) < FORMS ? forms[first & 15].n_fds : 0;
	n_patches = first & 0x80 ? take8(in) : 0;
	for (int i = 0; i < n_patches % (PATCHES + 1); i++) {
		__u32 at = take16(in) % (len ? len : 1);

		((__u8 *)&msg)[at] = take8(in);
	}
	if (first & 0x40)
		len = take16(in) % sizeof(msg) + 1;
	if (first & 0x20)
		n_fds = take8(in) % (MEMORIES + 3);
	if (n_fds > MEMORIES)
		n_fds = MEMORIES;
	say(&msg, len ? len : 1, lent, n_fds);
	len = len ? len : 1;
	right = len >= sizeof(msg.hdr) && msg.hdr.abi == XIPSEC_ABI && msg.hdr.type < FORMS &&
		msg.hdr.len == len && length_right(&msg, len) && forms[msg.hdr.type].n_fds == n_fds;
	err = ctl_receive(w->ctl, false, &got);
	MUST(err == (right ? 0 : -EPROTO));
	if (err)
		return err;
	err = worker_message(w, &got);
	ctl_done(&got);
	/* Of that which worker_message() alone decides: a first message, and a ring of no socket.
	 */
	if (msg.hdr.type == XIPSEC_CTL_HELLO || msg.hdr.type == XIPSEC_CTL_XSK ||
	    msg.hdr.type == XIPSEC_CTL_XSK_BOUND)
		MUST(err);
	worker_must();
	answers_must();
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	int ctl, lowest, again;

	if (!memory[0]) {
		log_open("fuzz", 0);
		MUST(!crypto_init());
		memories_make();
	}
	lowest = dup(memory[0]);
	close(lowest);
	worker_open();
	ctl = w->ctl;
	while (in.left && !message_run(&in))
		;
	worker_free(w);
	close(ctl);
	close(xipsecd);
	again = dup(memory[0]);
	close(again);
	MUST(lowest == again); /* what was kept was closed, and nothing twice */
	return 0;
}
