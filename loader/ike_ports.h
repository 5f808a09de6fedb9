/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP 500 and 4500, v4 and v6: opened and kept, so that nobody else can bind them. The guard lets
 * only marked sockets send from there. What arrives on 500 is read and thrown away: nobody speaks
 * IKE here yet. Worker 0 reads 4500 (slow_sockets.h): ESP in UDP that came in fragments.
 */
#ifndef LOADER_IKE_PORTS_H
#define LOADER_IKE_PORTS_H

#include <event2/event.h>

#define IKE_PORTS 4

struct ike_ports {
	int fd[IKE_PORTS];                 /* -1: could not be opened */
	struct event *readable[IKE_PORTS]; /* NULL: a worker reads it */
};

/* The socket of UDP 4500, for AF_INET or AF_INET6; -1: none. */
int ike_ports_natt(const struct ike_ports *ports, int family);

void ike_ports_init(struct ike_ports *ports);
/* What fails is a warning: the data path does without. */
void ike_ports_open(struct event_base *base, struct ike_ports *ports);
void ike_ports_close(struct ike_ports *ports);

#endif
