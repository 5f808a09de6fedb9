/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The encrypted payload (RFC 7296 3.14, RFC 5282, RFC 7634): AES-GCM-16, ChaCha20-Poly1305, AES-CBC
 * with HMAC-SHA2. One struct sk_key is one direction of an IKE SA; plain memory, no contexts kept:
 * an IKE SA is to be small.
 */
#ifndef IKED_SK_H
#define IKED_SK_H

#include "iked/message.h"
#include "lib/proposal.h"

#define SK_ENCR_KEY_MAX  36 /* with the salt of the AEADs, 4 bytes, at its end */
#define SK_INTEG_KEY_MAX 64

struct sk_key {
	__u16 encr, key_bits; /* enum encr_id; bits as in the proposal, 0: ChaCha20-Poly1305 */
	__u16 integ;          /* enum integ_id; 0 with AEADs */
	__u8 encr_key_len, integ_key_len;
	__u8 encr_key[SK_ENCR_KEY_MAX];   /* SK_ei or SK_er */
	__u8 integ_key[SK_INTEG_KEY_MAX]; /* SK_ai or SK_ar */
	__u64 iv; /* the next one of an AEAD: counts from 0, one is never used twice */
};

/* Lengths of SK_e and SK_a for a chosen proposal of IKE: 0; -EINVAL: it is none that we have. */
int sk_key_lengths(const struct proposal *chosen, __u8 *encr_key_len, __u8 *integ_key_len);

/* Of a chosen proposal and keys of those lengths. */
int sk_key_init(struct sk_key *key, const struct proposal *chosen, struct bytes encr_key,
		struct bytes integ_key);
void sk_key_wipe(struct sk_key *key);

/* Bytes that SK adds to a text of `len` bytes: IV, padding and its length, ICV. */
size_t sk_overhead(const struct sk_key *key, size_t len);

/* The longest text of which SK's body has at most `room` bytes; 0: not even one byte. */
size_t sk_text_max(const struct sk_key *key, size_t room);

/*
 * Seals `text` and writes IV, ciphertext and ICV to `w`, which holds the message so far: from the
 * IKE header to SK's (or SKF's) own header, lengths filled in. That is what is authenticated. AEAD:
 * IV from the counter; CBC: random. 0; -EOVERFLOW: the IVs are used up; -EIO; w->err.
 */
int sk_seal(struct sk_key *key, struct writer *w, struct bytes text);

/*
 * Opens `msg`'s SK or SKF: the text without padding goes to the end of `text`. 0; -EBADMSG: it is
 * not authentic, or too short, or its padding is longer than it: drop in silence; -EIO. Nothing is
 * written on failure. First the ICV, then decryption.
 */
int sk_open(const struct sk_key *key, const struct ike_msg *msg, struct writer *text);

#endif
