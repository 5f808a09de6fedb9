// SPDX-License-Identifier: BSD-2-Clause
/*
 * Workers die at random moments while packets flow; the next one goes on with the same sockets and
 * the same memory.
 *
 *	generator ─ red1 ═ red0 ─XDP─ XSK ─ worker ─ XSK ─ black0 ═ black1 ─ capture
 *
 * All in one network namespace of this process, gone with it. Asserted: traffic flows after every
 * start, no sequence number is seen twice, at most one burst of frames is lost a death.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <xdp/xsk.h>

#include "lib/log.h"
#include "worker/crypto.h"
#include "worker/frames.h"
#include "worker/loop.h"
#include "worker/sandbox.h"
#include "xipsec/ctl.h"
#include "xipsec/meta.h"

enum {
	DEATHS = 50,
	BURST = 64,
	N_FRAMES = 8192,
	FRAME_SIZE = 2048,
	RING = 1024,
	RED = 0,
	BLACK = 1,
	GENERATION = 7,
	WORKER_UID = 61500,
	SEQS = 1 << 24,
	TEST_PATH_MTU = 1500,
};

static const char *const ifname[2] = {"red0", "black0"};
static const __u8 peer_mac[6] = {2, 0, 0, 0, 0, 9};

static struct {
	int umem_fd, table_fd, state_fd, stats_fd, globals_fd;
	struct xipsec_sa_state *sa_state;
	struct xipsec_worker_stats *stats;
	struct xsk_umem *umem;
	struct xsk_socket *xsk[2];
	struct xsk_ring_cons rx[2], comp[2];
	struct xsk_ring_prod tx[2], fill[2];
	int capture;
	pid_t generator;
	__u8 *seq_seen;
	__u64 captured, twice;
} t;

/* ------------------------------------------------------------------ ground */

static void run(const char *command)
{
	if (system(command))
		fail_msg("%s failed", command);
}

static void make_links(void)
{
	int fd;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	/* No chatter but ours. */
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
	if (fd >= 0) {
		assert_int_equal(write(fd, "1", 1), 1);
		close(fd);
	}
	run("ip link add red0 type veth peer name red1");
	run("ip link add black0 type veth peer name black1");
	run("for i in red0 red1 black0 black1; do ip link set $i up || exit 1; done");
}

static void *shared(const char *name, size_t size, int *fd)
{
	void *p;

	*fd = memfd_create(name, MFD_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, size), 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

static void make_sockets(void)
{
	const struct xsk_umem_config umem_config = {
		.fill_size = RING,
		.comp_size = RING,
		.frame_size = FRAME_SIZE,
	};
	const struct xsk_socket_config config = {
		.rx_size = RING,
		.tx_size = RING,
		.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP,
	};
	void *area = shared("umem", N_FRAMES * FRAME_SIZE, &t.umem_fd);

	assert_int_equal(xsk_umem__create(&t.umem, area, N_FRAMES * FRAME_SIZE, &t.fill[RED],
					  &t.comp[RED], &umem_config),
			 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(xsk_socket__create_shared(&t.xsk[i], ifname[i], 0, t.umem,
							   &t.rx[i], &t.tx[i], &t.fill[i],
							   &t.comp[i], &config),
				 0);
}

/* What xipsec_red does for a packet under PROTECT, without the looking up. */
static void attach_program(void)
{
	const struct xipsec_meta meta = {
		.magic = XIPSEC_META_MAGIC,
		.abi = XIPSEC_ABI,
		.dir = XIPSEC_DIR_OUT,
		.l3_off = ETH_HLEN,
		.sa_index = 0,
		.sa_generation = GENERATION,
		.spd_generation = 1,
		.l4_off = ETH_HLEN + 20,
		.reason = XIPSEC_REASON_STEER_OUT,
		.family = XIPSEC_FAMILY_IP4,
		.l4_proto = IPPROTO_UDP,
	};
	const __u32 zero = 0;
	struct bpf_insn prog[40];
	__u32 words[8];
	int n = 0, map, fd, sock = xsk_socket__fd(t.xsk[RED]);

	memcpy(words, &meta, sizeof(words));
	map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 1, NULL);
	assert_true(map >= 0);
	assert_int_equal(bpf_map_update_elem(map, &zero, &sock, BPF_ANY), 0);
#define INSN(c, d, s, o, i) \
	prog[n++] = (struct bpf_insn){.code = c, .dst_reg = d, .src_reg = s, .off = o, .imm = i}
	INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, -32);
	INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_xdp_adjust_meta);
	INSN(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 18, 0);
	INSN(BPF_LDX | BPF_W | BPF_MEM, 1, 6, offsetof(struct xdp_md, data_meta), 0);
	INSN(BPF_LDX | BPF_W | BPF_MEM, 2, 6, offsetof(struct xdp_md, data), 0);
	INSN(BPF_ALU64 | BPF_MOV | BPF_X, 3, 1, 0, 0);
	INSN(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, 32);
	INSN(BPF_JMP | BPF_JGT | BPF_X, 3, 2, 13, 0);
	for (int i = 0; i < 8; i++)
		INSN(BPF_ST | BPF_W | BPF_MEM, 1, 0, 4 * i, words[i]);
	INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map);
	INSN(0, 0, 0, 0, 0);
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 0);
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, XDP_DROP);
	INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map);
	/* the jumps above land here: r0 is an error or the redirect's verdict */
	INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "takeover", "GPL", prog, n, NULL);
	if (fd < 0)
		fail_msg("the program does not load: %s", strerror(errno));
	assert_int_equal(bpf_xdp_attach(if_nametoindex("red0"), fd, XDP_FLAGS_DRV_MODE, NULL), 0);
	close(fd);
	close(map);
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	int size = 8 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* ------------------------------------------------------------------ traffic */

static size_t build_frame(__u8 *frame)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons(20 + 8 + 64),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.saddr = inet_addr("10.1.0.1"),
		.daddr = inet_addr("10.2.0.1"),
	};
	const __be16 udp[4] = {htons(1000), htons(2000), htons(8 + 64), 0};
	const __be16 type = htons(ETH_P_IP);
	__u16 words[10];
	__u32 sum = 0;

	memcpy(words, &ip, sizeof(words));
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip.check = ~(sum + (sum >> 16));
	memset(frame, 0, ETH_HLEN + 20 + 8 + 64);
	memset(frame, 0xff, ETH_ALEN);
	memcpy(frame + ETH_ALEN, peer_mac, ETH_ALEN);
	memcpy(frame + 2 * ETH_ALEN, &type, sizeof(type));
	memcpy(frame + ETH_HLEN, &ip, sizeof(ip));
	memcpy(frame + ETH_HLEN + sizeof(ip), udp, sizeof(udp));
	return ETH_HLEN + 20 + 8 + 64;
}

static void start_generator(void)
{
	__u8 frame[256];
	size_t len = build_frame(frame);
	int fd = packet_socket("red1");

	t.generator = fork();
	assert_true(t.generator >= 0);
	if (t.generator) {
		close(fd);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		for (int i = 0; i < 256; i++)
			send(fd, frame, len, 0);
		usleep(1);
	}
}

/* Empties the capture; every ESP sequence number may come once. Returns how many came. */
static unsigned int read_capture(void)
{
	__u8 frame[2048];
	unsigned int n = 0;
	ssize_t len;

	while ((len = recv(t.capture, frame, sizeof(frame), MSG_DONTWAIT)) > 0) {
		__u32 seq;

		if (len < ETH_HLEN + 28 || frame[12] != 0x08 || frame[13] != 0x00 ||
		    frame[ETH_HLEN + 9] != IPPROTO_ESP)
			continue;
		memcpy(&seq, frame + ETH_HLEN + 24, 4);
		seq = ntohl(seq);
		assert_in_range(seq, 1, SEQS - 1);
		if (t.seq_seen[seq]++)
			t.twice++;
		n++;
	}
	t.captured += n;
	return n;
}

/* ------------------------------------------------------------------ the worker */

static void tell(int ctl, enum xipsec_ctl_type type, void *msg, size_t len, const int *fds, int n)
{
	union {
		char buf[CMSG_SPACE(5 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {msg, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	*(struct ctl_hdr *)msg = (struct ctl_hdr){.type = type, .abi = XIPSEC_ABI, .len = len};
	if (n) {
		struct cmsghdr *c;

		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(ctl, &mh, MSG_NOSIGNAL), len);
}

/* Workers may differ in their crypto library: what one began the next goes on with. */
static void tell_hello(int ctl, enum xipsec_backend backend)
{
	struct ctl_hello hello = {
		.worker = 0,
		.n_sas = 1,
		.frame_size = FRAME_SIZE,
		.n_frames = N_FRAMES,
		.backend = backend,
		.uid = WORKER_UID,
		.sa_state_size = sizeof(struct xipsec_sa_state),
		.sa_state_stride = sizeof(struct xipsec_sa_state),
		.stats_size = sizeof(struct xipsec_worker_stats),
		.stats_stride = sizeof(struct xipsec_worker_stats),
	};
	const int fds[5] = {t.umem_fd, t.table_fd, t.state_fd, t.stats_fd, t.globals_fd};

	tell(ctl, XIPSEC_CTL_HELLO, &hello, sizeof(hello), fds, 5);
}

static struct ctl_ring ring_offsets(const struct xdp_ring_offset *off)
{
	return (struct ctl_ring){off->producer, off->consumer, off->desc, off->flags, RING, 0};
}

static void tell_device(int ctl, int i)
{
	struct ctl_dev dev = {
		.slot = i,
		.ifindex = if_nametoindex(ifname[i]),
		.role = i == RED ? XIPSEC_ROLE_PROTECTED : XIPSEC_ROLE_UNPROTECTED,
		.mtu = TEST_PATH_MTU,
		.up = 1,
	};
	struct ctl_xsk msg = {.slot = i, .queue = 0};
	struct ctl_xsk_ref bound = {.slot = i, .queue = 0};
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	int fd = xsk_socket__fd(t.xsk[i]);

	tell(ctl, XIPSEC_CTL_DEV, &dev, sizeof(dev), NULL, 0);
	assert_int_equal(getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len), 0);
	msg.rx = ring_offsets(&off.rx);
	msg.tx = ring_offsets(&off.tx);
	msg.fill = ring_offsets(&off.fr);
	msg.comp = ring_offsets(&off.cr);
	tell(ctl, XIPSEC_CTL_XSK, &msg, sizeof(msg), &fd, 1);
	tell(ctl, XIPSEC_CTL_XSK_BOUND, &bound, sizeof(bound), NULL, 0);
}

static void tell_rest(int ctl)
{
	struct ctl_sa sa = {
		.index = 0,
		.generation = GENERATION,
		.sa =
			{
				.name = "test",
				.src.word[0] = inet_addr("192.0.2.1"),
				.dst.word[0] = inet_addr("192.0.2.2"),
				.spi = htonl(0x1001),
				.outer_family = XIPSEC_FAMILY_IP4,
				.l4_proto = IPPROTO_ESP,
				.dir = XIPSEC_DIR_OUT,
				.mode = XIPSEC_MODE_TUNNEL,
				.engine = XIPSEC_ENGINE_AFXDP,
				.alg = XIPSEC_ALG_AES128GCM16,
				.window = 1024,
				.key_len = 20,
				.key = {1, 2, 3},
			},
	};
	struct ctl_nexthop nh = {
		.dst = sa.sa.dst,
		.family = XIPSEC_FAMILY_IP4,
		.status = XIPSEC_NEXTHOP_OK,
		.slot = BLACK,
		.mtu = TEST_PATH_MTU,
		.src_mac = {2, 0, 0, 0, 0, 1},
		.dst_mac = {2, 0, 0, 0, 0, 2},
		.lifetime = 3600,
	};
	struct ctl_hdr go;

	tell(ctl, XIPSEC_CTL_SA, &sa, sizeof(sa), NULL, 0);
	tell(ctl, XIPSEC_CTL_NEXTHOP, &nh, sizeof(nh), NULL, 0);
	tell(ctl, XIPSEC_CTL_GO, &go, sizeof(go), NULL, 0);
}

/* As main.c does it, but for the start by fexecve(). */
static int worker_main(int ctl)
{
	struct worker *w;
	struct ctl_in in;
	int err;

	log_open("worker", LOG_LEVEL_WARN);
	if (crypto_init() || ctl_receive(ctl, true, &in) || worker_new(ctl, &in, &w))
		return 1;
		/* A sanitizer's own calls are not on the filter's list. */
#ifdef __SANITIZE_ADDRESS__
	err = sandbox_drop_privileges(in.msg.hello.uid);
#else
	err = sandbox_close(in.msg.hello.uid);
#endif
	ctl_done(&in);
	if (!err)
		err = worker_wait_go(w);
	if (!err)
		err = worker_run(w);
	if (err == -EPIPE)
		err = worker_check(w);
	return err ? 2 : 0;
}

static pid_t start_worker(int *ctl, enum xipsec_backend backend)
{
	struct ctl_xsk_ref mapped;
	struct ctl_hdr ready;
	int pair[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(pair[0]);
		_exit(worker_main(pair[1]));
	}
	close(pair[1]);
	tell_hello(pair[0], backend);
	tell_device(pair[0], RED);
	tell_device(pair[0], BLACK);
	tell_rest(pair[0]);
	for (__u32 i = 0; i < 2; i++) {
		assert_int_equal(recv(pair[0], &mapped, sizeof(mapped), 0), sizeof(mapped));
		assert_int_equal(mapped.hdr.type, XIPSEC_CTL_XSK_MAPPED);
		assert_int_equal(mapped.slot, i);
		assert_int_equal(mapped.queue, 0);
	}
	assert_int_equal(recv(pair[0], &ready, sizeof(ready), 0), sizeof(ready));
	assert_int_equal(ready.type, XIPSEC_CTL_READY);
	*ctl = pair[0];
	return pid;
}

/* Until at least n more packets were captured. */
static void expect_traffic(unsigned int n)
{
	unsigned int got = 0;

	for (int ms = 0; ms < 3000 && got < n; ms++) {
		usleep(1000);
		got += read_capture();
	}
	assert_true(got >= n);
}

/* ------------------------------------------------------------------ the test */

static int setup(void **state)
{
	int fd;

	if (geteuid()) {
		fprintf(stderr, "test_takeover needs root: for interfaces and AF_XDP\n");
		return -1;
	}
	make_links();
	make_sockets();
	attach_program();
	shared("table", N_FRAMES, &t.table_fd);
	t.sa_state = shared("sa_state", sizeof(*t.sa_state), &t.state_fd);
	t.stats = shared("stats", sizeof(*t.stats), &t.stats_fd);
	((struct xipsec_globals *)shared("globals", sizeof(struct xipsec_globals), &t.globals_fd))
		->spd_generation = 1;
	t.sa_state->generation = GENERATION;
	t.sa_state->status = XIPSEC_SA_LIVE;
	t.sa_state->seq_limit = SEQS - 1;
	t.seq_seen = shared("seqs", SEQS, &fd);
	close(fd);
	t.capture = packet_socket("black1");
	srandom(time(NULL));
	return 0;
}

static int teardown(void **state)
{
	if (t.generator > 0) {
		kill(t.generator, SIGKILL);
		waitpid(t.generator, NULL, 0);
	}
	return 0;
}

static __u64 reasons_sum(void)
{
	__u64 sum = 0;

	for (int i = 0; i < XIPSEC_REASON_MAX; i++)
		if (i != XIPSEC_REASON_RX_FULL)
			sum += t.stats->reason[i].packets;
	return sum;
}

/* Frames that say they are given away, and are in no ring. */
static unsigned int frames_lost(void)
{
	unsigned int away = 0, in_rings = 0;
	__u8 *table = mmap(NULL, N_FRAMES, PROT_READ, MAP_SHARED, t.table_fd, 0);

	assert_true(table != MAP_FAILED);
	for (int i = 0; i < N_FRAMES; i++)
		away += (table[i] & FRAME_OWNER_MASK) != FRAME_WORKER;
	for (int i = 0; i < 2; i++) {
		in_rings += *t.fill[i].producer - *t.fill[i].consumer;
		in_rings += *t.rx[i].producer - *t.rx[i].consumer;
		in_rings += *t.tx[i].producer - *t.tx[i].consumer;
		in_rings += *t.comp[i].producer - *t.comp[i].consumer;
	}
	assert_true(away >= in_rings);
	return away - in_rings;
}

static void workers_come_and_go(void **state)
{
	__u64 rx, sum;
	int ctl, status;
	pid_t pid;

	start_generator();
	for (int i = 0; i < DEATHS; i++) {
		pid = start_worker(&ctl, i & 1 ? XIPSEC_BACKEND_OPENSSL : XIPSEC_BACKEND_AUTO);
		expect_traffic(1);
		usleep(random() % 10000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		close(ctl);
		read_capture();
	}
	rx = t.stats->rx_packets;
	sum = reasons_sum();
	pid = start_worker(&ctl, XIPSEC_BACKEND_AUTO);
	expect_traffic(1000);
	kill(t.generator, SIGKILL);
	waitpid(t.generator, NULL, 0);
	t.generator = 0;
	usleep(700000); /* longer than a worker's sleep: everything is reaped */
	read_capture();
	/* the last one was not killed: it accounts for every packet it took */
	assert_int_equal(reasons_sum() - sum, t.stats->rx_packets - rx);
	close(ctl);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* it ended by itself, and its frames were all in one place */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	print_message("%llu captured, %u frames lost in %d deaths, seq %llu\n",
		      (unsigned long long)t.captured, frames_lost(), DEATHS,
		      (unsigned long long)t.sa_state->seq);
	assert_int_equal(t.twice, 0);
	assert_true(frames_lost() <= DEATHS * BURST);
	assert_true(t.captured <= t.sa_state->seq);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_come_and_go),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
