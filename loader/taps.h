/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces that xipsecd makes: xipsec0, the way of this host's own packets to and from the
 * workers, and those of tunnels {}, which routes lead into. Every worker is lent one queue of each,
 * but of those with engine = xfrm, which are the kernel's own (xfrm_dev.h).
 *
 * All outlive a death of xipsecd: nobody reads them then, so what is sent into them is dropped; an
 * index that programs still name cannot become another interface's; routes into a tunnel stay, so
 * that its packets do not look for another way. xipsec0 goes when xipsecd ends in order, the others
 * when the config names them no more.
 */
#ifndef LOADER_TAPS_H
#define LOADER_TAPS_H

#include "lib/config.h"
#include "loader/datapath.h"
#include "loader/ports.h"

struct taps;

/* NULL after a log line. */
struct taps *taps_new(const struct ports_hooks *hooks, void *ctx);

/* xipsec0 goes. NULL is fine. */
void taps_free(struct taps *taps);

/* Before `n` workers start: queues for them. Nobody may use the former ones any more. What cannot
 * be made is said, and stays closed. */
void taps_open(struct taps *taps, const struct config *config, unsigned int n);

/* Makes anew what somebody deleted, makes and takes away what the config says. Workers are told;
 * without any, kernel XFRM's alone are made. */
void taps_sync(struct taps *taps, const struct config *config);

/* Takes away what a former run has left of kernel XFRM's and `config` does not name. */
void taps_sweep(struct taps *taps, struct config *config);

/* Tells the programs where xipsec0 is. -errno: the host's own traffic stays closed. */
int taps_publish(const struct taps *taps, const struct datapath *dp);

/* The same for the end of xipsecd: nowhere. */
void taps_unpublish(const struct datapath *dp);

/* Tells a worker that starts. */
void taps_fill(const struct taps *taps, unsigned int worker);

/* There is a tunnel of that if_id, which workers read; or one which kernel XFRM has. */
bool taps_has(const struct taps *taps, __u32 if_id);
bool taps_has_kernel(const struct taps *taps, __u32 if_id);

/* It wants an SA, and that may be told: once in XIPSEC_ACQUIRE_GAP for each, however many workers
 * ask. */
bool taps_acquire(struct taps *taps, __u32 if_id);

/* An interface that needs no role: it is one of these. */
bool taps_is_ours(const struct config *config, const char *name);

#endif
