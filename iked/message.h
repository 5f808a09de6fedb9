/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message as it came: header and payloads (RFC 7296 3), validated, then told as views into the
 * memory that holds it. Bounded whatever the peer sends; no I/O, no clock, nothing is allocated.
 *
 *	ike_msg_parse(datagram)            header, payloads in the clear, up to SK or SKF
 *	sk_open(), frag_add()              the text of SK, or of all SKF (sk.h, frag.h)
 *	ike_msg_parse_inner(text)          the payloads in it
 *
 * What is built is another thing: out.h.
 */
#ifndef IKED_MESSAGE_H
#define IKED_MESSAGE_H

#include "lib/buf.h"
#include "iked/wire.h"

/* Of one message. One that has more payloads in all, or more notifies, deletes or certificates, is
 * refused (INVALID_SYNTAX); vendor IDs and certificate requests behind the last are not kept. */
#define IKE_PAYLOADS_MAX 96 /* in all */
#define IKE_NOTIFY_MAX   48
#define IKE_DELETE_MAX   8
#define IKE_CERT_MAX     8
#define IKE_CERTREQ_MAX  8
#define IKE_VENDOR_MAX   8
#define IKE_NONCE_MIN    16 /* bytes, RFC 7296 3.9 */
#define IKE_NONCE_MAX    256

/* RFC 7296 3.1. */
struct ike_header {
	__be64 spi_i, spi_r; /* as on the wire: numbers mean nothing */
	__u32 id;            /* message ID */
	__u32 len;           /* of the whole message, bytes */
	__u8 next;           /* enum ike_payload */
	__u8 major, minor;
	__u8 exchange; /* enum ike_exchange */
	__u8 flags;    /* IKE_FLAG_*; others are not there */
	__u8 pad[3];
};

/* What is wrong with a message. What answers it is only a proposal: an answer is due to requests
 * alone, and what was not authenticated is not believed (RFC 7296 2.21). */
struct ike_fault {
	__u16 notify; /* enum ike_notify_type; 0: none, drop it in silence */
	__u8 data_len;
	__u8 data[1];  /* of that notify: the payload type of UNSUPPORTED_CRITICAL_PAYLOAD */
	char what[92]; /* one line for the log, without a full stop: "KE payload: 3 bytes" */
};

struct ike_ke {
	__u16 group; /* enum ke_id, or any other */
	struct bytes data;
};

struct ike_id {
	__u8 type; /* enum ike_id_type, or any other */
	struct bytes data;
	struct bytes body; /* all after the generic header: RestOfIDPayload of RFC 7296 2.15 */
};

struct ike_auth {
	__u8 method; /* enum ike_auth_method, or any other */
	struct bytes data;
};

struct ike_cert {
	__u8 encoding; /* enum ike_cert_encoding, or any other */
	struct bytes data;
};

struct ike_notify {
	__u16 type;       /* enum ike_notify_type, or any other */
	__u8 protocol;    /* enum proposal_protocol; 0 without SPI, though peers send others too */
	struct bytes spi; /* 4 bytes of ESP and AH, else 0; a peer may write any */
	struct bytes data;
};

struct ike_delete {
	__u8 protocol; /* enum proposal_protocol */
	__u8 spi_len;  /* bytes of one: 0 (IKE) or 4 */
	__u16 n;       /* SPIs */
	struct bytes spis;
};

/* The encrypted payload, or one fragment of it (RFC 7296 3.14, RFC 7383 2.5). */
struct ike_sk {
	bool here;
	bool fragment;
	__u8 first;          /* type of the first payload inside; 0 in fragments but the first */
	__u16 number, total; /* of fragments, number from 1; else 1 and 1 */
	struct bytes aad;  /* of the AEADs: from the header to the end of SK's own (RFC 5282 5.1) */
	struct bytes body; /* IV, what is encrypted, ICV */
};

/* A view has data == NULL if there is no such payload. */
struct ike_msg {
	struct ike_header h;
	struct bytes raw; /* the whole message, as long as its header says */
	struct ike_sk sk;

	struct bytes sa; /* body of the SA payload: payload_sa.h reads it */
	struct ike_ke ke;
	struct bytes nonce; /* IKE_NONCE_MIN to IKE_NONCE_MAX bytes */
	struct ike_id id_i, id_r;
	struct ike_auth auth;
	struct bytes ts_i, ts_r; /* bodies: ts.h reads them */
	struct bytes cp, eap;    /* bodies, not looked into */

	__u8 n_notify, n_del, n_cert, n_certreq, n_vendor;
	__u8 n_payloads;              /* of all kinds */
	__u8 n_unknown;               /* not critical, skipped */
	__u64 seen;                   /* bit (type - 33) of enum ike_payload */
	__u8 types[IKE_PAYLOADS_MAX]; /* of all but SK and SKF, in the order in which they came */
	struct ike_notify notify[IKE_NOTIFY_MAX];
	struct ike_delete del[IKE_DELETE_MAX];
	struct ike_cert cert[IKE_CERT_MAX];
	struct ike_cert certreq[IKE_CERTREQ_MAX];
	struct bytes vendor[IKE_VENDOR_MAX];
};

static inline bool ike_is_response(const struct ike_header *h)
{
	return h->flags & IKE_FLAG_RESPONSE;
}

/*
 * The header alone: enough to find the IKE SA. `data` begins with it (on port 4500 behind the
 * non-ESP marker). Any version is taken, IKEv1 has the same header. Returns 0; -EBADMSG: fewer
 * bytes than a header, or than the length field says, or that says less than a header.
 */
int ike_header_parse(struct bytes data, struct ike_header *out);

/*
 * Header and payloads in the clear. Bytes behind the message's length are not looked at. If it has
 * an SK or SKF payload, that is the last, and nothing that we know may stand in front of it; the
 * rest comes from ike_msg_parse_inner(). `data` must live as long as `out` is used.
 *
 * Returns 0; -EBADMSG: `fault` says what and what answers it (INVALID_SYNTAX,
 * INVALID_MAJOR_VERSION, UNSUPPORTED_CRITICAL_PAYLOAD), and *out is untouched. A critical bit
 * counts on types that we do not know alone (RFC 7296 2.5). Payloads may come in any order (2.5);
 * one that may stand only once does (SA, KE, Nonce, ID, AUTH, TS, CP, EAP).
 */
int ike_msg_parse(struct bytes data, struct ike_msg *out, struct ike_fault *fault);

/*
 * The payloads that were in SK or SKF, into the same message. `first` is their first one's type
 * (`sk.first`, or that of the first fragment), `text` must live as long as `msg` is used. As above,
 * on failure `msg` is untouched.
 */
int ike_msg_parse_inner(struct ike_msg *msg, struct bytes text, __u8 first,
			struct ike_fault *fault);

/* The first notify of that type; NULL: none. */
const struct ike_notify *ike_msg_notify(const struct ike_msg *msg, enum ike_notify_type type);

/* The first notify that tells an error, NULL: none. */
const struct ike_notify *ike_msg_error(const struct ike_msg *msg);

/* "IKE_AUTH request 1: IDi CERT N(INITIAL_CONTACT) AUTH SA TSi TSr" ("-": none), for logs. Returns
 * the length that it has in full, as snprintf() does. */
size_t ike_msg_print(const struct ike_msg *msg, char *to, size_t size);

/* The SPI number i, from 0, of a delete payload of ESP or AH. */
__be32 ike_delete_spi(const struct ike_delete *del, unsigned int i);

/* SIGNATURE_HASH_ALGORITHMS (RFC 7427 4): bits 1 << enum ike_hash of those that we know. */
__u32 ike_notify_hashes(const struct ike_notify *notify);

/* The group that INVALID_KE_PAYLOAD wants (RFC 7296 1.3); 0: its data is not two bytes. */
__u16 ike_notify_group(const struct ike_notify *notify);

/*
 * The data of NAT_DETECTION_*_IP (RFC 7296 2.23): SHA-1 of both SPIs, address, port. SHA-1 is what
 * the RFC says, it authenticates nothing. `addr` is 4 or 16 bytes. Returns 0 or -EIO.
 */
#define IKE_NAT_HASH_LEN 20
int ike_nat_hash(__be64 spi_i, __be64 spi_r, struct bytes addr, __be16 port,
		 __u8 out[IKE_NAT_HASH_LEN]);

#endif
