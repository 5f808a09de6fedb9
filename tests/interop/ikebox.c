// SPDX-License-Identifier: BSD-2-Clause
/*
 * iked's own messages for judges in other languages (ike.py).
 *
 *	ikebox write     every message, one a line: KEYS LINE | PLAIN NAME TYPES HEX
 *	                 | SEALED SUITE NAME TYPES TEXT HEX[ HEX...]
 *	ikebox open      reads lines SUITE HEX, writes the text in hex, or "refused"
 *
 * TYPES: payload types, comma between. The keys of SUITE, both directions, are the table's line.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/dh.h"
#include "iked/keylog.h"
#include "iked/out.h"

static const char *const suites[] = {
	"aes128gcm16-prfsha256-x25519",
	"aes256gcm16-prfsha384-ecp256",
	"chacha20poly1305-prfsha256-x448",
	"aes128-sha256-modp2048",
	"aes256-sha384-ecp384",
	"aes256-sha512-ecp521",
};

#define SUITES (sizeof(suites) / sizeof(suites[0]))

static void die(const char *what)
{
	fprintf(stderr, "ikebox: %s\n", what);
	exit(1);
}

static struct proposal chosen_of(unsigned int suite)
{
	struct proposals list = {0};
	char why[200];

	if (proposals_add(&list, PROPOSAL_IKE, suites[suite], why, sizeof(why)))
		die(why);
	return list.p[0];
}

/* Keys that are the same in each run: of nonces and a shared secret of letters. */
static struct ike_keys keys_of(unsigned int suite)
{
	struct proposal chosen = chosen_of(suite);
	struct keymat_in in = {
		.nonce_i = BYTES("0123456789abcdef", 16),
		.nonce_r = BYTES("fedcba9876543210", 16),
		.spi_i = htobe64(0x1000 + suite),
		.spi_r = htobe64(0x2000 + suite),
		.shared = BYTES("a secret of thirty-two letters..", 32),
	};
	struct ike_keys keys;

	if (keymat_ike(&chosen, &in, &keys))
		die("keymat_ike");
	return keys;
}

static struct ike_header header_of(unsigned int suite, __u8 exchange, __u8 flags, __u32 id)
{
	struct ike_header h = {.exchange = exchange, .flags = flags, .id = id};

	h.spi_i = htobe64(0x1000 + suite);
	if (exchange != IKE_SA_INIT || flags & IKE_FLAG_RESPONSE)
		h.spi_r = htobe64(0x2000 + suite);
	return h;
}

static void hex(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		printf("%02x", b.data[i]);
}

static void types(const struct ike_out *m)
{
	__u8 type = m->first;
	size_t at = 0;

	while (type && at + 4 <= m->text.len) {
		printf("%s%u", at ? "," : "", type);
		type = m->text.data[at];
		at += (size_t)(m->text.data[at + 2] << 8 | m->text.data[at + 3]);
	}
	printf("%s", at ? "" : "-");
}

/* ------------------------------------------------------------------ writing */

static void put_plain(struct ike_out *m, const char *name)
{
	struct ike_packets *packets;

	printf("PLAIN %s ", name);
	types(m);
	printf(" ");
	if (ike_out_plain(m, &packets))
		die("ike_out_plain");
	hex(ike_packet(packets, 0));
	printf("\n");
	free(packets);
	ike_out_free(m);
}

static void put_sealed(struct ike_out *m, unsigned int suite, struct ike_keys *keys,
		       const char *name, unsigned int fragment)
{
	struct sk_key *key = m->h.flags & IKE_FLAG_INITIATOR ? &keys->i : &keys->r;
	struct ike_packets *packets;

	printf("SEALED %u %s ", suite, name);
	types(m);
	printf(" ");
	hex(writer_view(&m->text));
	printf("%s", m->text.len ? "" : "-");
	if (ike_out_sealed(m, key, fragment, &packets))
		die("ike_out_sealed");
	for (unsigned int i = 0; i < packets->n; i++) {
		printf(" ");
		hex(ike_packet(packets, i));
	}
	printf("\n");
	free(packets);
	ike_out_free(m);
}

static void init_payloads(struct ike_out *m, unsigned int suite)
{
	struct proposals list = {0};
	struct proposal chosen = chosen_of(suite);
	__u16 group = proposal_id(&chosen, TRANSFORM_KE);
	struct dh *dh;
	static const __u8 addr[4] = {192, 0, 2, 1}, addr6[16] = {0x20, 0x01, 0x0d, 0xb8};

	if (dh_new(group, &dh))
		die("dh_new");
	if (m->h.flags & IKE_FLAG_RESPONSE) {
		ike_out_chosen(m, &chosen);
	} else {
		proposals_default(&list, PROPOSAL_IKE);
		ike_out_sa(m, &list);
	}
	ike_out_ke(m, group, dh_public(dh));
	ike_out_nonce(m, BYTES("0123456789abcdef0123456789abcdef", 32));
	ike_out_nat(m, IKE_N_NAT_DETECTION_SOURCE_IP, BYTES_OF(addr), htons(500));
	ike_out_nat(m, IKE_N_NAT_DETECTION_DESTINATION_IP, BYTES_OF(addr6), htons(500));
	ike_out_status(m, IKE_N_FRAGMENTATION_SUPPORTED);
	ike_out_hashes(m, 0x3c);
	ike_out_vendor(m, BYTES("xipsec", 6));
	dh_free(dh);
}

static struct ident *id_of(const char *text)
{
	struct ident *id;
	char why[200];

	if (ident_parse(text, &id, why, sizeof(why)))
		die(why);
	return id;
}

static void child_payloads(struct ike_out *m, bool ke)
{
	struct ts_list ts = {.n = 2};
	struct proposals esp = {0};
	char why[100];

	if (proposals_add(&esp, PROPOSAL_ESP, "default", why, sizeof(why)) ||
	    proposals_add(&esp, PROPOSAL_ESP, "aes128gcm16-x25519-ecp256", why, sizeof(why)))
		die(why);
	for (unsigned int i = 0; i < esp.n; i++) {
		esp.p[i].spi_len = 4;
		memcpy(esp.p[i].spi, "\xc0\1\2\3", 4);
	}
	ts.ts[0] = ts_of_prefix(XIPSEC_FAMILY_IP4, &(struct xipsec_addr){.byte = {10, 1}}, 16);
	ts.ts[0].proto = 6;
	ts.ts[0].port_lo = ts.ts[0].port_hi = 443;
	ts.ts[1] = ts_of_prefix(XIPSEC_FAMILY_IP6, &(struct xipsec_addr){.byte = {0xfd, 1}}, 64);
	ike_out_sa(m, &esp);
	if (ke) {
		ike_out_nonce(m, BYTES("0123456789abcdef0123456789abcdef", 32));
		ike_out_ke(m, KE_X25519, BYTES("0123456789abcdef0123456789abcdef", 32));
	}
	ike_out_ts(m, IKE_PL_TSI, &ts);
	ike_out_ts(m, IKE_PL_TSR, &ts);
}

/* Self-signed, with a key of 4096 bits: long enough to be cut. */
static struct bytes certificate(void)
{
	static struct bytes der;
	X509 *cert = der.data ? NULL : X509_new();
	EVP_PKEY *key = cert ? EVP_RSA_gen(4096) : NULL;
	unsigned char *out = NULL;
	X509_NAME *name;

	if (!cert)
		return der;
	name = X509_get_subject_name(cert);
	X509_set_version(cert, 2);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const __u8 *)"moon", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	if (X509_sign(cert, key, EVP_sha256()) <= 0)
		die("X509_sign");
	der.len = (size_t)i2d_X509(cert, &out);
	der.data = out;
	X509_free(cert);
	EVP_PKEY_free(key);
	return der;
}

static void auth_payloads(struct ike_out *m)
{
	static const char *const ids[] = {"C=CH, O=xipsec, CN=moon", "moon.example.org"};
	static const __u8 hashes[60] = {1};
	static const __u8 auth[] = {7, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, [71] = 1};
	struct ident *id = id_of(ids[0]), *other = id_of(ids[1]);

	ike_out_id(m, IKE_PL_IDI, id);
	ike_out_cert(m, IKE_CERT_X509_SIGNATURE, certificate());
	ike_out_status(m, IKE_N_INITIAL_CONTACT);
	ike_out_certreq(m, IKE_CERT_X509_SIGNATURE, BYTES_OF(hashes));
	ike_out_id(m, IKE_PL_IDR, other);
	ike_out_auth(m, IKE_AUTH_SIGNATURE, BYTES_OF(auth));
	child_payloads(m, false);
	ike_out_status(m, IKE_N_USE_TRANSPORT_MODE);
	free(id);
	free(other);
}

static void informational(struct ike_out *m)
{
	const __be32 spis[] = {htonl(0xc0010203), htonl(0xc0010204)};

	ike_out_delete(m, PROPOSAL_ESP, spis, 2);
	ike_out_notify(m, PROPOSAL_ESP, BYTES_OF(spis[0]), IKE_N_CHILD_SA_NOT_FOUND, BYTES_NONE);
	ike_out_notify(m, 0, BYTES_NONE, IKE_N_INVALID_KE_PAYLOAD, BYTES("\0\x1f", 2));
}

static void write_suite(unsigned int suite)
{
	struct ike_keys keys = keys_of(suite);
	char line[KEYLOG_LINE_MAX];
	struct ike_out m = {0};
	struct ike_header h;

	if (keylog_ike(htobe64(0x1000 + suite), htobe64(0x2000 + suite), &keys, line,
		       sizeof(line)) > 0)
		printf("KEYS %s", line);
	h = header_of(suite, IKE_SA_INIT, IKE_FLAG_INITIATOR, 0);
	ike_out_open(&m, &h);
	init_payloads(&m, suite);
	put_plain(&m, "init-request");
	h = header_of(suite, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0);
	ike_out_open(&m, &h);
	init_payloads(&m, suite);
	put_plain(&m, "init-response");
	for (unsigned int fragment = 0; fragment <= 600; fragment += 600) {
		h = header_of(suite, IKE_AUTH, IKE_FLAG_INITIATOR, 1 + !!fragment);
		ike_out_open(&m, &h);
		auth_payloads(&m);
		put_sealed(&m, suite, &keys, fragment ? "auth-fragments" : "auth", fragment);
	}
	h = header_of(suite, CREATE_CHILD_SA, 0, 0);
	ike_out_open(&m, &h);
	child_payloads(&m, true);
	put_sealed(&m, suite, &keys, "create-child", 1280);
	h = header_of(suite, INFORMATIONAL, IKE_FLAG_RESPONSE, 3);
	ike_out_open(&m, &h);
	informational(&m);
	put_sealed(&m, suite, &keys, "informational", 1280);
	h = header_of(suite, INFORMATIONAL, IKE_FLAG_INITIATOR, 4);
	ike_out_open(&m, &h);
	ike_out_delete_ike(&m);
	put_sealed(&m, suite, &keys, "delete-ike", 1280);
	h = header_of(suite, INFORMATIONAL, IKE_FLAG_INITIATOR, 5);
	ike_out_open(&m, &h);
	put_sealed(&m, suite, &keys, "empty", 1280);
}

/* ------------------------------------------------------------------ opening */

static size_t unhex(const char *text, __u8 *to, size_t size)
{
	size_t n = 0;
	unsigned int byte;

	while (n < size && sscanf(text + 2 * n, "%2x", &byte) == 1)
		to[n++] = (__u8)byte;
	return n;
}

static int open_all(void)
{
	static char line[140000];
	static __u8 data[65536];
	unsigned int suite;
	int at;

	while (fgets(line, sizeof(line), stdin)) {
		struct writer text = {0};
		struct ike_keys keys;
		struct ike_msg msg;
		size_t n;

		if (sscanf(line, "%u %n", &suite, &at) != 1 || suite >= SUITES)
			die("expected SUITE HEX");
		n = unhex(line + at, data, sizeof(data));
		keys = keys_of(suite);
		if (ike_msg_parse(BYTES(data, n), &msg, NULL) || !msg.sk.here ||
		    sk_open(msg.h.flags & IKE_FLAG_INITIATOR ? &keys.i : &keys.r, &msg, &text)) {
			printf("refused\n");
		} else {
			hex(writer_view(&text));
			printf("%s\n", text.len ? "" : "-");
		}
		fflush(stdout);
		writer_free(&text);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "open"))
		return open_all();
	if (argc != 2 || strcmp(argv[1], "write"))
		die("usage: ikebox write | open");
	for (unsigned int suite = 0; suite < SUITES; suite++)
		write_suite(suite);
	return 0;
}
