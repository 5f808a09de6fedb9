/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pinned data path: where it stands in bpffs and how a process opens it.
 *
 *	PIN_DIR/gen-N/MAP and gen-N/prog/NAME  one generation: maps and programs of one build
 *	PIN_DIR/current -> gen-N               the generation that rules, switched by one rename
 *	PIN_DIR/MAP -> current/MAP             for people and bpftool
 *
 * Programs are attached so that they stay when pins vanish (docs/architecture.md): the interface
 * holds the program, the program holds its maps.
 */
#ifndef LOADER_DATAPATH_H
#define LOADER_DATAPATH_H

#include <errno.h>
#include <string.h>

#include "lib/config.h"
#include "xipsec/maps.h"

struct datapath {
	char generation[32]; /* name of the generation's directory, "gen-3" */
	unsigned int n_sas;  /* entries of sa_state */
	int globals, ifaces, spd, spd_buckets_of, spd_rules_of, spd_hits, flow_stats, child_ids,
		dev_ids, children, sad, sa_state, xsks, reasons,
		worker_stats;    /* map descriptors, -1: not open */
	int events, cpus, peers; /* -1 also where the generation was built before there was one */
};

/* Opens the current generation below `pin_dir`. 0; -ENOENT: nothing is attached; -EPROTO: it is of
 * another ABI; other -errno. *out is untouched on failure; on success the caller ends it with
 * datapath_close(). */
int datapath_open(const char *pin_dir, struct datapath *out);
void datapath_close(struct datapath *dp);

/* Name of the current generation ("gen-3") into out; -ENOENT: none. For noticing a switch cheaply.
 */
int datapath_current(const char *pin_dir, char out[32]);

/* The same for one generation's directory ("PIN_DIR/gen-3"), current or not. */
int datapath_open_dir(const char *gen_dir, struct datapath *out);

/* ABI and release of a generation, whatever they are: the layout of the pins and the first word of
 * `version` are the same in every ABI. 0, -ENOENT, -errno. */
int datapath_abi(const char *gen_dir, struct xipsec_version *out);

/* The same of an open map `version`. */
int datapath_abi_of(int fd, struct xipsec_version *out);

/* Makes a directory and its parents. 0, also where it is there already, or -errno. */
int datapath_mkdir(const char *path, unsigned int mode);

/* How many ids of children were ever given out: all are below this. */
__u32 datapath_children(const struct datapath *dp);

/* Id of a child name, given out at the first asking and kept for the life of the generation.
 * Returns the id, or -ENOSPC, -errno. */
int datapath_child_id(const struct datapath *dp, const char *name);

/* The same of the name of an interface: 1 and up, whether there is one of that name or not. */
int datapath_dev_id(const struct datapath *dp, const char *name);

/* How many of those were ever given out. */
__u32 datapath_devs(const struct datapath *dp);

/* Why a name got no id, and what to do, for people. */
static inline const char *datapath_id_why(int err)
{
	return err == -ENOSPC ? "all numbers are taken, by every name since the data path was "
				"made: `xipsec attach --all --upgrade` begins anew"
			      : strerror(-err);
}

/* Tells programs and workers what is wanted of them beside drops, XIPSEC_TELL_*, and for how many
 * seconds a path MTU is believed. 0 or -errno. */
int datapath_publish(const struct datapath *dp, __u32 tell, __u32 pmtu_age);

/* Maps a mmapable array whole. *stride: bytes between entries. Caller munmaps. NULL: errno. */
void *datapath_mmap(int map_fd, size_t *size, size_t *stride);

/* Serialises writers (xipsec attach, detach, reload; xipsecd's re-attach): an flock on
 * RUN_DIR/loader.lock. Returns a descriptor to close, or -errno. */
int datapath_lock(const char *run_dir);

#endif
