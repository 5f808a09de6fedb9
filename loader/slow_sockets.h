/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw sockets for ESP and AH, v4 and v6: what the programs let up in fragments, the stack puts
 * together and delivers here. Nobody reads them in xipsecd; worker 0 is lent them, with those of
 * UDP 4500. While they are open the stack finds a taker and answers no "protocol unreachable".
 *
 * The stack gives raw sockets a copy of what kernel XFRM opens, too. So each has a filter that lets
 * nothing through of SAs that are the kernel's.
 */
#ifndef LOADER_SLOW_SOCKETS_H
#define LOADER_SLOW_SOCKETS_H

#include "loader/workers.h"
#include "xipsec/sa.h"

#define SLOW_RAW 4

/* SAs that a filter names: the kernel allows a socket 20 kB (net.core.optmem_max), in which the old
 * and the new one are for a moment. Of more SAs copies reach the worker, which drops them. */
#define SLOW_SPARED_MAX 400

struct slow_spared {
	__be32 spi;
	__be32 dst_last; /* last word of the destination */
};

struct slow_sockets {
	int fd[SLOW_RAW]; /* -1: could not be opened */
	struct slow_spared *spared[SLOW_RAW];
	unsigned int n_spared[SLOW_RAW];
};

void slow_sockets_init(struct slow_sockets *sockets);
/* What fails is a warning: whole packets do without. */
void slow_sockets_open(struct slow_sockets *sockets);
void slow_sockets_close(struct slow_sockets *sockets);

/* Nothing of this inbound SA of the kernel, which is not in UDP, from now on; or, without `spare`,
 * again. What fails is a warning. */
void slow_sockets_spare(struct slow_sockets *sockets, const struct xipsec_sa *sa, bool spare);

/* Makes a socket tell destination and TOS, and hold no more than it should. 0 or -errno. */
int slow_sockets_prepare(int fd, int family);

/* Makes it tell the IPv6 extension headers in front of what it delivers, too: AH covers them. 0 or
 * -errno. */
int slow_sockets_tell_front(int fd, int family);

/* Lends them to the worker, and the two of UDP 4500 (-1: none) with them. */
void slow_sockets_lend(const struct slow_sockets *sockets, int natt4, int natt6,
		       struct workers *workers, unsigned int worker);

#endif
