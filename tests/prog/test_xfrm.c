// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's half of the engine xfrm, against the kernel: what it has taken is read back by
 * iproute2. In a network namespace of its own. SAs need a kernel with ESP (tests/vm).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/alg.h"
#include "loader/tap_dev.h"
#include "loader/xfrm.h"
#include "loader/xfrm_dev.h"
#include "tests/lib/sa_make.h"
#include "tests/lib/skip.h"

#define INDEX 0x321
#define CHILD 0x17

static struct event_base *base;
static struct xfrm *xfrm;
static struct xfrm_news heard[16];
static unsigned int n_heard;
static bool esp;
static struct xfrm_count last; /* of the SA that was deleted */

static void on_news(void *ctx, const struct xfrm_news *news)
{
	if (n_heard < 16)
		heard[n_heard++] = *news;
}

static int group_setup(void **state)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	base = event_base_new();
	if (!base || xfrm_new(base, on_news, NULL, &xfrm))
		return -1;
	esp = xfrm && xfrm_has_esp(xfrm, XIPSEC_FAMILY_IP4);
	return 0;
}

static int group_teardown(void **state)
{
	xfrm_free(xfrm);
	event_base_free(base);
	return 0;
}

static int clean(void **state)
{
	event_base_loop(base, EVLOOP_NONBLOCK); /* what the test before did not ask for */
	n_heard = 0;
	return xfrm ? xfrm_clear(xfrm, NULL, NULL) : 0;
}

#define NEEDS_XFRM()                                            \
	do {                                                    \
		if (!xfrm)                                      \
			skip_because("no XFRM in this kernel"); \
	} while (0)
#define NEEDS_ESP()                                                                         \
	do {                                                                                \
		if (!esp)                                                                   \
			skip_because("no ESP in this kernel: make test-vm ONLY=test_xfrm"); \
	} while (0)

/* What a command prints, in one line. */
static const char *output_of(const char *command)
{
	static char text[16384];
	FILE *pipe = popen(command, "r");
	size_t n;

	assert_non_null(pipe);
	n = fread(text, 1, sizeof(text) - 1, pipe);
	text[n] = 0;
	assert_int_equal(pclose(pipe), 0);
	for (char *c = text; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	return text;
}

static void says(const char *text, const char *word)
{
	if (!strstr(text, word))
		fail_msg("\"%s\" is not in: %s", word, text);
}

/* ------------------------------------------------------------------ policies: any XFRM */

static void policies_are_there_and_go(void **state)
{
	struct xipsec_sa out = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);
	struct xipsec_sa in = sa_make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16, 0x1002);
	const char *text;

	NEEDS_XFRM();
	assert_int_equal(xfrm_lead_out(xfrm, &out, NULL, INDEX, CHILD), 0);
	text = output_of("ip xfrm policy list dir out");
	says(text, "src 0.0.0.0/0 dst 0.0.0.0/0");
	says(text, "src ::/0 dst ::/0");
	says(text, "mark 0x4a000017/0xffffffff");
	says(text, "tmpl src 192.0.2.1 dst 192.0.2.2   proto esp reqid 1241514785 mode tunnel");
	assert_int_equal(xfrm_lead_in(xfrm, &in, NULL, CHILD), 0);
	for (int i = 0; i < 2; i++) {
		text = output_of(i ? "ip xfrm policy list dir fwd" : "ip xfrm policy list dir in");
		says(text, "mark 0x4b000017/0xffffffff");
		says(text, "tmpl src 0.0.0.0 dst 0.0.0.0   proto esp reqid 1258291223 mode tunnel");
	}
	/* another SA takes the place of the first in one step */
	out.dst.word[0] = htonl(0xc0000203);
	assert_int_equal(xfrm_lead_out(xfrm, &out, NULL, INDEX + 1, CHILD), 0);
	text = output_of("ip xfrm policy list dir out");
	says(text, "dst 192.0.2.3   proto esp reqid 1241514786");
	assert_null(strstr(text, "192.0.2.2"));
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_OUT, CHILD), 0);
	assert_string_equal(output_of("ip xfrm policy list dir out"), "");
	says(output_of("ip xfrm policy list dir fwd"), "0x4b000017");
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_IN, CHILD), 0);
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_IN, CHILD), 0);
	assert_string_equal(output_of("ip xfrm policy"), "");
}

/* A tunnel's, by its if_id; another list of selectors is told from the one that is there. */
static void policies_of_a_tunnel(void **state)
{
	struct xipsec_sa out = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);
	struct xipsec_sa in = sa_make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16, 0x1002);
	struct xfrm_sels sels = {.n = 2, .sel[0].family = AF_INET, .sel[1].family = AF_INET6};
	const char *text;

	NEEDS_XFRM();
	out.if_id = in.if_id = 7;
	assert_true(xfrm_tunnel_takes(xfrm, CHILD, &sels));
	assert_int_equal(xfrm_lead_out(xfrm, &out, NULL, INDEX, CHILD), 0);
	text = output_of("ip xfrm policy list dir out");
	says(text, "src ::/0 dst ::/0");
	says(text, "reqid 1241514785 mode tunnel");
	says(text, "if_id 0x7");
	assert_null(strstr(text, "mark"));
	assert_int_equal(xfrm_lead_in(xfrm, &in, NULL, CHILD), -EINVAL);
	assert_int_equal(xfrm_lead_in(xfrm, &in, &sels, CHILD), 0);
	for (int i = 0; i < 2; i++) {
		text = output_of(i ? "ip xfrm policy list dir fwd" : "ip xfrm policy list dir in");
		says(text, "src 0.0.0.0/0 dst 0.0.0.0/0   dir");
		says(text, "mark 0x4b000017/0xffffffff");
		says(text, "reqid 1258291223 mode tunnel");
		says(text, "if_id 0x7");
	}
	text = output_of("ip xfrm policy list dir in");
	says(text, "proto ipv6-icmp type 134   dir in action block priority 0");
	says(text, "proto icmp type 5   dir in action block priority 0");
	assert_true(xfrm_tunnel_takes(xfrm, CHILD, &sels));
	sels.sel[0].prefixlen_d = 8;
	assert_false(xfrm_tunnel_takes(xfrm, CHILD, &sels));
	assert_true(xfrm_tunnel_takes(xfrm, CHILD + 1, &sels));
	assert_int_equal(xfrm_lead_in(xfrm, &in, &sels, CHILD), 0);
	text = output_of("ip xfrm policy list dir fwd");
	says(text, "dst 0.0.0.0/8");
	assert_null(strstr(text, "dst 0.0.0.0/0"));
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_OUT, CHILD), 0);
	assert_string_equal(output_of("ip xfrm policy list dir out"), "");
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_IN, CHILD), 0);
	assert_string_equal(output_of("ip xfrm policy"), "");

	/* a dead xipsecd's, beside a stranger's of the same if_id */
	output_of("ip xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out if_id 7 "
		  "tmpl proto esp reqid 9 mode transport");
	assert_int_equal(xfrm_lead_out(xfrm, &out, NULL, INDEX, CHILD), 0);
	assert_int_equal(xfrm_lead_in(xfrm, &in, &sels, CHILD), 0);
	assert_int_equal(xfrm_clear(xfrm, NULL, NULL), 0);
	text = output_of("ip xfrm policy");
	says(text, "src 10.0.0.0/8");
	assert_null(strstr(text, "0.0.0.0/0"));
	assert_null(strstr(text, "icmp"));
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_OUT, CHILD), 0);
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_IN, CHILD), 0);
	output_of("ip xfrm policy flush");
}

static bool keeps_t2(void *ctx, const char *name)
{
	return strcmp(name, "t2") == 0;
}

/* Made, taken over, made anew with another if_id, taken away; a stranger's is left alone. */
static void interfaces_of_tunnels(void **state)
{
	unsigned int first = 0, index = 0;
	struct netlink nl;
	const char *text;
	int err;

	assert_int_equal(netlink_open(NETLINK_ROUTE, &nl), 0);
	err = xfrm_dev_open(&nl, "t0", 7, 1400, &first);
	if (err == -EOPNOTSUPP) {
		netlink_close(&nl);
		skip_because("no xfrm interfaces in this kernel: make test-vm ONLY=test_xfrm");
	}
	assert_int_equal(err, 0);
	text = output_of("ip -d link show t0");
	says(text, "xfrm if_id 0x7");
	says(text, "alias xipsec tunnel");
	says(text, "UP");
	says(text, "mtu 1400");
	says(text, "addrgenmode none");
	assert_int_equal(xfrm_dev_open(&nl, "t0", 7, 1400, &index), 0);
	assert_int_equal(index, first);
	assert_int_equal(xfrm_dev_open(&nl, "t0", 8, 1400, &index), 0);
	assert_int_not_equal(index, first);
	says(output_of("ip -d link show t0"), "xfrm if_id 0x8");

	output_of("ip link add t1 type xfrm if_id 9");
	assert_int_equal(xfrm_dev_open(&nl, "t1", 10, 1400, &index), -EEXIST);
	assert_int_equal(xfrm_dev_open(&nl, "t3", 9, 1400, &index), -EEXIST);
	assert_int_equal(xfrm_dev_open(&nl, "t1", 9, 1400, &index), 0);
	assert_int_equal(xfrm_dev_remove(&nl, "t1", true), 0);
	assert_int_equal(xfrm_dev_remove(&nl, "t4", true), 0);
	assert_int_equal(xfrm_dev_open(&nl, "t2", 11, 1400, &index), 0);
	assert_int_equal(xfrm_dev_sweep(&nl, keeps_t2, NULL), 0);
	text = output_of("ip -o link show");
	says(text, "t1@");
	says(text, "t2@");
	assert_null(strstr(text, "t0@"));
	assert_int_equal(xfrm_dev_remove(&nl, "t2", true), 0);
	assert_null(strstr(output_of("ip -o link show"), "t2@"));
	output_of("ip link del t1");
	netlink_close(&nl);
}

/* The last to hold it, as a worker that is told to let go of it does a little later. */
static pid_t holder(unsigned int us)
{
	pid_t pid = fork();

	if (pid == 0) {
		usleep(us);
		_exit(0);
	}
	return pid;
}

/* A TUN that goes at some moment between being looked for and being deleted is gone. */
static void a_tun_goes_meanwhile(void **state)
{
	struct tap_dev dev;
	struct netlink nl;

	assert_int_equal(netlink_open(NETLINK_ROUTE, &nl), 0);
	for (unsigned int i = 0; i < 100; i++) {
		pid_t pid;

		assert_int_equal(tap_dev_open(&nl, &dev, "t0", true, 1400, 1), 0);
		pid = holder(i * 7 % 500);
		assert_true(pid > 0);
		tap_dev_close(&dev, true);
		assert_int_equal(xfrm_dev_remove(&nl, "t0", false), 0);
		assert_int_equal(if_nametoindex("t0"), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	netlink_close(&nl);
}

static void hear(void)
{
	n_heard = 0;
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void ignore(void *ctx, const struct xfrm_news *news)
{
}

/* Of this host's own packets, and of what transport mode opens: they come, change and go. */
static void policies_with_selectors(void **state)
{
	struct xipsec_sa out = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);
	struct xipsec_sa in = sa_make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16, 0x1002);
	struct xfrm_sels sels = {.n = 2, .refuse = {true, false}};
	struct xfrm *other;
	const char *text;

	NEEDS_XFRM();
	out.mode = in.mode = XIPSEC_MODE_TRANSPORT;
	sels.sel[0] = sels.sel[1] = xfrm_between(&in);
	sels.sel[0].proto = IPPROTO_TCP;
	sels.sel[0].dport = htons(22);
	sels.sel[0].dport_mask = 0xffff;
	assert_int_equal(xfrm_lead_in(xfrm, &in, &sels, CHILD), 0);
	text = output_of("ip xfrm policy list dir in");
	says(text, "src 192.0.2.1/32 dst 192.0.2.2/32 proto tcp dport 22   dir in action block "
		   "priority 0");
	says(text, "src 192.0.2.1/32 dst 192.0.2.2/32   dir in priority 1");
	says(text, "src 0.0.0.0/0 dst 0.0.0.0/0   dir in action block priority 1000");
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_IN, CHILD), 0);
	assert_string_equal(output_of("ip xfrm policy"), "");

	sels.n = 1;
	sels.refuse[0] = false;
	assert_int_equal(xfrm_lead_out(xfrm, &out, &sels, INDEX, CHILD), 0);
	assert_int_equal(xfrm_lead_out(xfrm, &out, &sels, INDEX, CHILD + 1), 0);
	text = output_of("ip xfrm policy list dir out");
	says(text, "proto tcp dport 22   dir out priority 1 ptype main   mark 0/0x40000000");
	says(text, "proto ipv6-icmp type 133   dir out priority 0 ptype main   mark 0/0x40000000");
	sels.sel[0] = xfrm_between(&out);
	assert_int_equal(xfrm_lead_out(xfrm, &out, &sels, INDEX, CHILD), 0);
	text = output_of("ip xfrm policy list dir out");
	says(text, "src 192.0.2.1/32 dst 192.0.2.2/32   dir out priority 1 ptype main   mark "
		   "0/0x40000000");
	assert_null(strstr(text, "tcp")); /* they were one in the kernel */
	assert_int_equal(xfrm_lead_out(xfrm, &out, NULL, INDEX, CHILD), 0);
	assert_null(strstr(output_of("ip xfrm policy list dir out"), "/32"));
	/* somebody else takes one away; neighbour discovery's go with the last child's */
	assert_int_equal(xfrm_new(base, ignore, NULL, &other), 0);
	assert_int_equal(xfrm_lead_out(other, &out, &sels, INDEX, CHILD + 2), 0);
	hear();
	assert_int_equal(xfrm_lead_nowhere(other, XIPSEC_DIR_OUT, CHILD + 2), 0);
	hear();
	xfrm_free(other);
	assert_int_equal(n_heard, 5);
	assert_int_equal(heard[0].kind, XFRM_NEWS_POLICIES_GONE);
	assert_int_equal(heard[0].reqid, XIPSEC_MARK_XFRM);
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_OUT, CHILD), 0);
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_OUT, CHILD + 1), 0);
	assert_string_equal(output_of("ip xfrm policy"), "");

	/* a dead xipsecd's */
	assert_int_equal(xfrm_lead_out(xfrm, &out, &sels, INDEX, CHILD), 0);
	assert_int_equal(xfrm_clear(xfrm, NULL, NULL), 0);
	assert_string_equal(output_of("ip xfrm policy"), "");
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_OUT, CHILD), 0);
}

/* Who takes policies away is heard, but we ourselves; whose they are is seen by the mark. */
static void who_takes_policies_is_heard(void **state)
{
	struct xipsec_sa in = sa_make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16, 0x1002);

	NEEDS_XFRM();
	hear();
	assert_int_equal(xfrm_lead_in(xfrm, &in, NULL, CHILD), 0);
	assert_int_equal(xfrm_lead_nowhere(xfrm, XIPSEC_DIR_IN, CHILD), 0);
	hear();
	assert_int_equal(n_heard, 0);
	assert_int_equal(xfrm_lead_in(xfrm, &in, NULL, CHILD), 0);
	output_of("ip xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out mark 7 "
		  "tmpl proto esp reqid 9 mode transport");
	output_of("ip xfrm policy delete src 10.0.0.0/8 dst 10.1.0.0/16 dir out mark 7");
	hear();
	assert_int_equal(n_heard, 0);
	output_of("ip xfrm policy delete src ::/0 dst ::/0 dir fwd mark 0x4b000017");
	hear();
	assert_int_equal(n_heard, 1);
	assert_int_equal(heard[0].kind, XFRM_NEWS_POLICIES_GONE);
	assert_int_equal(heard[0].reqid, XIPSEC_MARK_OPENED | CHILD);
	output_of("ip xfrm policy flush");
	hear();
	assert_int_equal(n_heard, 1);
	assert_int_equal(heard[0].reqid, 0);
}

static void clear_spares_strangers(void **state)
{
	struct xipsec_sa out = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);
	const char *text;

	NEEDS_XFRM();
	output_of("ip xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out mark 7 "
		  "tmpl proto esp reqid 9 mode transport");
	for (__u32 child = 0; child < 5; child++) {
		assert_int_equal(xfrm_lead_out(xfrm, &out, NULL, INDEX, child), 0);
		assert_int_equal(xfrm_lead_in(xfrm, &out, NULL, child), 0);
	}
	assert_int_equal(xfrm_clear(xfrm, NULL, NULL), 0);
	text = output_of("ip xfrm policy");
	says(text, "src 10.0.0.0/8");
	assert_null(strstr(text, "0x4a"));
	assert_null(strstr(text, "0x4b"));
	output_of("ip xfrm policy flush");
}

/* ------------------------------------------------------------------ SAs: a kernel with ESP */

/* In hex, as iproute2 prints keys. */
static void says_key(const char *text, const __u8 *key, __u32 len)
{
	char hex[2 * XIPSEC_KEY_MAX + 3] = "0x";

	for (__u32 i = 0; i < len; i++)
		sprintf(hex + 2 + 2 * i, "%02x", key[i]);
	says(text, hex);
}

static bool kernel_has(__u8 alg)
{
	return !strstr(alg_get(alg)->name, "iiv");
}

static void takes(__u8 alg, __u8 mode, __u8 family, __u8 dir, __u16 flags)
{
	struct xipsec_sa sa = sa_make(dir, alg, 0x1000U + alg);
	const struct alg *a = alg_get(alg);
	const char *text;
	int err;

	sa.mode = mode;
	sa.flags = flags;
	if (family == XIPSEC_FAMILY_IP6) {
		sa.outer_family = family;
		inet_pton(AF_INET6, "2001:db8::1", &sa.src);
		inet_pton(AF_INET6, "2001:db8::2", &sa.dst);
	}
	if (flags & XIPSEC_SA_UDP)
		sa.src_port = sa.dst_port = htons(4500);
	err = xfrm_add(xfrm, &sa, NULL, INDEX, CHILD, 0);
	if (err)
		fail_msg("%s, mode %u, family %u, dir %u, flags %u: %s", a->name, mode, family, dir,
			 flags, strerror(-err));
	text = output_of("ip -d xfrm state");
	says_key(text, sa.key, a->auth_key ? a->cipher_key + a->salt : sa.key_len);
	if (a->auth_key)
		says_key(text, sa.key + a->cipher_key + a->salt, a->auth_key);
	says(text, mode == XIPSEC_MODE_TUNNEL ? "mode tunnel" : "mode transport");
	says(text, dir == XIPSEC_DIR_OUT ? "reqid 1241514785" : "reqid 1258291223");
	says(text, dir == XIPSEC_DIR_IN ? "output-mark 0x4b000017/0xffffffff"
					: "output-mark 0x4a000017/0xffffffff");
	if (flags & XIPSEC_SA_ESN)
		says(text, "esn");
	if (flags & XIPSEC_SA_UDP)
		says(text, "encap type espinudp sport 4500 dport 4500 addr");
	says(text, "replay_window 1024, bitmap-length 32");
	assert_int_equal(xfrm_delete(xfrm, &sa, &last), 0);
	assert_string_equal(output_of("ip xfrm state"), "");
}

static void every_algorithm(void **state)
{
	NEEDS_ESP();
	for (__u8 alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (__u8 way = 0; way < 4 && kernel_has(alg); way++)
			takes(alg, way & 1 ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL,
			      way & 2 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4,
			      way & 1 ? XIPSEC_DIR_IN : XIPSEC_DIR_OUT,
			      (way & 2 ? XIPSEC_SA_ESN : 0) | (way == 1 ? XIPSEC_SA_UDP : 0));
}

static void refuses_an_unknown_one_by_errno(void **state)
{
	struct xipsec_sa sa = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);

	NEEDS_ESP();
	sa.window = SA_KERNEL_WINDOW_MAX;
	assert_int_equal(xfrm_add(xfrm, &sa, NULL, INDEX, CHILD, 0), 0);
	assert_int_equal(xfrm_add(xfrm, &sa, NULL, INDEX, CHILD, 0), -EEXIST);
	assert_int_equal(xfrm_delete(xfrm, &sa, &last), 0);
	assert_int_equal(xfrm_delete(xfrm, &sa, &last), -ESRCH);
}

static void numbers_come_back(void **state)
{
	struct xipsec_sa out = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);
	struct xipsec_sa in = sa_make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16, 0x1002);
	struct xfrm_count count = {.packets = 9};

	NEEDS_ESP();
	out.flags = in.flags = XIPSEC_SA_ESN;
	assert_int_equal(xfrm_add(xfrm, &out, NULL, INDEX, CHILD, 0x500000007), 0);
	assert_int_equal(xfrm_add(xfrm, &in, NULL, INDEX, CHILD, 0x600000008), 0);
	assert_int_equal(xfrm_ask(xfrm, &out, &count), 0);
	assert_int_equal(count.seq, 0x500000007);
	assert_int_equal(count.packets, 0);
	assert_int_equal(xfrm_ask(xfrm, &in, &count), 0);
	assert_int_equal(count.seq, 0x600000008);
	assert_int_equal(xfrm_delete(xfrm, &out, &last), 0);
	assert_int_equal(last.seq, 0x500000007);
	assert_int_equal(xfrm_delete(xfrm, &in, &last), 0);
	assert_int_equal(last.seq, 0x600000008);
	assert_int_equal(xfrm_ask(xfrm, &out, &count), -ESRCH);
	assert_int_equal(xfrm_delete(xfrm, &out, &last), -ESRCH);
	assert_int_equal(last.seq, 0x600000008);
}

static struct {
	int times, err;
	__u64 sum;
} tell;

static int on_left(void *ctx, const struct xfrm_state *list, unsigned int n)
{
	tell.times++;
	for (unsigned int i = 0; i < n; i++)
		tell.sum += list[i].sent.seq + list[i].heard.seq;
	return tell.err;
}

/* Before, so that they stay if nobody can note it; and after. */
static void clear_tells_numbers(void **state)
{
	struct xipsec_sa out = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);
	struct xipsec_sa in = sa_make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16, 0x1002);

	NEEDS_ESP();
	assert_int_equal(xfrm_add(xfrm, &out, NULL, INDEX, CHILD, 7), 0);
	assert_int_equal(xfrm_add(xfrm, &in, NULL, INDEX, CHILD, 0x500), 0);
	tell.err = -ENOSPC;
	assert_int_equal(xfrm_clear(xfrm, on_left, NULL), -ENOSPC);
	assert_int_equal(tell.times, 1);
	assert_int_equal(tell.sum, 0x507);
	says(output_of("ip xfrm state"), "spi 0x00001001");
	says(output_of("ip xfrm state"), "spi 0x00001002");
	tell.err = 0;
	assert_int_equal(xfrm_clear(xfrm, on_left, NULL), 0);
	assert_int_equal(tell.times, 3);
	assert_int_equal(tell.sum, 3 * 0x507);
	assert_string_equal(output_of("ip xfrm state"), "");
}

static void clear_takes_sas_away(void **state)
{
	NEEDS_ESP();
	output_of("ip xfrm state add src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x9 reqid 9 "
		  "auth-trunc 'hmac(sha256)' 0x11 128 enc 'ecb(cipher_null)' ''");
	for (__u32 i = 0; i < 5; i++) {
		struct xipsec_sa sa = sa_make(i & 1 ? XIPSEC_DIR_IN : XIPSEC_DIR_OUT,
					      XIPSEC_ALG_AES128GCM16, 0x1001 + i);

		assert_int_equal(xfrm_add(xfrm, &sa, NULL, i, CHILD, 0), 0);
	}
	assert_int_equal(xfrm_clear(xfrm, NULL, NULL), 0);
	says(output_of("ip xfrm state"), "spi 0x00000009");
	assert_null(strstr(output_of("ip xfrm state"), "0x0000100"));
	output_of("ip xfrm state flush");
}

/* ------------------------------------------------------------------ with packets */

/* A datagram of this host, with the mark of the child. 0 or -errno. */
static int send_one(__u32 mark)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x0a020001)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	if (sendto(fd, "12345678", 8, MSG_DONTWAIT, (void *)&to, sizeof(to)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Frames that left by d0. */
static int left(void)
{
	return atoi(output_of(
		"ip -s -j link show d0 | sed 's/.*\"tx\":{[^}]*\"packets\":\\([0-9]*\\).*/\\1/'"));
}

/* Until so much was heard: the kernel tells of limits from a timer. Five seconds at most. */
static void listen_for(unsigned int n)
{
	for (int tries = 0; tries < 100 && n_heard < n; tries++) {
		usleep(50000);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
}

static void limits_and_news(void **state)
{
	struct xipsec_sa sa = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);
	struct xfrm_count count;
	int before;

	NEEDS_ESP();
	/* nothing of IPv6's own leaves meanwhile */
	output_of("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
	output_of("ip link add name d0 type veth peer name d1 && ip link set d0 up && "
		  "ip link set d1 up && ip address add 192.0.2.1/24 dev d0 && "
		  "ip route add 10.2.0.0/16 via 192.0.2.2 dev d0 && "
		  "ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev d0");
	sa.limits.soft_packets = 1;
	sa.limits.hard_packets = 2;
	assert_int_equal(xfrm_add(xfrm, &sa, NULL, INDEX, CHILD, 0), 0);
	assert_int_equal(xfrm_lead_out(xfrm, &sa, NULL, INDEX, CHILD), 0);
	assert_int_equal(send_one(XIPSEC_MARK_XFRM | CHILD), 0);
	assert_int_equal(xfrm_ask(xfrm, &sa, &count), 0);
	assert_int_equal(count.packets, 1);
	assert_int_equal(count.seq, 1);
	send_one(XIPSEC_MARK_XFRM | CHILD);
	send_one(XIPSEC_MARK_XFRM | CHILD);
	listen_for(2);
	assert_true(n_heard >= 2);
	assert_int_equal(heard[0].kind, XFRM_NEWS_SOFT);
	assert_int_equal(heard[0].sa.spi, sa.spi);
	assert_int_equal(heard[0].reqid, XIPSEC_MARK_XFRM | INDEX);
	assert_int_equal(heard[1].kind, XFRM_NEWS_HARD);
	assert_int_equal(heard[1].sa.spi, sa.spi);
	/* with the SA gone the policy wants another one, and nothing leaves */
	n_heard = 0;
	before = left();
	send_one(XIPSEC_MARK_XFRM | CHILD);
	listen_for(1);
	assert_int_equal(left(), before);
	assert_true(n_heard >= 1);
	assert_int_equal(heard[0].kind, XFRM_NEWS_ACQUIRE);
	assert_int_equal(heard[0].reqid, XIPSEC_MARK_XFRM | INDEX);
	output_of("ip link del d0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(policies_are_there_and_go, clean),
		cmocka_unit_test_teardown(policies_of_a_tunnel, clean),
		cmocka_unit_test_teardown(interfaces_of_tunnels, clean),
		cmocka_unit_test_teardown(a_tun_goes_meanwhile, clean),
		cmocka_unit_test_teardown(policies_with_selectors, clean),
		cmocka_unit_test_teardown(who_takes_policies_is_heard, clean),
		cmocka_unit_test_teardown(clear_spares_strangers, clean),
		cmocka_unit_test_teardown(every_algorithm, clean),
		cmocka_unit_test_teardown(refuses_an_unknown_one_by_errno, clean),
		cmocka_unit_test_teardown(numbers_come_back, clean),
		cmocka_unit_test_teardown(clear_tells_numbers, clean),
		cmocka_unit_test_teardown(clear_takes_sas_away, clean),
		cmocka_unit_test_teardown(limits_and_news, clean),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
