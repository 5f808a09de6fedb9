/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message to be sent: opened, payloads added in the order of RFC 7296's figures, closed in the
 * clear or sealed. Failures stay until the end: check what closes it.
 *
 *	_cleanup_out_ struct ike_out m = {0};
 *	ike_out_open(&m, &(struct ike_header){.spi_i = …, .exchange = INFORMATIONAL, …});
 *	ike_out_notify(&m, …);
 *	err = ike_out_sealed(&m, &keys, 1232, &packets);
 */
#ifndef IKED_OUT_H
#define IKED_OUT_H

#include "iked/ident.h"
#include "iked/message.h"
#include "iked/sk.h"
#include "iked/ts.h"
#include "lib/proposal.h"

struct ike_out {
	struct ike_header h;
	struct writer text; /* the payloads, one behind the other */
	__u8 first;         /* type of the first */
	size_t last;        /* where the last one begins */
	bool any;
};

/* Of `h`: SPIs, exchange, flags, message ID; the rest is filled in. The version is 2.0. */
void ike_out_open(struct ike_out *m, const struct ike_header *h);
void ike_out_free(struct ike_out *m); /* wiped */

#define _cleanup_out_ __attribute__((cleanup(ike_out_free)))

/* Each adds one payload; views are copied. No critical bit is set (RFC 7296 2.5: all of these must
 * be understood). */
void ike_out_sa(struct ike_out *m, const struct proposals *list);
void ike_out_chosen(struct ike_out *m, const struct proposal *chosen); /* SA payload of an answer */
void ike_out_ke(struct ike_out *m, __u16 group, struct bytes data);
void ike_out_nonce(struct ike_out *m, struct bytes nonce);
void ike_out_id(struct ike_out *m, enum ike_payload which, const struct ident *id); /* IDi, IDr */
void ike_out_cert(struct ike_out *m, enum ike_cert_encoding encoding, struct bytes data);
void ike_out_certreq(struct ike_out *m, enum ike_cert_encoding encoding, struct bytes hashes);
void ike_out_auth(struct ike_out *m, __u8 method, struct bytes data);
void ike_out_ts(struct ike_out *m, enum ike_payload which,
		const struct ts_list *list); /* TSi, TSr */
void ike_out_vendor(struct ike_out *m, struct bytes data);

/* `spi` has 0 bytes (and `protocol` is then 0 on the wire, RFC 7296 3.10) or 4. */
void ike_out_notify(struct ike_out *m, enum proposal_protocol protocol, struct bytes spi,
		    enum ike_notify_type type, struct bytes data);

/* The usual one: no SPI, no data. */
void ike_out_status(struct ike_out *m, enum ike_notify_type type);

/* Deletes of children: n SPIs in one payload. */
void ike_out_delete(struct ike_out *m, enum proposal_protocol protocol, const __be32 *spis,
		    unsigned int n);
void ike_out_delete_ike(struct ike_out *m);

/* SIGNATURE_HASH_ALGORITHMS of bits 1 << enum ike_hash, in the order of their numbers. */
void ike_out_hashes(struct ike_out *m, __u32 hashes);

/* NAT_DETECTION_*_IP, see ike_nat_hash(). */
void ike_out_nat(struct ike_out *m, enum ike_notify_type type, struct bytes addr, __be16 port);

/* A payload of any type and body, critical or not. */
void ike_out_payload(struct ike_out *m, __u8 type, bool critical, struct bytes body);

/*
 * What goes onto the wire: one datagram, or several fragments, without the non-ESP marker. One
 * block of memory of just that size, so that answers can be kept: free() it.
 */
struct ike_packets {
	unsigned int n;
	__u32 len;   /* of all together */
	__u8 dscp;   /* of IP, 0 to 63 */
	__u8 data[]; /* each with its length, 2 bytes, in front */
};

struct bytes ike_packet(const struct ike_packets *packets, unsigned int i);

/* In the clear (IKE_SA_INIT, and answers outside of an IKE SA). Returns 0 or the -errno of what
 * failed since it was opened (-ENOMEM, -EMSGSIZE, -EINVAL); *out is untouched then. */
int ike_out_plain(struct ike_out *m, struct ike_packets **out);

/*
 * In an SK payload; if that message were longer than `fragment` bytes (of the IKE message: without
 * IP, UDP and marker; 0: never fragment), in as many SKF as it takes (RFC 7383 2.5), each at most
 * as long. -EMSGSIZE: it would take more than IKE_FRAGMENTS_MAX, or `fragment` has no room for a
 * payload; -EIO: crypto failed; -EOVERFLOW: the key's IVs are used up. Draws IVs of `key`: what
 * fails may have used some.
 */
int ike_out_sealed(struct ike_out *m, struct sk_key *key, unsigned int fragment,
		   struct ike_packets **out);

#endif
