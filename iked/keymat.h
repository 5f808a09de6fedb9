/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys from keys (RFC 7296 2.13, 2.14, 2.17, 2.18). All structs hold secrets: wipe them. */
#ifndef IKED_KEYMAT_H
#define IKED_KEYMAT_H

#include "iked/key_pool.h"
#include "iked/prf.h"
#include "iked/sk.h"

struct ike_keys {
	__u16 prf; /* enum prf_id */
	__u8 len;  /* bytes of sk_d, sk_pi, sk_pr */
	__u8 pad;
	__u8 sk_d[PRF_LEN_MAX];
	__u8 sk_pi[PRF_LEN_MAX], sk_pr[PRF_LEN_MAX]; /* for AUTH: useless once that is done */
	struct sk_key i, r;                          /* SK_ei and SK_ai; SK_er and SK_ar */
};

_Static_assert(sizeof(struct ike_keys) <= KEY_SLOT, "");

void ike_keys_wipe(struct ike_keys *keys);
void ike_keys_wipe_auth(struct ike_keys *keys); /* sk_pi and sk_pr alone */
#define _cleanup_keys_ __attribute__((cleanup(ike_keys_wipe)))

/* What both sides have said: nonces of initiator and responder, SPIs of the IKE SA to be. */
struct keymat_in {
	struct bytes nonce_i, nonce_r;
	__be64 spi_i, spi_r;
	struct bytes shared; /* g^ir; of a child without a new exchange: empty */
};

/* Of IKE_SA_INIT (2.14). `chosen` is the proposal chosen. 0; -EINVAL: algorithms that we do not
 * have, empty nonces or shared secret; -EIO. *out is untouched on failure. */
int keymat_ike(const struct proposal *chosen, const struct keymat_in *in, struct ike_keys *out);

/* Of a rekeyed IKE SA (2.18): SKEYSEED = prf(old SK_d, g^ir | Ni | Nr) with the *old* SA's prf;
 * nonces and SPIs of the rekeying exchange, "initiator" is who began that. */
int keymat_rekey(const struct proposal *chosen, const struct ike_keys *old,
		 const struct keymat_in *in, struct ike_keys *out);

/*
 * KEYMAT of a child (2.17): `key_len` bytes (alg_key_len()) for each direction, in the order of
 * struct xipsec_sa's key; `i2r` is what the initiator of this exchange sends with. SPIs of `in` do
 * not count.
 */
int keymat_child(const struct ike_keys *ike, const struct keymat_in *in, size_t key_len, __u8 *i2r,
		 __u8 *r2i);

#endif
