/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An SA as it travels: from a client to xipsecd (sadb.h) and from xipsecd to a worker (ctl.h).
 * These structs hold keys: whoever holds one wipes it (OPENSSL_cleanse) when done.
 */
#ifndef XIPSEC_SA_H
#define XIPSEC_SA_H

#include <linux/types.h>
#include "xipsec/maps.h"

enum xipsec_mode {
	XIPSEC_MODE_TUNNEL = 1,
	XIPSEC_MODE_TRANSPORT = 2,
};

/* Algorithms, with the names that proposals use. X(symbol, name, key bytes, salt bytes, iv, icv,
 * align) */
#define XIPSEC_ALGS(X)                                 \
	X(AES128GCM16, "aes128gcm16", 16, 4, 8, 16, 4) \
	X(AES256GCM16, "aes256gcm16", 32, 4, 8, 16, 4)

enum xipsec_alg {
	XIPSEC_ALG_NONE,
#define XIPSEC_ALG_ENUM(sym, name, key, salt, iv, icv, align) XIPSEC_ALG_##sym,
	XIPSEC_ALGS(XIPSEC_ALG_ENUM)
#undef XIPSEC_ALG_ENUM
		XIPSEC_ALG_COUNT
};

#define XIPSEC_KEY_MAX       36 /* key and salt, the salt last as in RFC 4106 8.1 */
#define XIPSEC_SELECTORS_MAX 64 /* of one SA, refusals included */

#define XIPSEC_SA_ESN       1 /* flags */
#define XIPSEC_SA_UDP       2 /* ESP in UDP (RFC 3948) */
#define XIPSEC_SA_FRESH_KEY 4 /* the caller swears that the key was never used (manual keys) */
#define XIPSEC_SA_MANUAL    8 /* from sas {}: numbers are reserved on disk */

struct xipsec_sa {
	char name[XIPSEC_NAME_LEN];  /* of the SA, for people */
	char child[XIPSEC_NAME_LEN]; /* whose policies it serves */
	struct xipsec_addr src;      /* outer addresses, network order */
	struct xipsec_addr dst;
	__be32 spi;
	__u8 outer_family; /* XIPSEC_FAMILY_IP4 or IP6 */
	__u8 l4_proto;     /* IPPROTO_ESP */
	__u8 dir;          /* XIPSEC_DIR_IN or XIPSEC_DIR_OUT */
	__u8 mode;         /* enum xipsec_mode */
	__u8 engine;       /* enum xipsec_engine; NONE: let xipsecd choose */
	__u8 alg;          /* enum xipsec_alg */
	__u16 flags;       /* XIPSEC_SA_* */
	__u32 window;      /* replay window, packets; inbound */
	__u32 n_selectors; /* inbound: in the order of the SPD, the first that matches decides */
	__u32 key_len;     /* bytes used of key */
	__u8 key[XIPSEC_KEY_MAX];
	/* 0: the selector is its child's, what matches may come out of it. 1: it is that of an
	 * earlier rule which is not its child's, what matches may not. */
	__u8 refuse[XIPSEC_SELECTORS_MAX];
	struct xipsec_selector selector[XIPSEC_SELECTORS_MAX];
};

#endif
