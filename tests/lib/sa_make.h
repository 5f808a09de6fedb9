/* SPDX-License-Identifier: BSD-2-Clause */
/* An SA of kernel XFRM between the two gateways of the tests. */
#ifndef TESTS_LIB_SA_MAKE_H
#define TESTS_LIB_SA_MAKE_H

#include <netinet/in.h>
#include "lib/alg.h"
#include "xipsec/sa.h"

/* 192.0.2.1 to 192.0.2.2, ESP in tunnel mode, without selectors; the key is 1, 2, 3, ... */
static inline struct xipsec_sa sa_make(__u8 dir, __u8 alg, __u32 spi)
{
	struct xipsec_sa sa = {.child = "c",
			       .outer_family = XIPSEC_FAMILY_IP4,
			       .l4_proto = IPPROTO_ESP,
			       .spi = htonl(spi),
			       .src.word[0] = htonl(0xc0000201),
			       .dst.word[0] = htonl(0xc0000202),
			       .dir = dir,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .engine = XIPSEC_ENGINE_XFRM,
			       .alg = alg,
			       .window = 1024,
			       .key_len = alg_key_len(alg)};

	for (__u32 i = 0; i < sa.key_len; i++)
		sa.key[i] = (__u8)(i + 1);
	return sa;
}

#endif
