/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages for tests of iked/: one with every payload, and memory of just the right size. */
#ifndef TESTS_UNIT_IKE_FIXTURE_H
#define TESTS_UNIT_IKE_FIXTURE_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iked/out.h"

#define SPI_I 0x1122334455667788ULL
#define SPI_R 0x99aabbccddeeff00ULL

static inline struct ike_header ike_test_header(__u8 exchange, __u8 flags, __u32 id)
{
	struct ike_header h = {.exchange = exchange, .flags = flags, .id = id};

	h.spi_i = htobe64(SPI_I);
	h.spi_r = htobe64(SPI_R);
	return h;
}

/* A copy of n bytes that ASan guards at both ends: free() it. */
static inline __u8 *exact_copy(const void *from, size_t n)
{
	__u8 *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	if (n)
		memcpy(copy, from, n);
	return copy;
}

static inline struct proposals proposals_of(enum proposal_protocol protocol, const char *word)
{
	struct proposals list = {0};
	char why[200];

	if (proposals_add(&list, protocol, word, why, sizeof(why)))
		fail_msg("%s: %s", word, why);
	return list;
}

/* The first proposal of `word` as a chosen one. */
static inline struct proposal chosen_of(enum proposal_protocol protocol, const char *word)
{
	struct proposals list = proposals_of(protocol, word);

	return list.p[0];
}

/* Keys of the pattern `seed`, seed + 1, … */
static inline struct sk_key sk_key_of(const char *word, __u8 seed)
{
	struct proposal chosen = chosen_of(PROPOSAL_IKE, word);
	__u8 bytes[SK_ENCR_KEY_MAX + SK_INTEG_KEY_MAX], encr, integ;
	struct sk_key key;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (__u8)(seed + i);
	assert_int_equal(sk_key_lengths(&chosen, &encr, &integ), 0);
	assert_int_equal(sk_key_init(&key, &chosen, BYTES(bytes, encr), BYTES(bytes + encr, integ)),
			 0);
	return key;
}

/* What ike_out_*() can write, each once but certificates, notifies and deletes. */
static inline void fill_all(struct ike_out *m)
{
	static const __u8 nonce[32] = {1, 2, 3}, public[32] = {9, 8, 7}, auth[64] = {5};
	static const __u8 addr[4] = {192, 0, 2, 1}, cert[40] = {0x30, 38}, hashes[40] = {6};
	const __be32 spis[2] = {htonl(0x01020304), htonl(0x05060708)};
	struct proposals list = proposals_of(PROPOSAL_IKE, "default");
	struct ts_list ts = {.n = 2};
	struct ident *id = ident_new(IKE_ID_FQDN, BYTES("moon.example.org", 16));

	assert_non_null(id);
	ts.ts[0] = ts_of_prefix(XIPSEC_FAMILY_IP4, &(struct xipsec_addr){.byte = {10, 1}}, 16);
	ts.ts[1] = ts_of_prefix(XIPSEC_FAMILY_IP6, &(struct xipsec_addr){.byte = {0xfd, 1}}, 64);
	ike_out_id(m, IKE_PL_IDI, id);
	ike_out_cert(m, IKE_CERT_X509_SIGNATURE, BYTES_OF(cert));
	ike_out_cert(m, IKE_CERT_X509_SIGNATURE, BYTES_OF(cert));
	ike_out_certreq(m, IKE_CERT_X509_SIGNATURE, BYTES_OF(hashes));
	ike_out_id(m, IKE_PL_IDR, id);
	ike_out_auth(m, IKE_AUTH_PSK, BYTES_OF(auth));
	ike_out_sa(m, &list);
	ike_out_ke(m, KE_X25519, BYTES_OF(public));
	ike_out_nonce(m, BYTES_OF(nonce));
	ike_out_status(m, IKE_N_INITIAL_CONTACT);
	ike_out_notify(m, PROPOSAL_ESP, BYTES_OF(spis[0]), IKE_N_REKEY_SA, BYTES_NONE);
	ike_out_nat(m, IKE_N_NAT_DETECTION_SOURCE_IP, BYTES_OF(addr), htons(500));
	ike_out_hashes(m, 1u << IKE_HASH_SHA256 | 1u << IKE_HASH_IDENTITY);
	ike_out_delete(m, PROPOSAL_ESP, spis, 2);
	ike_out_delete_ike(m);
	ike_out_vendor(m, BYTES("vendor", 6));
	ike_out_ts(m, IKE_PL_TSI, &ts);
	ike_out_ts(m, IKE_PL_TSR, &ts);
	ike_out_payload(m, 200, false, BYTES("?", 1));
	free(id);
}

#endif
