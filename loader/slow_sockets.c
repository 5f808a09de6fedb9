// SPDX-License-Identifier: BSD-2-Clause
#include "loader/slow_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
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
	static const int ip4[] = {IP_PKTINFO, IP_RECVTOS, IP_RECVTTL};
	static const int ip6[] = {IPV6_RECVPKTINFO, IPV6_RECVTCLASS, IPV6_RECVHOPLIMIT};
	const int held = HELD_MAX;

	/* Beyond what the system allows everybody, where that is less. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &held, sizeof(held)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &held, sizeof(held)) < 0)
		return -errno;
	return family == AF_INET ? tell(fd, IPPROTO_IP, ip4, 3) : tell(fd, IPPROTO_IPV6, ip6, 3);
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

/* ------------------------------------------------------------------ what the kernel opens */

#define CHUNK    200 /* SPIs that one jump can be reached from: it goes 255 instructions at most */
#define DSTS_MAX 64
#define CODE_MAX (SLOW_SPARED_MAX + 2 * (SLOW_SPARED_MAX / CHUNK + 1) + 2 * DSTS_MAX + 5)

struct program {
	struct sock_filter code[CODE_MAX];
	unsigned int n;
};

static void emit(struct program *to, struct sock_filter one)
{
	to->code[to->n++] = one;
}

/* Destinations of the first `n`, each once; fewer than n where there are too many. */
static unsigned int dsts_of(const struct slow_spared *spared, unsigned int *n, __be32 *dst)
{
	unsigned int n_dst = 0, at;

	for (unsigned int i = 0; i < *n; i++) {
		for (at = 0; at < n_dst && dst[at] != spared[i].dst_last;)
			at++;
		if (at == DSTS_MAX)
			*n = i;
		else if (at == n_dst)
			dst[n_dst++] = spared[i].dst_last;
	}
	return n_dst;
}

/* One of these SPIs: to the second instruction behind these; else to the first. */
static void emit_spis(struct program *to, const struct slow_spared *spared, unsigned int n)
{
	const unsigned int end = to->n + n + 2 * ((n + CHUNK - 1) / CHUNK);

	for (unsigned int first = 0; first < n; first += CHUNK) {
		const unsigned int in = n - first < CHUNK ? n - first : CHUNK;

		for (unsigned int i = 0; i < in; i++)
			emit(to, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							      ntohl(spared[first + i].spi),
							      (__u8)(in - i), 0));
		emit(to, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
		emit(to, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, end - to->n));
	}
}

/* A raw socket of IPv4 sees the IP header first, one of IPv6 what follows the extension headers.
 * SPI and destination are compared with all of either, not pair by pair: our SPIs are random. */
static int filter_attach(int fd, int kind, const struct slow_spared *spared, unsigned int n)
{
	const bool ip4 = wanted[kind].family == AF_INET;
	const __u32 spi = wanted[kind].proto == IPPROTO_AH ? 4 : 0;
	const __u32 dst_last = (__u32)SKF_NET_OFF + (ip4 ? 16 : 36);
	struct program to = {.n = 0};
	struct sock_fprog filter = {.filter = to.code};
	__be32 dst[DSTS_MAX];
	unsigned int n_dst;

	n = n < SLOW_SPARED_MAX ? n : SLOW_SPARED_MAX;
	n_dst = dsts_of(spared, &n, dst);
	if (ip4)
		emit(&to, (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0));
	emit(&to, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | (ip4 ? BPF_IND : BPF_ABS), spi));
	emit_spis(&to, spared, n);
	emit(&to, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffffffff));
	emit(&to, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, dst_last));
	for (unsigned int i = 0; i < n_dst; i++) {
		emit(&to,
		     (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(dst[i]), 0, 1));
		emit(&to, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0));
	}
	emit(&to, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffffffff));
	filter.len = (unsigned short)to.n;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ? -errno
											 : 0;
}

static int spared_add(struct slow_sockets *sockets, int kind, struct slow_spared one)
{
	const unsigned int n = sockets->n_spared[kind];
	struct slow_spared *grown = reallocarray(sockets->spared[kind], n + 1, sizeof(one));

	if (!grown)
		return -ENOMEM;
	grown[n] = one;
	sockets->spared[kind] = grown;
	sockets->n_spared[kind]++;
	return 0;
}

static void spared_delete(struct slow_sockets *sockets, int kind, struct slow_spared one)
{
	struct slow_spared *all = sockets->spared[kind];

	for (unsigned int i = 0; i < sockets->n_spared[kind]; i++) {
		if (all[i].spi != one.spi || all[i].dst_last != one.dst_last)
			continue;
		all[i] = all[--sockets->n_spared[kind]];
		return;
	}
}

void slow_sockets_spare(struct slow_sockets *sockets, const struct xipsec_sa *sa, bool spare)
{
	const bool ip4 = sa->outer_family == XIPSEC_FAMILY_IP4;
	const struct slow_spared one = {sa->spi, sa->dst.word[ip4 ? 0 : 3]};
	int kind = 0, err = 0;

	while (wanted[kind].family != (ip4 ? AF_INET : AF_INET6) ||
	       wanted[kind].proto != sa->l4_proto)
		kind++;
	if (sockets->fd[kind] < 0)
		return;
	if (spare)
		err = spared_add(sockets, kind, one);
	else
		spared_delete(sockets, kind, one);
	if (!err)
		err = filter_attach(sockets->fd[kind], kind, sockets->spared[kind],
				    sockets->n_spared[kind]);
	if (err)
		log_warn("raw socket for IP protocol %d: no filter (%s): worker 0 gets copies of "
			 "what kernel XFRM opens, and drops them",
			 wanted[kind].proto, strerror(-err));
}

/* ------------------------------------------------------------------ their life */

void slow_sockets_close(struct slow_sockets *sockets)
{
	for (int i = 0; i < SLOW_RAW; i++) {
		if (sockets->fd[i] >= 0)
			close(sockets->fd[i]);
		sockets->fd[i] = -1;
		free(sockets->spared[i]);
		sockets->spared[i] = NULL;
		sockets->n_spared[i] = 0;
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
