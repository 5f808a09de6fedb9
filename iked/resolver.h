/* SPDX-License-Identifier: BSD-2-Clause */
/* The process that asks name servers, for parents that must not wait and for nobody else. */
#ifndef IKED_RESOLVER_H
#define IKED_RESOLVER_H

#include "iked/chan.h"

/* Reads resolv.conf and hosts, closes the sandbox, and runs until the channel ends. Exit status. */
int resolver_main(int channel, const struct chan_setup *setup);

#endif
