// SPDX-License-Identifier: BSD-2-Clause
#include "loader/ike_ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/slow_sockets.h"
#include "xipsec/maps.h"

#define NATT_PORT 4500

static const struct {
	int family;
	__u16 port;
} wanted[IKE_PORTS] = {
	{AF_INET, 500}, {AF_INET, NATT_PORT}, {AF_INET6, 500}, {AF_INET6, NATT_PORT}};

void ike_ports_init(struct ike_ports *ports)
{
	*ports = (struct ike_ports){.fd = {-1, -1, -1, -1}};
}

static int open_one(int family, __u16 port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int mark = XIPSEC_MARK_OWN, one = 1, err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -errno;
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -errno;
	err = port == NATT_PORT ? slow_sockets_prepare(fd, family) : 0;
	if (err)
		return err;
	err = family == AF_INET ? bind(fd, (struct sockaddr *)&in, sizeof(in))
				: bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	return err < 0 ? -errno : take_fd(&fd);
}

static void drain(evutil_socket_t fd, short what, void *ctx)
{
	char byte;

	/* A bounded turn: a flood here must not starve the daemon. */
	for (int i = 0; i < 64; i++)
		if (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) < 0)
			return;
}

void ike_ports_open(struct event_base *base, struct ike_ports *ports)
{
	for (int i = 0; i < IKE_PORTS; i++) {
		int fd = open_one(wanted[i].family, wanted[i].port);

		if (fd < 0) {
			log_warn("UDP %u (IPv%d) cannot be held: %s%s", wanted[i].port,
				 wanted[i].family == AF_INET ? 4 : 6, strerror(-fd),
				 fd == -EADDRINUSE ? "; does another IKE daemon run?" : "");
			continue;
		}
		ports->fd[i] = fd;
		if (wanted[i].port == NATT_PORT)
			continue;
		ports->readable[i] = event_new(base, fd, EV_READ | EV_PERSIST, drain, NULL);
		event_add(ports->readable[i], NULL);
	}
}

int ike_ports_natt(const struct ike_ports *ports, int family)
{
	for (int i = 0; i < IKE_PORTS; i++)
		if (wanted[i].family == family && wanted[i].port == NATT_PORT)
			return ports->fd[i];
	return -1;
}

void ike_ports_close(struct ike_ports *ports)
{
	for (int i = 0; i < IKE_PORTS; i++) {
		if (ports->fd[i] < 0)
			continue;
		if (ports->readable[i])
			event_free(ports->readable[i]);
		close(ports->fd[i]);
		ports->fd[i] = -1;
	}
}
