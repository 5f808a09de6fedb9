/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which engine seals and opens an SA where that is left to us (engine = auto), and where the
 * kernel is refused although it was asked for. Reads facts, asks nobody.
 */
#ifndef LOADER_ENGINE_H
#define LOADER_ENGINE_H

#include <stdbool.h>
#include "xipsec/engine.h"
#include "xipsec/maps.h"
#include "xipsec/sa.h"

/* What is true at the moment when an SA comes. All false: a kernel that can nothing. */
struct engine_facts {
	bool esp;     /* the kernel has ESP of its outer family */
	bool generic; /* an interface of ours runs XDP in generic mode */
	bool offload; /* a NIC of ours has ESP offload switched on */
	bool narrow;  /* it is inbound, and its selectors are not its child's policies */
	bool child;   /* an SA of its child is kernel XFRM's already */
	__u8 tunnel;  /* enum xipsec_engine of the tunnel of its if_id; NONE: it has none */
};

/* The engine of `sa`, and why. One that `sa` names is taken, whatever the facts are. */
enum xipsec_engine engine_choose(const struct xipsec_sa *sa, const struct engine_facts *facts,
				 enum xipsec_engine_why *why);

/* Has it another engine than the interface of its if_id? Routes lead to one of both. */
bool engine_misses_tunnel(const struct xipsec_sa *sa, const struct engine_facts *facts);

/* What forbids kernel XFRM whoever wants it: GENERIC, OFFLOAD or NONE. */
enum xipsec_engine_why engine_forbids(const struct engine_facts *facts);

#endif
