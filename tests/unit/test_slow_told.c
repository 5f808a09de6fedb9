// SPDX-License-Identifier: BSD-2-Clause
/* What the kernel says beside a datagram of the slow path: that it was cut, and which IPv6
 * extension headers it took off. recvmsg() is the test's own here. */
#include "tests/unit/pipeline_fixture.h"

#include <netinet/in.h>

#include "worker/esp_out.h"
#include "worker/sa.h"
#include "worker/slow.h"

/* An extension header of 8 bytes: as which it is given, and what it says that follows. */
struct ext {
	int type;
	__u8 next;
	__u8 more; /* 8s of bytes that it claims beyond what it has */
};

static struct {
	__u8 esp[512];
	__u32 len; /* 0: nothing waits */
	struct ext ext[3];
	unsigned int n_ext;
	int flags;
} kernel;

static void put_cmsg(struct msghdr *mh, size_t *used, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((__u8 *)mh->msg_control + *used);

	assert_true(*used + CMSG_SPACE(len) <= mh->msg_controllen);
	*c = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(len), .cmsg_level = IPPROTO_IPV6, .cmsg_type = type};
	memcpy(CMSG_DATA(c), data, len);
	*used += CMSG_SPACE(len);
}

ssize_t recvmsg(int fd, struct msghdr *mh, int flags)
{
	const struct in6_pktinfo info = {.ipi6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct sockaddr_in6 name = {.sin6_family = AF_INET6,
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	__u32 len = kernel.len;
	size_t used = 0;

	(void)fd;
	(void)flags;
	if (!len) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(mh->msg_name, &name, sizeof(name));
	memset(mh->msg_control, 0, mh->msg_controllen);
	memcpy(mh->msg_iov[0].iov_base, kernel.esp, len);
	put_cmsg(mh, &used, IPV6_PKTINFO, &info, sizeof(info));
	for (unsigned int i = 0; i < kernel.n_ext; i++) {
		const __u8 ext[8] = {kernel.ext[i].next, kernel.ext[i].more, 1, 4};

		put_cmsg(mh, &used, kernel.ext[i].type, ext, sizeof(ext));
	}
	mh->msg_controllen = used;
	mh->msg_flags = kernel.flags;
	kernel.len = 0;
	return len;
}

static int setup_slow(void **state)
{
	static const struct xipsec_addr loopback = {.byte[15] = 1};
	struct ctl_in slow = {.n_fds = 1,
			      .msg.slow = {.hdr.type = XIPSEC_CTL_SLOW, .kind = XIPSEC_SLOW_ESP6}};

	setup(state);
	for (__u32 i = SA_OUT; i <= SA_IN; i++) {
		__u8 dir = i == SA_OUT ? XIPSEC_DIR_OUT : XIPSEC_DIR_IN;
		struct ctl_in in = sa_message(i, dir);

		in.msg.sa.sa.outer_family = XIPSEC_FAMILY_IP6;
		in.msg.sa.sa.src = in.msg.sa.sa.dst = loopback;
		assert_int_equal(worker_message(t.w, &in), 0);
	}
	slow.fd[0] = socket(AF_INET6, SOCK_DGRAM, 0);
	assert_true(slow.fd[0] >= 0);
	assert_int_equal(worker_message(t.w, &slow), 0);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	return 0;
}

/* A good packet, and what is said beside it: ends so. */
static void ends_as(enum xipsec_reason reason, int flags, unsigned int n_ext, const struct ext *ext)
{
	static __u8 buffer[1024], frame[512];
	struct packet p = {.data = buffer + 256, .headroom = 256, .family = XIPSEC_FAMILY_IP4};
	struct packet *pkts = &p;
	__u64 before = count(reason);

	p.len = inner(frame, 64, false) - 14;
	memcpy(p.data, frame + 14, p.len);
	p.tailroom = sizeof(buffer) - 256 - p.len;
	esp_out_burst(t.w->sas[SA_OUT].sa, &pkts, 1, SA_ANY_MTU, 1);
	assert_int_equal(p.reason, XIPSEC_REASON_SEALED);
	kernel.len = p.len - 40;
	memcpy(kernel.esp, p.data + 40, kernel.len);
	kernel.flags = flags;
	kernel.n_ext = n_ext;
	for (unsigned int i = 0; i < n_ext; i++)
		kernel.ext[i] = ext[i];
	slow_round(t.w);
	go_round();
	assert_int_equal(kernel.len, 0);
	assert_int_equal(count(reason), before + 1);
	if (reason == XIPSEC_REASON_OPENED)
		assert_int_equal(tx(&t.red), 42 + 64);
	else
		assert_int_equal(tx(&t.red), 0);
}

static void cut_is_refused(void **state)
{
	ends_as(XIPSEC_REASON_OPENED, 0, 0, NULL);
	ends_as(XIPSEC_REASON_ESP_SHORT, MSG_TRUNC, 0, NULL);
	ends_as(XIPSEC_REASON_ESP_SHORT, MSG_CTRUNC, 0, NULL);
	ends_as(XIPSEC_REASON_OPENED, 0, 0, NULL);
}

/* Each is what the one before says, and the last says ESP. */
static void headers_in_their_order(void **state)
{
#define HOP(next)                     \
	{                             \
		IPV6_HOPOPTS, next, 0 \
	}
#define RT(next)                    \
	{                           \
		IPV6_RTHDR, next, 0 \
	}
#define DST(next)                     \
	{                             \
		IPV6_DSTOPTS, next, 0 \
	}
	static const struct {
		enum xipsec_reason reason;
		unsigned int n;
		struct ext ext[3];
	} cases[] = {
		{XIPSEC_REASON_OPENED, 1, {HOP(50)}},
		{XIPSEC_REASON_OPENED, 2, {HOP(60), DST(50)}},
		{XIPSEC_REASON_OPENED, 3, {HOP(43), RT(60), DST(50)}},
		{XIPSEC_REASON_IP6_CHAIN, 1, {HOP(60)}},
		{XIPSEC_REASON_IP6_CHAIN, 1, {DST(51)}},
		{XIPSEC_REASON_IP6_CHAIN, 2, {HOP(43), DST(50)}},
		{XIPSEC_REASON_IP6_CHAIN, 2, {HOP(50), DST(50)}},
		{XIPSEC_REASON_IP6_CHAIN, 2, {DST(50), HOP(60)}},
		{XIPSEC_REASON_IP6_CHAIN, 3, {HOP(60), RT(60), DST(50)}},
		{XIPSEC_REASON_IP6_CHAIN, 1, {{IPV6_HOPOPTS, 50, 1}}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ends_as(cases[i].reason, 0, cases[i].n, cases[i].ext);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_slow, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cut_is_refused),
		TEST(headers_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
