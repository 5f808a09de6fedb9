/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw sockets for ESP and AH, v4 and v6: what the programs let up in fragments, the stack puts
 * together and delivers here. Nobody reads them in xipsecd; worker 0 is lent them, with those of
 * UDP 4500. While they are open the stack finds a taker and answers no "protocol unreachable".
 */
#ifndef LOADER_SLOW_SOCKETS_H
#define LOADER_SLOW_SOCKETS_H

#include "loader/workers.h"

#define SLOW_RAW 4

struct slow_sockets {
	int fd[SLOW_RAW]; /* -1: could not be opened */
};

void slow_sockets_init(struct slow_sockets *sockets);
/* What fails is a warning: whole packets do without. */
void slow_sockets_open(struct slow_sockets *sockets);
void slow_sockets_close(struct slow_sockets *sockets);

/* Makes a socket tell destination and TOS, and hold no more than it should. 0 or -errno. */
int slow_sockets_prepare(int fd, int family);

/* Makes it tell the IPv6 extension headers in front of what it delivers, too: AH covers them. 0 or
 * -errno. */
int slow_sockets_tell_front(int fd, int family);

/* Lends them to the worker, and the two of UDP 4500 (-1: none) with them. */
void slow_sockets_lend(const struct slow_sockets *sockets, int natt4, int natt6,
		       struct workers *workers, unsigned int worker);

#endif
