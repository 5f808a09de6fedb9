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

/*
 * Algorithms (RFC 8221), with the names that proposals use:
 * X(symbol, name, cipher key, integrity key, salt, iv, icv, align), all in bytes. `iv` is what
 * travels: 0 with an implicit IV (RFC 8750) or none. `align` is that of the encrypted part.
 * AH (RFC 4302) takes those without a cipher: null-sha* (called sha* there) and aes*gmac.
 */
#define XIPSEC_ALGS(X)                                                    \
	X(AES128GCM16, "aes128gcm16", 16, 0, 4, 8, 16, 4)                 \
	X(AES256GCM16, "aes256gcm16", 32, 0, 4, 8, 16, 4)                 \
	X(AES128GCM16IIV, "aes128gcm16iiv", 16, 0, 4, 0, 16, 4)           \
	X(AES256GCM16IIV, "aes256gcm16iiv", 32, 0, 4, 0, 16, 4)           \
	X(AES128GMAC, "aes128gmac", 16, 0, 4, 8, 16, 4)                   \
	X(AES256GMAC, "aes256gmac", 32, 0, 4, 8, 16, 4)                   \
	X(CHACHA20POLY1305, "chacha20poly1305", 32, 0, 4, 8, 16, 4)       \
	X(CHACHA20POLY1305IIV, "chacha20poly1305iiv", 32, 0, 4, 0, 16, 4) \
	X(AES128CCM16, "aes128ccm16", 16, 0, 3, 8, 16, 4)                 \
	X(AES256CCM16, "aes256ccm16", 32, 0, 3, 8, 16, 4)                 \
	X(AES128CCM8, "aes128ccm8", 16, 0, 3, 8, 8, 4)                    \
	X(AES256CCM8, "aes256ccm8", 32, 0, 3, 8, 8, 4)                    \
	X(AES128CCM8IIV, "aes128ccm8iiv", 16, 0, 3, 0, 8, 4)              \
	X(AES256CCM8IIV, "aes256ccm8iiv", 32, 0, 3, 0, 8, 4)              \
	X(AES128CBC_SHA256, "aes128-sha256", 16, 32, 0, 16, 16, 16)       \
	X(AES128CBC_SHA384, "aes128-sha384", 16, 48, 0, 16, 24, 16)       \
	X(AES128CBC_SHA512, "aes128-sha512", 16, 64, 0, 16, 32, 16)       \
	X(AES256CBC_SHA256, "aes256-sha256", 32, 32, 0, 16, 16, 16)       \
	X(AES256CBC_SHA384, "aes256-sha384", 32, 48, 0, 16, 24, 16)       \
	X(AES256CBC_SHA512, "aes256-sha512", 32, 64, 0, 16, 32, 16)       \
	X(AES128CTR_SHA256, "aes128ctr-sha256", 16, 32, 4, 8, 16, 4)      \
	X(AES128CTR_SHA384, "aes128ctr-sha384", 16, 48, 4, 8, 24, 4)      \
	X(AES128CTR_SHA512, "aes128ctr-sha512", 16, 64, 4, 8, 32, 4)      \
	X(AES256CTR_SHA256, "aes256ctr-sha256", 32, 32, 4, 8, 16, 4)      \
	X(AES256CTR_SHA384, "aes256ctr-sha384", 32, 48, 4, 8, 24, 4)      \
	X(AES256CTR_SHA512, "aes256ctr-sha512", 32, 64, 4, 8, 32, 4)      \
	X(NULL_SHA256, "null-sha256", 0, 32, 0, 0, 16, 4)                 \
	X(NULL_SHA384, "null-sha384", 0, 48, 0, 0, 24, 4)                 \
	X(NULL_SHA512, "null-sha512", 0, 64, 0, 0, 32, 4)

enum xipsec_alg {
	XIPSEC_ALG_NONE,
#define XIPSEC_ALG_ENUM(sym, name, key, auth, salt, iv, icv, align) XIPSEC_ALG_##sym,
	XIPSEC_ALGS(XIPSEC_ALG_ENUM)
#undef XIPSEC_ALG_ENUM
		XIPSEC_ALG_COUNT
};

/* KEYMAT's order (RFC 7296 2.17): cipher key, salt (RFC 4106 8.1), integrity key. */
#define XIPSEC_KEY_MAX       100
#define XIPSEC_SALT_MAX      4
#define XIPSEC_IV_MAX        16
#define XIPSEC_ICV_MAX       32
#define XIPSEC_ALIGN_MAX     16
#define XIPSEC_SELECTORS_MAX 512 /* of one SA, refusals included */

/* Don't Fragment in an outer IPv4 header (RFC 4301 8.1). */
enum xipsec_df {
	XIPSEC_DF_SET,   /* what does not fit is told to its sender */
	XIPSEC_DF_CLEAR, /* routers may cut the ESP packet, the peer puts it together */
	XIPSEC_DF_COPY,  /* as the inner header has it; set for IPv6 inside */
};

#define XIPSEC_TFC_MTU 0xffffffff /* pad to the largest packet that fits */

/* 0: no such limit. Soft ones give an event, hard ones stop the SA. */
struct xipsec_limits {
	__u64 soft_packets, hard_packets;
	__u64 soft_bytes,
		hard_bytes;         /* of inner packets, with padding and dummies (RFC 4303 2.7) */
	__u32 soft_time, hard_time; /* seconds since it was installed */
	__u32 idle;                 /* seconds without a packet: an event */
	__u32 pad;
};

#define XIPSEC_SA_ESN       1   /* flags */
#define XIPSEC_SA_UDP       2   /* ESP in UDP (RFC 3948) */
#define XIPSEC_SA_FRESH_KEY 4   /* the caller swears that the key was never used (manual keys) */
#define XIPSEC_SA_MANUAL    8   /* from sas {}: numbers are reserved on disk */
#define XIPSEC_SA_NO_ECN    16  /* RFC 6040 compatibility mode: the outer header is Not-ECT */
#define XIPSEC_SA_DSCP      64  /* the outer DSCP is `dscp`; else it is copied */
#define XIPSEC_SA_FLOW_COPY 32  /* IPv6 in IPv6: copy the flow label; else it is 0 */
#define XIPSEC_SA_STAY      128 /* ESP in UDP: a peer that comes from elsewhere is not followed */
#define XIPSEC_SA_WHOLE     256 /* what comes out is known whole alone; outbound, xipsecd says so */
#define XIPSEC_SA_LATER     512 /* inbound tunnels: later fragments follow their first one */
#define XIPSEC_SA_APART     1024 /* an earlier rule has later fragments; outbound, xipsecd says so */

struct xipsec_sa {
	char name[XIPSEC_NAME_LEN];  /* of the SA, for people */
	char child[XIPSEC_NAME_LEN]; /* whose policies it serves */
	struct xipsec_addr src;      /* outer addresses, network order */
	struct xipsec_addr dst;
	__be32 spi;
	__u8 outer_family; /* XIPSEC_FAMILY_IP4 or IP6 */
	__u8 l4_proto;     /* IPPROTO_ESP or IPPROTO_AH */
	__u8 dir;          /* XIPSEC_DIR_IN or XIPSEC_DIR_OUT */
	__u8 mode;         /* enum xipsec_mode */
	__u8 engine;       /* enum xipsec_engine; NONE: let xipsecd choose */
	__u8 alg;          /* enum xipsec_alg */
	__u16 flags;       /* XIPSEC_SA_* */
	__u32 window;      /* replay window, packets; inbound */
	__u32 n_selectors; /* inbound: in the order of the SPD, the first that matches decides */
	__be16 src_port;   /* with XIPSEC_SA_UDP */
	__be16 dst_port;
	__u8 df;   /* enum xipsec_df; outbound */
	__u8 dscp; /* 0 to 63, of the outer header, with XIPSEC_SA_DSCP; outbound tunnel */
	__u8 ttl;  /* of the outer header, 0: 64; outbound tunnel */
	__u8 pad;
	__u32 if_id;    /* of a route-based interface, 0: policies lead into it */
	__u32 tfc_size; /* pad inner packets to so many bytes (RFC 4303 2.7), or XIPSEC_TFC_MTU */
	__u32 dummies;  /* dummy packets a second while idle (RFC 4303 2.6) */
	__u32 pad2;
	struct xipsec_limits limits;
	__u32 key_len; /* bytes used of key */
	__u8 key[XIPSEC_KEY_MAX];
	/* 0: the selector is its child's, what matches may come out of it. 1: it is that of an
	 * earlier rule which is not its child's, what matches may not. */
	__u8 refuse[XIPSEC_SELECTORS_MAX];
	struct xipsec_selector selector[XIPSEC_SELECTORS_MAX];
};

/* Bytes of an SA with n selectors. Most have one: what is stored and what travels is this much;
 * selectors behind n_selectors are not read. */
#define XIPSEC_SA_SIZE(n) \
	(__builtin_offsetof(struct xipsec_sa, selector) + (n) * sizeof(struct xipsec_selector))

static inline void xipsec_sa_copy(struct xipsec_sa *to, const struct xipsec_sa *from)
{
	__builtin_memcpy(to, from, XIPSEC_SA_SIZE(from->n_selectors));
}

/* Is an SA whole that came as the last `len` bytes of a message? All of the struct is, too. */
static inline int xipsec_sa_whole(const struct xipsec_sa *sa, unsigned long len)
{
	return len >= XIPSEC_SA_SIZE(0) && sa->n_selectors <= XIPSEC_SELECTORS_MAX &&
	       (len == XIPSEC_SA_SIZE(sa->n_selectors) || len == sizeof(*sa));
}

#endif
