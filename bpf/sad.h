/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking an SA up by (destination, SPI, protocol). Direction of failure: closed, NULL is no SA. */
#ifndef BPF_SAD_H
#define BPF_SAD_H

#include "bpf/maps.h"
#include "bpf/parse.h"

static __always_inline const struct xipsec_sad_entry *sad_lookup(const struct xipsec_addr *dst,
								 __u8 family, __be32 spi,
								 __u8 l4_proto)
{
	struct xipsec_sad_key key;
	const struct xipsec_sad_entry *entry;

	__builtin_memset(&key, 0, sizeof(key));
	key.dst = *dst;
	key.spi = spi;
	key.family = family;
	key.l4_proto = l4_proto;
	entry = bpf_map_lookup_elem(&sad, &key);
	if (!entry || entry->sa_generation == 0)
		return NULL;
	return entry;
}

#endif
