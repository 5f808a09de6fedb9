// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sockets of workers: lent unbound, bound when they are mapped, and what a worker's death does to
 * them, on kernels that map the rings of a bound socket again and as on those that do not (before
 * Linux 6.4). The worker is played by the test, the kernel is real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "loader/ports.h"

#define SLOT 3

static struct {
	struct event_base *base;
	struct route *route;
	struct datapath dp;
	struct attach_iface iface;
	struct ports *ports;
	struct ctl_xsk lent;
	int fd;      /* of the socket that was lent last */
	__u32 mtu;   /* of the interface, as workers were told */
	int n_lent;  /* XSK */
	int n_bound; /* XSK_BOUND */
	struct xipsec_worker_stats stats;
} t;

static void no_nexthop(void *ctx, const struct ctl_nexthop *msg)
{
}

static void no_links(void *ctx)
{
}

static int no_slot(void *ctx, unsigned int ifindex)
{
	return -1;
}

static const struct route_hooks route_hooks = {no_nexthop, no_links, no_slot};

static void forget_lent(void)
{
	if (t.fd >= 0)
		close(t.fd);
	t.fd = -1;
}

static void on_send(void *ctx, unsigned int worker, const void *msg, size_t len, const int *fds,
		    unsigned int n_fds)
{
	const struct ctl_hdr *hdr = msg;

	assert_int_equal(worker, 0);
	assert_int_equal(hdr->len, len);
	if (hdr->type == XIPSEC_CTL_XSK) {
		assert_int_equal(n_fds, 1);
		forget_lent();
		memcpy(&t.lent, msg, sizeof(t.lent));
		t.fd = dup(fds[0]);
		t.n_lent++;
	} else if (hdr->type == XIPSEC_CTL_XSK_BOUND) {
		const struct ctl_xsk_ref *ref = msg;

		assert_int_equal(len, sizeof(*ref));
		assert_int_equal(ref->slot, SLOT);
		assert_int_equal(ref->queue, 0);
		t.n_bound++;
	} else {
		const struct ctl_dev *dev = msg;

		assert_int_equal(hdr->type, XIPSEC_CTL_DEV);
		t.mtu = dev->mtu;
	}
}

static const struct ports_hooks hooks = {on_send};

/* The kernel's own word: a socket that is bound to nothing cannot send. */
static bool is_bound(int fd)
{
	return sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) == 0 || errno != ENXIO;
}

static bool maps(int fd)
{
	size_t size = t.lent.fill.desc + t.lent.fill.size * sizeof(__u64);
	void *p =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, XDP_UMEM_PGOFF_FILL_RING);

	if (p == MAP_FAILED)
		return false;
	munmap(p, size);
	return true;
}

static ino_t memory(void)
{
	struct ctl_hello hello;
	int umem, table;
	struct stat st;

	assert_int_equal(ports_memory(t.ports, 0, &umem, &table, &hello), 0);
	assert_int_equal(hello.frame_size, 2048);
	assert_int_equal(fstat(umem, &st), 0);
	assert_true(st.st_size == (off_t)hello.frame_size * hello.n_frames);
	return st.st_ino;
}

static void start(bool no_remap)
{
	t.n_lent = t.n_bound = 0;
	t.ports = ports_new(&hooks, NULL, no_remap);
	assert_non_null(t.ports);
	assert_int_equal(ports_open(t.ports, 1, 2048, false, 1, &t.stats, sizeof(t.stats)), 0);
	ports_sync(t.ports, &t.dp, t.route, &t.iface, 1);
	assert_int_equal(t.n_lent, 1);
	assert_int_equal(t.n_bound, 0);
	assert_false(is_bound(t.fd));
	assert_true(maps(t.fd));
}

static void stop(void)
{
	ports_close(t.ports, &t.dp);
	ports_free(t.ports);
	t.ports = NULL;
	forget_lent();
}

/* The worker says that it has mapped; a queue that the kernel has not let go is tried again. */
static void map_and_wait(int bound)
{
	ports_mapped(t.ports, &t.dp, 0, SLOT, 0);
	for (int ms = 0; ms < 2000 && t.n_bound < bound; ms += 20) {
		usleep(20000);
		ports_tick(t.ports, &t.dp);
	}
	assert_int_equal(t.n_bound, bound);
	assert_true(is_bound(t.fd));
}

static void bound_when_mapped(void **state)
{
	start(false);
	/* not yet, whatever else happens */
	ports_sync(t.ports, &t.dp, t.route, &t.iface, 1);
	ports_tick(t.ports, &t.dp);
	assert_false(is_bound(t.fd));
	/* nor by what a worker says of sockets that are not its own, or are none */
	ports_mapped(t.ports, &t.dp, 1, SLOT, 0);
	ports_mapped(t.ports, &t.dp, 0, SLOT, 1);
	ports_mapped(t.ports, &t.dp, 0, SLOT + 1, 0);
	ports_mapped(t.ports, &t.dp, 0, ~0u, ~0u);
	assert_false(is_bound(t.fd));
	map_and_wait(1);
	/* once is enough */
	ports_mapped(t.ports, &t.dp, 0, SLOT, 0);
	assert_int_equal(t.n_bound, 1);
	assert_int_equal(t.n_lent, 1);
	stop();
}

/* Death before it was bound: the same socket and memory go to the successor, on every kernel. */
static void death_before_bind(void **state)
{
	ino_t before;

	start(true);
	before = memory();
	ports_worker_died(t.ports, &t.dp, 0);
	assert_true(memory() == before);
	ports_fill(t.ports, 0);
	assert_int_equal(t.n_lent, 2);
	assert_int_equal(t.n_bound, 0);
	assert_true(maps(t.fd));
	map_and_wait(1);
	stop();
}

static void death_where_it_cannot_map_again(void **state)
{
	ino_t before;

	start(true);
	map_and_wait(1);
	before = memory();
	for (int i = 2; i < 5; i++) {
		/* the dead one's hold on the socket */
		forget_lent();
		ports_worker_died(t.ports, &t.dp, 0);
		assert_true(memory() != before);
		before = memory();
		ports_fill(t.ports, 0);
		assert_int_equal(t.n_lent, i);
		assert_int_equal(t.n_bound, i - 1);
		assert_false(is_bound(t.fd));
		assert_true(maps(t.fd));
		map_and_wait(i);
	}
	stop();
}

/* What the kernel lets a successor do is what it gets: the old socket where that can be mapped. */
static void death_as_this_kernel_has_it(void **state)
{
	bool again;
	ino_t before;

	start(false);
	map_and_wait(1);
	before = memory();
	again = maps(t.fd);
	forget_lent();
	ports_worker_died(t.ports, &t.dp, 0);
	assert_int_equal(memory() == before, again);
	ports_fill(t.ports, 0);
	assert_int_equal(t.n_lent, 2);
	assert_int_equal(t.n_bound, again ? 2 : 1);
	assert_int_equal(is_bound(t.fd), again);
	assert_true(maps(t.fd));
	map_and_wait(2);
	stop();
}

/* XDP on red0: everything into the socket. */
static int steer_all(void)
{
	const struct bpf_insn code[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = t.dp.xsks},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = BPF_REG_2,
		 .imm = SLOT * XIPSEC_QUEUES_MAX},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_DROP},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "steer_all", "GPL", code,
				 sizeof(code) / sizeof(code[0]), NULL);

	assert_true(prog >= 0);
	return prog;
}

static void send_frames(int fd, unsigned int n)
{
	const struct sockaddr_ll to = {.sll_family = AF_PACKET,
				       .sll_ifindex = (int)if_nametoindex("red1")};
	char frame[64] = "\xff\xff\xff\xff\xff\xff";

	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(sendto(fd, frame, sizeof(frame), 0, (const void *)&to, sizeof(to)),
				 sizeof(frame));
	/* The other end of a veth gets them by NAPI. */
	usleep(100000);
}

static __u64 rx_full(void)
{
	return t.stats.reason[XIPSEC_REASON_RX_FULL].packets;
}

/* Once each, also what a socket dropped just before it was closed. */
static void drops_are_counted_once(void **state)
{
	int packet = socket(AF_PACKET, SOCK_RAW, 0), prog = steer_all();

	memset(&t.stats, 0, sizeof(t.stats));
	start(true);
	map_and_wait(1);
	assert_int_equal(bpf_xdp_attach(t.iface.ifindex, prog, 0, NULL), 0);
	send_frames(packet, 100); /* no worker fills the ring */
	ports_count(t.ports);
	assert_int_equal(rx_full(), 100);
	ports_count(t.ports);
	assert_int_equal(rx_full(), 100);
	send_frames(packet, 50);
	forget_lent();
	ports_worker_died(t.ports, &t.dp, 0);
	assert_int_equal(rx_full(), 150);
	memory();
	ports_fill(t.ports, 0);
	map_and_wait(2);
	send_frames(packet, 30);
	stop();
	assert_int_equal(rx_full(), 180);
	bpf_xdp_detach(t.iface.ifindex, 0, NULL);
	close(prog);
	close(packet);
}

/* Workers are told of no wider link than their sockets can carry. */
static void wide_links(void **state)
{
	static const struct {
		const char *command;
		__u32 one, several; /* MTUs: with one frame a packet, with several */
	} links[] = {
		{"ip link set red0 mtu 3498", 3498, 3498},
		{"ip link set red0 mtu 3499", 3498, 3499},
		{"ip link set red0 mtu 9000", 3498, 9000},
		{"ip link set red0 mtu 20000", 3498, XIPSEC_MTU_MAX},
	};
	struct ctl_hello hello;
	int umem, table;

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		assert_int_equal(system(links[i].command), 0);
		assert_int_equal(route_links_read(t.route), 0);
		for (int several = 0; several < 2; several++) {
			t.ports = ports_new(&hooks, NULL, false);
			assert_int_equal(
				ports_open(t.ports, 1, 4096, several, 1, &t.stats, sizeof(t.stats)),
				0);
			ports_sync(t.ports, &t.dp, t.route, &t.iface, 1);
			assert_int_equal(t.mtu, several ? links[i].several : links[i].one);
			assert_int_equal(ports_memory(t.ports, 0, &umem, &table, &hello), 0);
			assert_int_equal(hello.multi_buffer, several);
			stop();
		}
	}
	assert_int_equal(system("ip link set red0 mtu 1500"), 0);
	assert_int_equal(route_links_read(t.route), 0);
}

static int setup(void **state)
{
	if (geteuid() || unshare(CLONE_NEWNET) ||
	    system("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
		   "net.ipv6.conf.default.disable_ipv6=1 && ip link add red0 type veth peer name "
		   "red1 && ip link set red0 up && "
		   "ip link set red1 up"))
		return -1;
	t.fd = -1;
	t.base = event_base_new();
	if (!t.base || route_new(t.base, &route_hooks, NULL, &t.route) || route_links_read(t.route))
		return -1;
	memset(&t.dp, 0xff, sizeof(t.dp));
	t.dp.xsks = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4,
				   XIPSEC_SLOTS_MAX * XIPSEC_QUEUES_MAX, NULL);
	t.iface = (struct attach_iface){.name = "red0",
					.role = XIPSEC_ROLE_PROTECTED,
					.slot = SLOT,
					.ifindex = if_nametoindex("red0"),
					.queues = 1,
					.mtu = 1500,
					.up = true};
	return t.dp.xsks < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	route_free(t.route);
	event_base_free(t.base);
	close(t.dp.xsks);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bound_when_mapped),
		cmocka_unit_test(death_before_bind),
		cmocka_unit_test(death_where_it_cannot_map_again),
		cmocka_unit_test(death_as_this_kernel_has_it),
		cmocka_unit_test(drops_are_counted_once),
		cmocka_unit_test(wide_links),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
