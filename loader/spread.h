/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU opens what comes by an inbound SA of kernel XFRM. A NIC spreads by addresses, so all
 * SAs of one peer meet one queue; here they take turns among the CPUs that are there, and what
 * comes by one SA stays in order. The programs hand it over through the map `cpus`.
 */
#ifndef LOADER_SPREAD_H
#define LOADER_SPREAD_H

#include "loader/datapath.h"

/* The CPU of that turn, plus 1, with an entry in `cpus`; 0: the one that receives, for there is no
 * other, or the generation or the kernel has no such map. */
__u32 spread_cpu(const struct datapath *dp, __u32 turn);

/* Reads a list of CPUs ("0-3,8"): how many; the one at `place`, from 0, into *cpu if there is one.
 */
unsigned int spread_list(const char *list, unsigned int place, __u32 *cpu);

#endif
