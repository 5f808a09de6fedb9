/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ESP and AH have in common on the way out: a burst of packets of one SA, admitted before
 * sequence numbers are drawn, and the nonce of a number.
 */
#ifndef WORKER_OUTBOUND_H
#define WORKER_OUTBOUND_H

#include <endian.h>
#include <stdbool.h>
#include <string.h>
#include "worker/inner.h"
#include "worker/sa.h"
#include "worker/transport.h"

#define OUTBOUND_ALIGN 16u

/* What is on its way through a burst: the packets that live, and what is known of them. */
struct outbound {
	struct packet *pkt[BURST_MAX];
	struct shown shown[BURST_MAX];           /* tunnel mode */
	struct transport_place place[BURST_MAX]; /* transport mode */
	struct crypto_op op[BURST_MAX];
	unsigned int n;
	__u32 hidden; /* what packets are padded to; 0: they are not */
	__u64 bytes;  /* inner bytes of those that were sealed */
	__u64 tfc;    /* bytes of padding that hides their lengths */
};

/* How far a packet is moved up in its frame for want of headroom: bytes that it takes from behind
 * it; 0: it stays where it is. */
static inline __u32 outbound_shift(const struct sa *sa, const struct packet *p)
{
	if (__builtin_expect(p->headroom >= sa->head_room, 1))
		return 0;
	return (sa->head_room - p->headroom + OUTBOUND_ALIGN - 1) & ~(OUTBOUND_ALIGN - 1);
}

/* Ends the packet, counted in the SA. */
void outbound_drop(struct sa *sa, struct packet *p, enum xipsec_reason reason);

/* Appends those of `n` packets that may be sealed to *burst, ready but for their sequence number:
 * parsed, with room around them, no longer than what fits `path_mtu`, TTL, checksums and MSS done.
 * The others end with their reason, as esp_out_burst() says. */
void outbound_admit(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu,
		    struct outbound *burst);

#define always_inline inline __attribute__((always_inline))

/* What is the same for all packets of a burst, read once: what is written into packets might be the
 * SA itself, for all that the compiler knows, and it would read it anew each time. */
struct form {
	__u8 salt[XIPSEC_SALT_MAX];
	__be32 spi;
	__u32 salt_len;
	__u32 iv_len;
	__u32 icv_len;
	__u32 align;
	__u32 head_len;
	__u32 aad_shift;
};

/* `usual` (not SA_ANY) is known when this is compiled: of such SAs the places of all that is
 * written are too. */
static always_inline struct form form_of(const struct sa *sa, const bool usual)
{
	struct form form = {
		.spi = sa->spi,
		.salt_len = usual ? XIPSEC_SALT_MAX : sa->salt_len,
		.iv_len = usual ? SA_USUAL_IV : sa->iv_len,
		.icv_len = sa->icv_len,
		.align = sa->align,
		.head_len = usual ? ESP_HEADER_LEN + SA_USUAL_IV : sa->head_len,
		.aad_shift = sa->aad_shift,
	};

	memcpy(form.salt, sa->salt, sizeof(form.salt));
	return form;
}

/* The nonce of a number (`seq` as it travels), for every algorithm alike: salt and sequence number,
 * then CTR's block counter (RFC 3686 4), which the others do not read. CBC wants an IV that nobody
 * can foresee (RFC 3602 3). */
static always_inline void outbound_nonce(const struct form *form, __u8 nonce[CRYPTO_NONCE_MAX],
					 __be64 seq)
{
	static const __u8 counter[4] = {0, 0, 0, 1};

	memcpy(nonce, form->salt, sizeof(form->salt));
	memcpy(nonce + form->salt_len, &seq, sizeof(seq));
	memcpy(nonce + 12, counter, sizeof(counter));
	if (form->iv_len == XIPSEC_IV_MAX)
		crypto_random_iv(nonce);
}

static always_inline void outbound_aad(const struct form *form, __u8 aad[CRYPTO_AAD_MAX], __u64 seq)
{
	__be64 aad_seq = htobe64(seq << form->aad_shift);

	memcpy(aad, &form->spi, sizeof(form->spi));
	memcpy(aad + sizeof(form->spi), &aad_seq, sizeof(aad_seq));
}

#endif
