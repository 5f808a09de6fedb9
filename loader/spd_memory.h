/* SPDX-License-Identifier: BSD-2-Clause */
/* The three maps of one SPD, mapped into this process: the classifier's memory is the programs'. */
#ifndef LOADER_SPD_MEMORY_H
#define LOADER_SPD_MEMORY_H

#include <bpf/btf.h>
#include "loader/classifier.h"
#include "loader/datapath.h"

struct spd_memory {
	int head, buckets, rules; /* map descriptors, -1: not open */
	size_t head_size, buckets_size, rules_size;
	struct classifier c;
};

/* New, empty maps of that size, with the types of `btf` (NULL: without). 0 or -errno; the caller
 * ends it with spd_memory_close(). */
int spd_memory_make(const struct btf *btf, const struct classifier_size *size,
		    struct spd_memory *out);

/* Those in force. 0, -ENOENT: none yet, -errno. */
int spd_memory_open(const struct datapath *dp, struct spd_memory *out);

void spd_memory_close(struct spd_memory *memory);

/* Bytes of the maps. */
__u64 spd_memory_bytes(const struct spd_memory *memory);

static inline void spd_memory_end(struct spd_memory *memory)
{
	spd_memory_close(memory);
}
#define _cleanup_spd_memory_ __attribute__((cleanup(spd_memory_end)))
#define SPD_MEMORY_NONE                                \
	{                                              \
		.head = -1, .buckets = -1, .rules = -1 \
	}

#endif
