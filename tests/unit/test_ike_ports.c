// SPDX-License-Identifier: BSD-2-Clause
/* UDP 500 and 4500 with real sockets, in a network of their own: what reaches whom, who else can
 * bind them, and that nothing waits while nobody speaks IKE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/ike_ports.h"
#include "tests/lib/skip.h"
#include "xipsec/maps.h"

static struct event_base *base;
static struct ike_ports ports;
static int family;

static int own_network(void **state)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		base = NULL;
		return 0;
	}
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return -1;
	close(fd);
	base = event_base_new();
	return base ? 0 : -1;
}

static int open_ports(void **state)
{
	family = *state ? AF_INET6 : AF_INET;
	ike_ports_init(&ports);
	if (base)
		ike_ports_open(base, &ports);
	return 0;
}

static int close_ports(void **state)
{
	ike_ports_close(&ports);
	return 0;
}

static int at(int port)
{
	if (family == AF_INET)
		return ports.ike[port == 500 ? XIPSEC_IKE_500_IP4 : XIPSEC_IKE_4500_IP4];
	return ports.ike[port == 500 ? XIPSEC_IKE_500_IP6 : XIPSEC_IKE_4500_IP6];
}

static socklen_t loopback(int port, struct sockaddr_storage *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (family == AF_INET) {
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	}
	memcpy(out, &in6, sizeof(in6));
	return sizeof(in6);
}

static void throw(int port, const void *data, size_t len)
{
	struct sockaddr_storage to;
	socklen_t to_len = loopback(port, &to);
	int fd = socket(family, SOCK_DGRAM, 0);

	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&to, to_len), (ssize_t)len);
	close(fd);
}

/* Bytes of what waits there; -1: nothing. */
static int waits(int fd)
{
	char buf[128];

	return (int)recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
}

#define NEED_NETWORK()                                                        \
	do {                                                                  \
		if (!base)                                                    \
			skip_because("no network namespace of its own here"); \
	} while (0)

static void ike_and_esp_are_kept_apart(void **state)
{
	static const char ike[] = "\0\0\0\0ike message", esp[] = "\0\0\0\1 esp",
			  esp2[] = "\1\0\0\0";

	NEED_NETWORK();
	ike_ports_lend(&ports);
	throw(4500, ike, sizeof(ike));
	assert_int_equal(waits(ike_ports_natt(&ports, family)), -1);
	assert_int_equal(waits(at(4500)), sizeof(ike));
	throw(4500, esp, sizeof(esp));
	throw(4500, esp2, sizeof(esp2));
	assert_int_equal(waits(at(4500)), -1);
	assert_int_equal(waits(ike_ports_natt(&ports, family)), sizeof(esp));
	assert_int_equal(waits(ike_ports_natt(&ports, family)), sizeof(esp2));
}

static void four_zeros_alone_are_ike(void **state)
{
	static const char zeros[4];

	NEED_NETWORK();
	ike_ports_lend(&ports);
	throw(4500, zeros, 4);
	assert_int_equal(waits(at(4500)), 4);
	for (int len = 0; len < 4; len++) {
		throw(4500, zeros, len);
		assert_int_equal(waits(at(4500)), -1);
		assert_int_equal(waits(ike_ports_natt(&ports, family)), len);
	}
	/* A keepalive. */
	throw(4500, "\xff", 1);
	assert_int_equal(waits(ike_ports_natt(&ports, family)), 1);
}

/* From many ports: the choice must not hang on a hash of addresses. */
static void the_filter_chooses_not_chance(void **state)
{
	static const char ike[] = "\0\0\0\0ike", esp[] = "esp!";
	int n_ike = 0, n_esp = 0;

	NEED_NETWORK();
	ike_ports_lend(&ports);
	for (int i = 0; i < 64; i++) {
		throw(4500, ike, sizeof(ike));
		throw(4500, esp, sizeof(esp));
	}
	while (waits(at(4500)) == (int)sizeof(ike))
		n_ike++;
	while (waits(ike_ports_natt(&ports, family)) == (int)sizeof(esp))
		n_esp++;
	assert_int_equal(n_ike, 64);
	assert_int_equal(n_esp, 64);
}

static void nothing_waits_while_nobody_speaks_ike(void **state)
{
	static const char ike[] = "\0\0\0\0ike";

	NEED_NETWORK();
	throw(500, ike, sizeof(ike));
	throw(4500, ike, sizeof(ike));
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(waits(at(500)), -1);
	assert_int_equal(waits(at(4500)), -1);
	ike_ports_lend(&ports);
	throw(500, ike, sizeof(ike));
	throw(4500, ike, sizeof(ike));
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(waits(at(500)), sizeof(ike));
	assert_int_equal(waits(at(4500)), sizeof(ike));
	throw(500, ike, sizeof(ike));
	ike_ports_back(&ports);
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(waits(at(500)), -1);
}

static void they_are_marked_for_the_guard(void **state)
{
	socklen_t len = sizeof(int);
	int mark = 0;

	NEED_NETWORK();
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++) {
		assert_int_equal(getsockopt(ports.ike[i], SOL_SOCKET, SO_MARK, &mark, &len), 0);
		assert_int_equal(mark, XIPSEC_MARK_OWN);
	}
}

static void others_cannot_bind_them(void **state)
{
	int fd = socket(family, SOCK_DGRAM, 0), one = 1;
	struct sockaddr_storage at_port;
	socklen_t len;

	NEED_NETWORK();
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	len = loopback(500, &at_port);
	assert_int_equal(bind(fd, (struct sockaddr *)&at_port, len), -1);
	assert_int_equal(errno, EADDRINUSE);
	len = loopback(4500, &at_port);
	assert_int_equal(bind(fd, (struct sockaddr *)&at_port, len), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
}

/* ESP is XFRM's as long as one SA of it needs that, IKE stays whose it was; then ESP comes back. */
static void xfrm_takes_esp_while_it_has_sas(void **state)
{
	static const char ike[] = "\0\0\0\0ike message", esp[] = "\1\0\0\0 esp of no SA";

	NEED_NETWORK();
	ike_ports_lend(&ports);
	assert_int_equal(ike_ports_kernel(&ports, family, true), 0);
	assert_int_equal(ike_ports_kernel(&ports, family, true), 0);
	assert_int_equal(ike_ports_kernel(&ports, family, false), 0);
	throw(4500, esp, sizeof(esp));
	throw(4500, ike, sizeof(ike));
	assert_int_equal(waits(ike_ports_natt(&ports, family)), -1);
	assert_int_equal(waits(at(4500)), sizeof(ike));
	assert_int_equal(ike_ports_kernel(&ports, family, false), 0);
	throw(4500, esp, sizeof(esp));
	assert_int_equal(waits(ike_ports_natt(&ports, family)), sizeof(esp));
}

static void no_socket_no_xfrm(void **state)
{
	struct ike_ports none;

	ike_ports_init(&none);
	assert_int_equal(ike_ports_kernel(&none, AF_INET, true), -ENOTCONN);
	assert_int_equal(ike_ports_kernel(&none, AF_INET6, true), -ENOTCONN);
}

int main(void)
{
#define BOTH(name)                                                                \
	{#name "_ip4", name, open_ports, close_ports, NULL},                      \
	{                                                                         \
#name "_ip6", name, open_ports, close_ports, (void *)(uintptr_t)1 \
	}
	const struct CMUnitTest tests[] = {
		BOTH(ike_and_esp_are_kept_apart),      BOTH(four_zeros_alone_are_ike),
		BOTH(the_filter_chooses_not_chance),   BOTH(nothing_waits_while_nobody_speaks_ike),
		BOTH(they_are_marked_for_the_guard),   BOTH(others_cannot_bind_them),
		BOTH(xfrm_takes_esp_while_it_has_sas), cmocka_unit_test(no_socket_no_xfrm),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
