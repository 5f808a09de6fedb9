// SPDX-License-Identifier: BSD-2-Clause
#include "loader/slow_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "xipsec/ctl.h"

#define HELD_MAX (1 << 20) /* bytes that wait in one of them, as the kernel counts */

static const struct {
	int family, proto;
	enum xipsec_slow_kind kind;
} wanted[SLOW_RAW] = {{AF_INET, IPPROTO_ESP, XIPSEC_SLOW_ESP4},
		      {AF_INET, IPPROTO_AH, XIPSEC_SLOW_AH4},
		      {AF_INET6, IPPROTO_ESP, XIPSEC_SLOW_ESP6},
		      {AF_INET6, IPPROTO_AH, XIPSEC_SLOW_AH6}};

void slow_sockets_init(struct slow_sockets *sockets)
{
	*sockets = (struct slow_sockets){.fd = {-1, -1, -1, -1}};
}

static int tell(int fd, int level, const int *options, size_t n)
{
	const int one = 1;

	for (size_t i = 0; i < n; i++)
		if (setsockopt(fd, level, options[i], &one, sizeof(one)) < 0)
			return -errno;
	return 0;
}

int slow_sockets_prepare(int fd, int family)
{
	static const int ip4[] = {IP_PKTINFO, IP_RECVTOS};
	static const int ip6[] = {IPV6_RECVPKTINFO, IPV6_RECVTCLASS};
	const int held = HELD_MAX;

	/* Beyond what the system allows everybody, where that is less. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &held, sizeof(held)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &held, sizeof(held)) < 0)
		return -errno;
	return family == AF_INET ? tell(fd, IPPROTO_IP, ip4, 2) : tell(fd, IPPROTO_IPV6, ip6, 2);
}

int slow_sockets_tell_front(int fd, int family)
{
	static const int options[] = {IPV6_RECVHOPOPTS, IPV6_RECVRTHDR, IPV6_RECVDSTOPTS};

	return family == AF_INET ? 0 : tell(fd, IPPROTO_IPV6, options, 3);
}

static int open_one(int family, int proto)
{
	_cleanup_close_ int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, proto);
	int err;

	if (fd < 0)
		return -errno;
	err = slow_sockets_prepare(fd, family);
	if (!err)
		err = slow_sockets_tell_front(fd, family);
	return err ? err : take_fd(&fd);
}

void slow_sockets_open(struct slow_sockets *sockets)
{
	for (int i = 0; i < SLOW_RAW; i++) {
		int fd = open_one(wanted[i].family, wanted[i].proto);

		if (fd < 0)
			log_warn("no raw socket for IP protocol %d (IPv%d): %s; what of it arrives "
				 "in "
				 "fragments is lost",
				 wanted[i].proto, wanted[i].family == AF_INET ? 4 : 6,
				 strerror(-fd));
		else
			sockets->fd[i] = fd;
	}
}

void slow_sockets_close(struct slow_sockets *sockets)
{
	for (int i = 0; i < SLOW_RAW; i++) {
		if (sockets->fd[i] >= 0)
			close(sockets->fd[i]);
		sockets->fd[i] = -1;
	}
}

static void lend(struct workers *workers, unsigned int worker, enum xipsec_slow_kind kind, int fd)
{
	const struct ctl_slow msg = {.hdr = {XIPSEC_CTL_SLOW, XIPSEC_ABI, sizeof(msg)},
				     .kind = kind};

	if (fd >= 0)
		workers_send(workers, worker, &msg, sizeof(msg), &fd, 1);
}

void slow_sockets_lend(const struct slow_sockets *sockets, int natt4, int natt6,
		       struct workers *workers, unsigned int worker)
{
	for (int i = 0; i < SLOW_RAW; i++)
		lend(workers, worker, wanted[i].kind, sockets->fd[i]);
	lend(workers, worker, XIPSEC_SLOW_NATT4, natt4);
	lend(workers, worker, XIPSEC_SLOW_NATT6, natt6);
}
