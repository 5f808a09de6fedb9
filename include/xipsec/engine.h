/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why an SA has the engine that it has. In the order of the rules: the first that applies decides
 * (loader/engine.h, docs/engines.md).
 */
#ifndef XIPSEC_ENGINE_H
#define XIPSEC_ENGINE_H

/* X(symbol, name, text) */
#define XIPSEC_ENGINE_WHYS(X)                                                                     \
	X(NONE, none, "nobody has chosen yet")                                                    \
	X(ASKED, asked, "the config says so")                                                     \
	X(TUNNEL, tunnel, "as the interface of its if_id")                                        \
	X(NO_ESP, no_esp, "this kernel has no ESP")                                               \
	X(GENERIC, generic_xdp, "an interface runs generic XDP, which sees what XFRM has opened") \
	X(OFFLOAD, nic_offload, "a NIC offers ESP offload: the guard would see plaintext")        \
	X(LACKS, kernel_lacks, "kernel XFRM has not all of it")                                   \
	X(NARROW, narrow, "its selectors are narrower than its child's policies")                 \
	X(CHILD, child, "as its child's other SAs")                                               \
	X(WORKERS, workers, "workers have all of it")

enum xipsec_engine_why {
#define XIPSEC_ENGINE_ENUM(symbol, name, text) XIPSEC_ENGINE_WHY_##symbol,
	XIPSEC_ENGINE_WHYS(XIPSEC_ENGINE_ENUM)
#undef XIPSEC_ENGINE_ENUM
		XIPSEC_ENGINE_WHY_COUNT
};

#endif
