/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ESP and AH have in common on the way out: a burst of packets of one SA, admitted before
 * sequence numbers are drawn, and the nonce of a number.
 */
#ifndef WORKER_OUTBOUND_H
#define WORKER_OUTBOUND_H

#include <endian.h>
#include <string.h>
#include "worker/inner.h"
#include "worker/sa.h"
#include "worker/transport.h"

/* What is on its way through a burst: the packets that live, and what is known of them. */
struct outbound {
	struct packet *pkt[BURST_MAX];
	struct inner inner[BURST_MAX];
	struct transport_place place[BURST_MAX]; /* transport mode */
	struct crypto_op op[BURST_MAX];
	unsigned int n;
	__u32 inner_max;
	__u64 bytes; /* inner bytes of those that were sealed */
	__u64 tfc;   /* bytes of padding that hides their lengths */
};

/* Ends the packet, counted in the SA. */
void outbound_drop(struct sa *sa, struct packet *p, enum xipsec_reason reason);

/* Appends those of `n` packets that may be sealed to *burst, ready but for their sequence number:
 * parsed, with room around them, no longer than what fits `path_mtu`, TTL, checksums and MSS done.
 * The others end with their reason, as esp_out_burst() says. */
void outbound_admit(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu,
		    struct outbound *burst);

/* The nonce of a number (`seq` as it travels), for every algorithm alike: salt and sequence number,
 * then CTR's block counter (RFC 3686 4), which the others do not read. CBC wants an IV that nobody
 * can foresee (RFC 3602 3). */
static inline void outbound_nonce(const struct sa *sa, __u8 nonce[CRYPTO_NONCE_MAX], __be64 seq)
{
	static const __u8 counter[4] = {0, 0, 0, 1};

	memcpy(nonce, sa->salt, sizeof(sa->salt));
	memcpy(nonce + sa->salt_len, &seq, sizeof(seq));
	memcpy(nonce + 12, counter, sizeof(counter));
	if (sa->iv_len == XIPSEC_IV_MAX)
		crypto_random_iv(nonce);
}

static inline void outbound_aad(const struct sa *sa, __u8 aad[CRYPTO_AAD_MAX], __u64 seq)
{
	__be64 aad_seq = htobe64(seq << sa->aad_shift);

	memcpy(aad, &sa->spi, sizeof(sa->spi));
	memcpy(aad + sizeof(sa->spi), &aad_seq, sizeof(aad_seq));
}

#endif
