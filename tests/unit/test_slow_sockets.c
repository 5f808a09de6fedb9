// SPDX-License-Identifier: BSD-2-Clause
/* The raw sockets of ESP and AH with real packets over a loopback of their own: nothing of an SA
 * that is the kernel's, all of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/slow_sockets.h"
#include "tests/lib/skip.h"

/* Places in slow_sockets.fd. */
enum { ESP4, AH4, ESP6, AH6 };

static struct slow_sockets sockets;
static bool network;

static int own_network(void **state)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	network = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
	if (!network)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return -1;
	close(fd);
	return 0;
}

static int open_sockets(void **state)
{
	slow_sockets_init(&sockets);
	if (network)
		slow_sockets_open(&sockets);
	return 0;
}

static int close_sockets(void **state)
{
	slow_sockets_close(&sockets);
	return 0;
}

static bool is_ip4(int kind)
{
	return kind < ESP6;
}

static int proto_of(int kind)
{
	return kind == AH4 || kind == AH6 ? IPPROTO_AH : IPPROTO_ESP;
}

/* A packet with this SPI and sequence number 1 over the loopback, to 127.0.0.N or ::1. */
static void throw(int kind, __u32 spi, unsigned int n)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000 | n)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	__be32 packet[8] = {0};
	int fd = socket(is_ip4(kind) ? AF_INET : AF_INET6, SOCK_RAW, proto_of(kind));
	const struct sockaddr *to = is_ip4(kind) ? (void *)&in : (void *)&in6;
	socklen_t len = is_ip4(kind) ? sizeof(in) : sizeof(in6);

	packet[proto_of(kind) == IPPROTO_AH ? 1 : 0] = htonl(spi);
	packet[proto_of(kind) == IPPROTO_AH ? 2 : 1] = htonl(1);
	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, packet, sizeof(packet), 0, to, len), sizeof(packet));
	close(fd);
}

static bool waits(int kind)
{
	char buf[256];

	return recv(sockets.fd[kind], buf, sizeof(buf), MSG_DONTWAIT) > 0;
}

static struct xipsec_sa sa_of(int kind, __u32 spi)
{
	struct xipsec_sa sa = {.spi = htonl(spi),
			       .dir = XIPSEC_DIR_IN,
			       .l4_proto = (__u8)proto_of(kind),
			       .outer_family = is_ip4(kind) ? XIPSEC_FAMILY_IP4
							    : XIPSEC_FAMILY_IP6};

	if (is_ip4(kind))
		sa.dst.word[0] = htonl(0x7f000001);
	else
		sa.dst.byte[15] = 1;
	return sa;
}

static void nothing_of_what_the_kernel_opens(void **state)
{
	if (!network)
		skip_because("no network namespace of its own here");
	for (int kind = ESP4; kind <= AH6; kind++) {
		struct xipsec_sa one = sa_of(kind, 0x1001), two = sa_of(kind, 0x1002);

		throw(kind, 0x1001, 1);
		assert_true(waits(kind));
		slow_sockets_spare(&sockets, &one, true);
		slow_sockets_spare(&sockets, &two, true);
		throw(kind, 0x1001, 1);
		throw(kind, 0x1002, 1);
		assert_false(waits(kind));
		throw(kind, 0x1003, 1);
		assert_true(waits(kind));
		slow_sockets_spare(&sockets, &one, false);
		throw(kind, 0x1002, 1);
		assert_false(waits(kind));
		throw(kind, 0x1001, 1);
		assert_true(waits(kind));
		slow_sockets_spare(&sockets, &two, false);
		throw(kind, 0x1002, 1);
		assert_true(waits(kind));
	}
}

/* The same SPI of another destination is another SA. */
static void destination_counts(void **state)
{
	struct xipsec_sa sa = sa_of(ESP4, 0x1001);

	if (!network)
		skip_because("no network namespace of its own here");
	slow_sockets_spare(&sockets, &sa, true);
	throw(ESP4, 0x1001, 2);
	assert_true(waits(ESP4));
	throw(ESP4, 0x1001, 1);
	assert_false(waits(ESP4));
}

/* More than a filter holds: those that it holds are spared, the kernel takes it. */
static void as_many_as_there_is_room_for(void **state)
{
	if (!network)
		skip_because("no network namespace of its own here");
	for (__u32 i = 0; i < SLOW_SPARED_MAX + 1; i++) {
		struct xipsec_sa sa = sa_of(ESP6, 0xe0002000 + i);

		slow_sockets_spare(&sockets, &sa, true);
	}
	throw(ESP6, 0xe0002000 + SLOW_SPARED_MAX - 1, 1);
	assert_false(waits(ESP6));
	throw(ESP6, 0xe0002000 + SLOW_SPARED_MAX, 1);
	assert_true(waits(ESP6));
}

int main(void)
{
#define ONE(name) cmocka_unit_test_setup_teardown(name, open_sockets, close_sockets)
	const struct CMUnitTest tests[] = {
		ONE(nothing_of_what_the_kernel_opens),
		ONE(destination_counts),
		ONE(as_many_as_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
