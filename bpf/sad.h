/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking an SA up by (destination, SPI, protocol). Direction of failure: closed, NULL is no SA. */
#ifndef BPF_SAD_H
#define BPF_SAD_H

#include "bpf/explain.h"
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

/* The packet concerns this SA. */
static __always_inline void way_sa(const struct pkt *pkt, const struct xipsec_sad_entry *entry)
{
	way_set(pkt, sa_index, entry->sa_index);
	way_set(pkt, sa_generation, entry->sa_generation);
	way_set(pkt, engine, entry->engine);
}

/* The packet is protected for this child, by the SA that it uses now. */
static __always_inline void way_child(const struct pkt *pkt, __u32 id,
				      const struct xipsec_child *child)
{
	way_set(pkt, child, id + 1);
	if (!explain || !child)
		return;
	way_note.sa_index = child->sa_index;
	way_note.sa_generation = child->sa_generation;
	way_note.engine = child->engine;
}

/* Is ESP in this form no packet of the inbound SA? `udp`: 0 or 1, and shifted by: a mask that is
 * chosen by it would be two values to the verifier, and twice the work. */
static __always_inline int sad_refuses(const struct xipsec_sad_entry *entry, int udp)
{
	return (entry->refused >> udp) & 1;
}

#endif
