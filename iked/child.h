/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that speaks IKE: the engine (engine.h) in a libevent loop, with what env.h asks for:
 * child_udp.c the network, child_sadb.c xipsecd, child_parent.c the parent, child_orphans.c what
 * the process before this one left at xipsecd.
 */
#ifndef IKED_CHILD_H
#define IKED_CHILD_H

#include "iked/chan.h"

/* Closes the sandbox, tells READY, and runs until the channel ends. Exit status. */
int child_main(int channel, const struct chan_setup *setup);

#endif
