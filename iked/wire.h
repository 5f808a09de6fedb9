/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The numbers of IKEv2 (IANA "Internet Key Exchange Version 2 (IKEv2) Parameters") and the sizes of
 * its fixed parts. Those of transforms stand in lib/proposal.h.
 */
#ifndef IKED_WIRE_H
#define IKED_WIRE_H

#include <linux/types.h>

#define IKE_PORT      500
#define IKE_NATT_PORT 4500

#define IKE_MAJOR 2
#define IKE_MINOR 0

#define IKE_HEADER_LEN  28 /* RFC 7296 3.1 */
#define IKE_PAYLOAD_LEN 4  /* the generic payload header, 3.2 */

/* RFC 7296 3.1. */
enum ike_exchange {
	IKE_SA_INIT = 34,
	IKE_AUTH = 35,
	CREATE_CHILD_SA = 36,
	INFORMATIONAL = 37,
	IKE_SESSION_RESUME = 38, /* RFC 5723 */
	IKE_INTERMEDIATE = 43,   /* RFC 9242 */
	IKE_FOLLOWUP_KE = 44,    /* RFC 9370 */
};

/* RFC 7296 3.1. */
#define IKE_FLAG_INITIATOR                                                    \
	0x08 /* by the one who began the IKE SA (the one being rekeyed: anew) \
	      */
#define IKE_FLAG_VERSION  0x10
#define IKE_FLAG_RESPONSE 0x20

#define IKE_PAYLOAD_CRITICAL 0x80 /* of the generic header's second octet */

/* RFC 7296 3.2. */
enum ike_payload {
	IKE_PL_NONE = 0,
	IKE_PL_SA = 33,
	IKE_PL_KE = 34,
	IKE_PL_IDI = 35,
	IKE_PL_IDR = 36,
	IKE_PL_CERT = 37,
	IKE_PL_CERTREQ = 38,
	IKE_PL_AUTH = 39,
	IKE_PL_NONCE = 40,
	IKE_PL_NOTIFY = 41,
	IKE_PL_DELETE = 42,
	IKE_PL_VENDOR = 43,
	IKE_PL_TSI = 44,
	IKE_PL_TSR = 45,
	IKE_PL_SK = 46,
	IKE_PL_CP = 47,
	IKE_PL_EAP = 48,
	IKE_PL_SKF = 53, /* RFC 7383 */
};

/* RFC 7296 3.5. */
enum ike_id_type {
	IKE_ID_IPV4 = 1,
	IKE_ID_FQDN = 2,
	IKE_ID_RFC822 = 3,
	IKE_ID_IPV6 = 5,
	IKE_ID_DN = 9, /* ID_DER_ASN1_DN */
	IKE_ID_GN = 10,
	IKE_ID_KEY_ID = 11,
};

/* RFC 7296 3.6. */
enum ike_cert_encoding {
	IKE_CERT_X509_SIGNATURE = 4,
	IKE_CERT_CRL = 7,
	IKE_CERT_RAW_KEY = 15, /* RFC 7670 */
	IKE_CERT_HASH_URL = 12,
};

/* RFC 7296 3.8. */
enum ike_auth_method {
	IKE_AUTH_RSA = 1, /* with SHA-1: neither sent nor taken */
	IKE_AUTH_PSK = 2,
	IKE_AUTH_ECDSA_256 = 9, /* with SHA-256 on P-256, RFC 4754 */
	IKE_AUTH_ECDSA_384 = 10,
	IKE_AUTH_ECDSA_521 = 11,
	IKE_AUTH_SIGNATURE = 14, /* RFC 7427 */
};

/* RFC 7427 7, RFC 8420: IANA "IKEv2 Hash Algorithms". */
enum ike_hash {
	IKE_HASH_SHA1 = 1, /* neither announced nor used */
	IKE_HASH_SHA256 = 2,
	IKE_HASH_SHA384 = 3,
	IKE_HASH_SHA512 = 4,
	IKE_HASH_IDENTITY = 5, /* Ed25519 and Ed448 */
};

/* RFC 7296 3.13.1. */
enum ike_ts_type {
	IKE_TS_IPV4 = 7,
	IKE_TS_IPV6 = 8,
};

/* RFC 7296 3.15. */
enum ike_cfg_type {
	IKE_CFG_REQUEST = 1,
	IKE_CFG_REPLY = 2,
	IKE_CFG_SET = 3,
	IKE_CFG_ACK = 4,
};

/* Below this, a notify tells an error (RFC 7296 3.10.1). */
#define IKE_NOTIFY_STATUS 16384

/* X(symbol, number): name of the notify as the RFCs write it. RFC 7296 3.10.1, else as noted. */
#define IKE_NOTIFIES(X)                                          \
	X(UNSUPPORTED_CRITICAL_PAYLOAD, 1)                       \
	X(INVALID_IKE_SPI, 4)                                    \
	X(INVALID_MAJOR_VERSION, 5)                              \
	X(INVALID_SYNTAX, 7)                                     \
	X(INVALID_MESSAGE_ID, 9)                                 \
	X(INVALID_SPI, 11)                                       \
	X(NO_PROPOSAL_CHOSEN, 14)                                \
	X(INVALID_KE_PAYLOAD, 17)                                \
	X(AUTHENTICATION_FAILED, 24)                             \
	X(SINGLE_PAIR_REQUIRED, 34)                              \
	X(NO_ADDITIONAL_SAS, 35)                                 \
	X(INTERNAL_ADDRESS_FAILURE, 36)                          \
	X(FAILED_CP_REQUIRED, 37)                                \
	X(TS_UNACCEPTABLE, 38)                                   \
	X(INVALID_SELECTORS, 39)                                 \
	X(UNACCEPTABLE_ADDRESSES, 40)  /* RFC 4555 */            \
	X(UNEXPECTED_NAT_DETECTED, 41) /* RFC 4555 */            \
	X(TEMPORARY_FAILURE, 43)                                 \
	X(CHILD_SA_NOT_FOUND, 44)                                \
	X(STATE_NOT_FOUND, 47) /* RFC 9370 */                    \
	X(INITIAL_CONTACT, 16384)                                \
	X(SET_WINDOW_SIZE, 16385)                                \
	X(ADDITIONAL_TS_POSSIBLE, 16386)                         \
	X(IPCOMP_SUPPORTED, 16387)                               \
	X(NAT_DETECTION_SOURCE_IP, 16388)                        \
	X(NAT_DETECTION_DESTINATION_IP, 16389)                   \
	X(COOKIE, 16390)                                         \
	X(USE_TRANSPORT_MODE, 16391)                             \
	X(HTTP_CERT_LOOKUP_SUPPORTED, 16392)                     \
	X(REKEY_SA, 16393)                                       \
	X(ESP_TFC_PADDING_NOT_SUPPORTED, 16394)                  \
	X(NON_FIRST_FRAGMENTS_ALSO, 16395)                       \
	X(MOBIKE_SUPPORTED, 16396)                /* RFC 4555 */ \
	X(ADDITIONAL_IP4_ADDRESS, 16397)          /* RFC 4555 */ \
	X(ADDITIONAL_IP6_ADDRESS, 16398)          /* RFC 4555 */ \
	X(NO_ADDITIONAL_ADDRESSES, 16399)         /* RFC 4555 */ \
	X(UPDATE_SA_ADDRESSES, 16400)             /* RFC 4555 */ \
	X(COOKIE2, 16401)                         /* RFC 4555 */ \
	X(NO_NATS_ALLOWED, 16402)                 /* RFC 4555 */ \
	X(AUTH_LIFETIME, 16403)                   /* RFC 4478 */ \
	X(MULTIPLE_AUTH_SUPPORTED, 16404)         /* RFC 4739 */ \
	X(ANOTHER_AUTH_FOLLOWS, 16405)            /* RFC 4739 */ \
	X(REDIRECT_SUPPORTED, 16406)              /* RFC 5685 */ \
	X(REDIRECT, 16407)                        /* RFC 5685 */ \
	X(REDIRECTED_FROM, 16408)                 /* RFC 5685 */ \
	X(EAP_ONLY_AUTHENTICATION, 16417)         /* RFC 5998 */ \
	X(CHILDLESS_IKEV2_SUPPORTED, 16418)       /* RFC 6023 */ \
	X(QUICK_CRASH_DETECTION, 16419)           /* RFC 6290 */ \
	X(IKEV2_MESSAGE_ID_SYNC_SUPPORTED, 16420) /* RFC 6311 */ \
	X(FRAGMENTATION_SUPPORTED, 16430)         /* RFC 7383 */ \
	X(SIGNATURE_HASH_ALGORITHMS, 16431)       /* RFC 7427 */ \
	X(USE_PPK, 16435)                         /* RFC 8784 */ \
	X(PPK_IDENTITY, 16436)                    /* RFC 8784 */ \
	X(NO_PPK_AUTH, 16437)                     /* RFC 8784 */ \
	X(INTERMEDIATE_EXCHANGE_SUPPORTED, 16438) /* RFC 9242 */ \
	X(ADDITIONAL_KEY_EXCHANGE, 16441)         /* RFC 9370 */

enum ike_notify_type {
#define IKE_NOTIFY_ENUM(symbol, number) IKE_N_##symbol = number,
	IKE_NOTIFIES(IKE_NOTIFY_ENUM)
#undef IKE_NOTIFY_ENUM
};

/* Names for logs, as the RFCs write them ("IKE_AUTH", "TSi", "NO_PROPOSAL_CHOSEN"). NULL: not
 * known, the caller writes the number. */
const char *ike_exchange_name(unsigned int exchange);
const char *ike_payload_name(unsigned int payload);
const char *ike_notify_name(unsigned int notify);

#endif
