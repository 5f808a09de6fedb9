// SPDX-License-Identifier: BSD-2-Clause
#include "loader/ike_ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/slow_sockets.h"
#include "xipsec/maps.h"

#define IKE_PORT  500
#define NATT_PORT 4500
#define PATIENCE  20 /* times 50 ms, in all */

/* Places in a group of sockets that share a port: in the order in which they are bound. */
enum { PLACE_IKE, PLACE_NATT };

static const struct {
	int family;
	__u16 port;
} wanted[XIPSEC_IKE_SOCKETS] = {
	[XIPSEC_IKE_500_IP4] = {AF_INET, IKE_PORT},
	[XIPSEC_IKE_4500_IP4] = {AF_INET, NATT_PORT},
	[XIPSEC_IKE_500_IP6] = {AF_INET6, IKE_PORT},
	[XIPSEC_IKE_4500_IP6] = {AF_INET6, NATT_PORT},
};

void ike_ports_init(struct ike_ports *ports)
{
	*ports = (struct ike_ports){.ike = {-1, -1, -1, -1}, .natt = {-1, -1}};
}

static int bind_any(int fd, int family, __u16 port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int err = family == AF_INET ? bind(fd, (struct sockaddr *)&in, sizeof(in))
				    : bind(fd, (struct sockaddr *)&in6, sizeof(in6));

	return err < 0 ? -errno : 0;
}

static int open_one(int family, __u16 port, bool shared)
{
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int mark = XIPSEC_MARK_OWN, one = 1, err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -errno;
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -errno;
	/* Only processes of our own uid could join the group; the filter gives them nothing. */
	if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
		return -errno;
	err = slow_sockets_prepare(fd, family);
	if (!err)
		err = bind_any(fd, family, port);
	return err ? err : take_fd(&fd);
}

/* Answers with the place of the socket that a datagram is for; the filter sees its payload.
 * Direction of failure: what is too short for a marker is no IKE, and the worker drops it. */
static int divide(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 4, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, PLACE_IKE),  BPF_STMT(BPF_RET | BPF_K, PLACE_NATT),
	};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof(filter)) < 0
		       ? -errno
		       : 0;
}

/* Both sockets of a port 4500, or none. The filter stands before the second is there. */
static int open_pair(int family, int *ike, int *natt)
{
	_cleanup_close_ int first = open_one(family, NATT_PORT, true), second = -1;
	int err = first < 0 ? first : divide(first);

	if (err < 0)
		return err;
	second = open_one(family, NATT_PORT, true);
	if (second < 0)
		return second;
	err = slow_sockets_tell_front(second, family);
	if (err)
		return err;
	*ike = take_fd(&first);
	*natt = take_fd(&second);
	return 0;
}

static int open_wanted(struct ike_ports *ports, int i)
{
	int fd;

	if (wanted[i].port == NATT_PORT)
		return open_pair(wanted[i].family, &ports->ike[i],
				 &ports->natt[wanted[i].family == AF_INET6]);
	fd = open_one(wanted[i].family, wanted[i].port, false);
	if (fd < 0)
		return fd;
	ports->ike[i] = fd;
	return 0;
}

/* Those of an xipsecd that was killed live as long as whoever had borrowed them: a moment. */
static int open_patiently(struct ike_ports *ports, int i, int *patience)
{
	static const struct timespec moment = {.tv_nsec = 50000000};
	int err = open_wanted(ports, i);

	while (err == -EADDRINUSE && *patience > 0) {
		*patience -= 1;
		nanosleep(&moment, NULL);
		err = open_wanted(ports, i);
	}
	return err;
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
	int patience = PATIENCE;

	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++) {
		int err = open_patiently(ports, i, &patience);

		if (err) {
			log_warn("UDP %u (IPv%d) cannot be held: %s%s", wanted[i].port,
				 wanted[i].family == AF_INET ? 4 : 6, strerror(-err),
				 err == -EADDRINUSE ? "; does another IKE daemon run?" : "");
			continue;
		}
		ports->readable[i] =
			event_new(base, ports->ike[i], EV_READ | EV_PERSIST, drain, NULL);
	}
	ike_ports_back(ports);
}

void ike_ports_lend(struct ike_ports *ports)
{
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++)
		if (ports->readable[i])
			event_del(ports->readable[i]);
	ports->lent = true;
}

void ike_ports_back(struct ike_ports *ports)
{
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++)
		if (ports->readable[i])
			event_add(ports->readable[i], NULL);
	ports->lent = false;
}

int ike_ports_natt(const struct ike_ports *ports, int family)
{
	return ports->natt[family == AF_INET6];
}

int ike_ports_kernel(struct ike_ports *ports, int family, bool more)
{
	const int place = family == AF_INET6, fd = ports->natt[place];
	const unsigned int n = ports->kernel[place] + (more ? 1 : -1U);
	const int type = n ? UDP_ENCAP_ESPINUDP : 0;

	if (fd < 0)
		return -ENOTCONN;
	if (!n != !ports->kernel[place] &&
	    setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &type, sizeof(type)) < 0)
		return -errno;
	ports->kernel[place] = n;
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void ike_ports_close(struct ike_ports *ports)
{
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++) {
		if (ports->readable[i])
			event_free(ports->readable[i]);
		ports->readable[i] = NULL;
		close_one(&ports->ike[i]);
	}
	for (int i = 0; i < IKE_PORTS_NATT; i++)
		close_one(&ports->natt[i]);
}
