/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proposals (RFC 7296 3.3): sets of transforms as text, in the words of strongSwan, and the choice
 * between ours and a peer's. How they stand in an SA payload is iked's alone (iked/payload_sa.c).
 *
 * A word is names joined by '-': "aes128gcm16-prfsha256-x25519" for IKE, "aes256-sha256-esn-noesn"
 * for ESP, "sha256-x25519" for AH; several of one kind are alternatives. "default" stands for what
 * is offered if nobody says otherwise. What RFC 8247 or RFC 8221 call MUST NOT or SHOULD NOT is
 * refused by its name.
 */
#ifndef LIB_PROPOSAL_H
#define LIB_PROPOSAL_H

#include <stdbool.h>
#include <stddef.h>

#include "xipsec/sa.h"

/* IANA "IKEv2 Security Protocol Identifiers" (RFC 7296 3.3.1). */
enum proposal_protocol {
	PROPOSAL_IKE = 1,
	PROPOSAL_AH = 2,
	PROPOSAL_ESP = 3,
};

/* IANA "Transform Type Values" (RFC 7296 3.3.2). */
enum transform_type {
	TRANSFORM_ENCR = 1,
	TRANSFORM_PRF = 2,
	TRANSFORM_INTEG = 3,
	TRANSFORM_KE = 4, /* Diffie-Hellman group (RFC 9370: key exchange method) */
	TRANSFORM_ESN = 5,
};

#define TRANSFORM_NONE 0 /* of INTEG and KE */

/* Transform IDs of IANA's registries: those that we know, nothing else is offered or taken. */
enum encr_id {
	ENCR_NULL = 11,
	ENCR_AES_CBC = 12,            /* RFC 3602 */
	ENCR_AES_CTR = 13,            /* RFC 3686; ESP alone */
	ENCR_AES_CCM_8 = 14,          /* RFC 4309; ESP alone */
	ENCR_AES_CCM_16 = 16,         /* ESP alone */
	ENCR_AES_GCM_16 = 20,         /* RFC 4106, RFC 5282 */
	ENCR_NULL_AUTH_AES_GMAC = 21, /* RFC 4543; ESP alone */
	ENCR_CHACHA20_POLY1305 = 28,  /* RFC 7634; it has no key length attribute */
	ENCR_AES_CCM_8_IIV = 29,      /* RFC 8750; ESP alone */
	ENCR_AES_GCM_16_IIV = 30,
	ENCR_CHACHA20_POLY1305_IIV = 31,
};

enum prf_id {
	PRF_HMAC_SHA2_256 = 5, /* RFC 4868 */
	PRF_HMAC_SHA2_384 = 6,
	PRF_HMAC_SHA2_512 = 7,
};

enum integ_id {
	INTEG_AES_128_GMAC = 9, /* RFC 4543; AH alone */
	INTEG_AES_256_GMAC = 11,
	INTEG_HMAC_SHA2_256_128 = 12, /* RFC 4868 */
	INTEG_HMAC_SHA2_384_192 = 13,
	INTEG_HMAC_SHA2_512_256 = 14,
};

enum ke_id {
	KE_MODP_2048 = 14, /* RFC 3526 */
	KE_MODP_3072 = 15,
	KE_MODP_4096 = 16,
	KE_MODP_6144 = 17,
	KE_MODP_8192 = 18,
	KE_ECP_256 = 19, /* RFC 5903 */
	KE_ECP_384 = 20,
	KE_ECP_521 = 21,
	KE_X25519 = 31, /* RFC 8031 */
	KE_X448 = 32,
};

enum esn_id {
	ESN_NO = 0,
	ESN_YES = 1,
};

struct transform {
	__u8 type; /* enum transform_type; a peer's may be any */
	__u8 odd;  /* a peer's, with an attribute that we do not know: never chosen (3.3.6) */
	__u16 id;
	__u16 key_bits; /* the key length attribute; 0: there is none */
};

#define PROPOSAL_TRANSFORMS_MAX 40
#define PROPOSAL_SPI_MAX        8
#define PROPOSALS_MAX           32

/* Transforms stand in order of preference within each type. A proposal that was *chosen* has one of
 * each type at most, and none of those with the id TRANSFORM_NONE of INTEG and KE. */
struct proposal {
	__u8 number;   /* as in the SA payload, from 1 */
	__u8 protocol; /* enum proposal_protocol; a peer's may be any */
	__u8 spi_len;  /* bytes of spi: 4 of ESP and AH, 8 or 0 of IKE */
	__u8 n;
	__u8 spi[PROPOSAL_SPI_MAX]; /* as on the wire */
	struct transform t[PROPOSAL_TRANSFORMS_MAX];
};

/* In order of preference. About 8 KB: for the stack of one negotiation, not to be kept for an SA.
 */
struct proposals {
	unsigned int n;
	struct proposal p[PROPOSALS_MAX];
};

/*
 * Adds what `word` says to `list` ("default": several). `word` is one proposal, without blanks
 * around it, case does not count. As strongSwan does: without a PRF, that of the integrity
 * algorithm's hash is meant; integrity beside a cipher that has its own is left out; without "esn",
 * "noesn" is meant. Ciphers of both kinds do not go into one proposal.
 *
 * Numbers count from 1; there is no SPI.
 *
 * Returns 0; -EINVAL: `why` (size bytes) says in one line, without a full stop, what is wrong with
 * it; -E2BIG: the list is full, `why` says so. `list` is untouched on failure.
 */
int proposals_add(struct proposals *list, enum proposal_protocol protocol, const char *word,
		  char *why, size_t size);

/* What "default" stands for, alone: never fails. */
void proposals_default(struct proposals *list, enum proposal_protocol protocol);

/*
 * One proposal as text, in the words of proposals_add(); what it does not know is written as
 * "TYPE_NUMBER" ("encr_3", "ke_5", "9_1"). Returns the length that it has in full, as snprintf()
 * does.
 */
size_t proposal_print(const struct proposal *p, char *to, size_t size);

/* All, with ", " between. */
size_t proposals_print(const struct proposals *list, char *to, size_t size);

/* Names as in proposals ("aes", "prfsha256", "x25519"), "encr_3" for what is not known: for
 * listings and logs. Never NULL; a name made of numbers stands in a static buffer until the next
 * call. */
const char *transform_name(const struct transform *t);
const char *ke_name(__u16 ke_id);

/* The first of that type, NULL: none. */
const struct transform *proposal_find(const struct proposal *p, enum transform_type type);

/* The id of the first of that type; 0 (TRANSFORM_NONE, ESN_NO): none. */
__u16 proposal_id(const struct proposal *p, enum transform_type type);

/* Is that group among its transforms? */
bool proposal_has_ke(const struct proposal *p, __u16 ke_id);

/* Every group of `list`, in order of preference, each once. Returns how many, at most `max`. */
unsigned int proposals_groups(const struct proposals *list, __u16 *to, unsigned int max);

/* Takes away all key exchange transforms (a child of IKE_AUTH has none, RFC 7296 1.2); proposals
 * that become equal by that stay. */
void proposals_strip_ke(struct proposals *list);

struct proposal_choice {
	/* The group of the peer's KE payload, 0: none. Of the groups that both have in the proposal
	 * that is chosen, this one wins, for it costs no INVALID_KE_PAYLOAD round trip. */
	__u16 ke_group;
	/* The child of IKE_AUTH: key exchange transforms do not count on either side. */
	bool no_ke;
};

/*
 * The responder's choice (RFC 7296 3.3, 3.3.6): our proposals in our order, for each the first of
 * theirs that goes with it, for each type our most preferred transform. A proposal of theirs with a
 * transform type that we do not know, or lacking one that it must have, is passed over. `out` has
 * their number and SPI. Returns 0; -ENOENT: there is none.
 */
int proposal_choose(const struct proposals *ours, const struct proposals *theirs,
		    const struct proposal_choice *how, struct proposal *out);

/*
 * The initiator's check of an answer (RFC 7296 2.7, 3.3.6): one proposal that was offered, one
 * transform of each type that it had. `out` is `answer`, in the form of a chosen one. Returns 0;
 * -EINVAL: it was not offered.
 */
int proposal_accept(const struct proposals *offered, const struct proposals *answer, bool no_ke,
		    struct proposal *out);

/* The algorithm of a chosen proposal for ESP or AH; XIPSEC_ALG_NONE: it is none of ours. */
enum xipsec_alg proposal_alg(const struct proposal *chosen);

/* A proposal that offers that algorithm, for ESP or AH, without ESN and group. */
int proposal_of_alg(enum proposal_protocol protocol, enum xipsec_alg alg, struct proposal *out);

#endif
