/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libxdp's dispatcher: one XDP program of libxdp on the interface whose functions are replaced by
 * the programs of everybody (BPF_PROG_TYPE_EXT). Each change builds a new dispatcher beside the old
 * one and replaces it in one step.
 *
 * Its programs hang on links that are pinned below /sys/fs/bpf/xdp. A link that dies leaves a
 * function that passes everything: see docs/architecture.md for when this way is taken.
 */
#ifndef LOADER_DISPATCHER_H
#define LOADER_DISPATCHER_H

#include <stdbool.h>
#include <linux/types.h>

#define DISPATCHER_NAME       "xdp_dispatcher"
#define DISPATCHER_GUESTS_MAX 10

struct dispatcher_guest {
	__u32 prog_id;
	char prog_name[16];
};

/* Programs that live in a dispatcher now, as the kernel's links tell: true also where pins are
 * gone. Returns how many, at most DISPATCHER_GUESTS_MAX, or -errno. */
int dispatcher_guests(__u32 dispatcher_id, struct dispatcher_guest list[DISPATCHER_GUESTS_MAX]);

/* Do libxdp's pins still describe what is attached? If not, libxdp can change nothing there. */
bool dispatcher_is_pinned(unsigned int ifindex);

/* Adds a loaded extension program beside those that are there; makes the dispatcher if nothing is
 * attached. Direction of failure: what was there stays. */
int dispatcher_add(unsigned int ifindex, bool generic, int ext_fd);

/* Takes one program out, and the dispatcher too when it was the last. */
int dispatcher_remove(unsigned int ifindex, bool generic, int ext_fd);

/* Keeps the links of these dispatchers open in this process, so that they live on when bpffs is
 * cleared; lets go of those held before. */
void dispatcher_hold(const __u32 *dispatcher_ids, unsigned int n);

#endif
