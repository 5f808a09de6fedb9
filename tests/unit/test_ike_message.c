// SPDX-License-Identifier: BSD-2-Clause
/* Messages (RFC 7296 3): what is built is read as it was meant, what is cut or wrong is refused
 * with the notify that answers it. */
#include "tests/unit/ike_fixture.h"

#include <errno.h>

#include "iked/payload_sa.h"

#define ALL_PRINTED                                                                  \
	"IDi CERT CERT CERTREQ IDr AUTH SA KE Nonce N(INITIAL_CONTACT) N(REKEY_SA) " \
	"N(NAT_DETECTION_SOURCE_IP) N(SIGNATURE_HASH_ALGORITHMS) D D V TSi TSr (200)"

static struct ike_packets *plain_all(__u8 exchange, __u8 flags)
{
	struct ike_header h = ike_test_header(exchange, flags, 7);
	struct ike_packets *packets = NULL;
	struct ike_out m = {0};

	ike_out_open(&m, &h);
	fill_all(&m);
	assert_int_equal(ike_out_plain(&m, &packets), 0);
	assert_int_equal(packets->n, 1);
	ike_out_free(&m);
	return packets;
}

/* ------------------------------------------------------------------ header */

static void header_bytes(void **state)
{
	static const __u8 want[] = {
		0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
		0xdd, 0xee, 0xff, 0x00, 41,   0x20, 37,   0x28, 0x01, 0x02, 0x03, 0x04,
		0,    0,    0,    36,   0,    0,    0,    8,    0,    0,    0x40, 0x00,
	};
	struct ike_header h =
		ike_test_header(INFORMATIONAL, IKE_FLAG_RESPONSE | IKE_FLAG_INITIATOR, 0x01020304);
	struct ike_packets *packets;
	struct ike_header got;
	struct ike_out m = {0};

	ike_out_open(&m, &h);
	ike_out_status(&m, IKE_N_INITIAL_CONTACT);
	assert_int_equal(ike_out_plain(&m, &packets), 0);
	assert_int_equal(ike_packet(packets, 0).len, sizeof(want));
	assert_memory_equal(ike_packet(packets, 0).data, want, sizeof(want));
	assert_null(ike_packet(packets, 1).data);

	assert_int_equal(ike_header_parse(ike_packet(packets, 0), &got), 0);
	assert_true(got.spi_i == h.spi_i && got.spi_r == h.spi_r);
	assert_int_equal(got.id, 0x01020304);
	assert_int_equal(got.len, 36);
	assert_int_equal(got.next, IKE_PL_NOTIFY);
	assert_int_equal(got.major, 2);
	assert_int_equal(got.minor, 0);
	assert_int_equal(got.exchange, INFORMATIONAL);
	assert_int_equal(got.flags, IKE_FLAG_RESPONSE | IKE_FLAG_INITIATOR);
	assert_true(ike_is_response(&got));
	free(packets);
	ike_out_free(&m);
}

/* RFC 7296 2.5, 3.1: reserved bits are ignored, and so is a higher minor version. */
static void header_is_liberal(void **state)
{
	__u8 data[28] = {[16] = 0, [17] = 0x2f, [18] = 37, [19] = 0xd7, [27] = 28};
	struct ike_header h;
	struct ike_msg msg;
	struct ike_fault fault;

	assert_int_equal(ike_msg_parse(BYTES_OF(data), &msg, &fault), 0);
	assert_int_equal(msg.h.flags, IKE_FLAG_VERSION);
	assert_int_equal(msg.h.minor, 15);
	assert_int_equal(msg.n_payloads, 0);
	{ /* what is reserved in a payload's head and in ID is not looked at */
		__u8 with_id[28 + 12] = {
			[16] = IKE_PL_IDI, [17] = 0x20,        [18] = 37,  [27] = 40,  [29] = 0x7f,
			[31] = 12,         [32] = IKE_ID_FQDN, [33] = 'x', [34] = 'y', [35] = 'z',
			[36] = 'm',        [37] = 'o',         [38] = 'o', [39] = 'n'};

		assert_int_equal(ike_msg_parse(BYTES_OF(with_id), &msg, &fault), 0);
		assert_int_equal(msg.id_i.data.len, 4);
		assert_memory_equal(msg.id_i.data.data, "moon", 4);
		assert_int_equal(msg.id_i.body.len, 8); /* AUTH is over all of it */
	}
	data[17] = 0x10; /* IKEv1: the header is read, the message is not */
	assert_int_equal(ike_header_parse(BYTES_OF(data), &h), 0);
	assert_int_equal(h.major, 1);
	assert_int_equal(ike_msg_parse(BYTES_OF(data), &msg, &fault), -EBADMSG);
	assert_int_equal(fault.notify, IKE_N_INVALID_MAJOR_VERSION);
	data[17] = 0x30;
	assert_int_equal(ike_msg_parse(BYTES_OF(data), &msg, &fault), -EBADMSG);
	assert_int_equal(fault.notify, IKE_N_INVALID_MAJOR_VERSION);
	assert_string_equal(fault.what, "version 3.0");
	data[17] = 0x20;
	data[27] = 27; /* shorter than itself */
	assert_int_equal(ike_header_parse(BYTES_OF(data), &h), -EBADMSG);
	data[27] = 29; /* longer than the datagram */
	assert_int_equal(ike_header_parse(BYTES_OF(data), &h), -EBADMSG);
}

/* ------------------------------------------------------------------ payloads */

static void check_all(const struct ike_msg *msg)
{
	const struct ike_notify *n;
	struct proposals list;
	struct ts_list ts;

	assert_int_equal(msg->id_i.type, IKE_ID_FQDN);
	assert_memory_equal(msg->id_i.data.data, "moon.example.org", 16);
	assert_int_equal(msg->id_i.body.len, 20);
	assert_ptr_equal(msg->id_i.body.data + 4, msg->id_i.data.data);
	assert_int_equal(msg->id_r.data.len, 16);
	assert_int_equal(msg->n_cert, 2);
	assert_int_equal(msg->cert[1].encoding, IKE_CERT_X509_SIGNATURE);
	assert_int_equal(msg->cert[1].data.len, 40);
	assert_int_equal(msg->n_certreq, 1);
	assert_int_equal(msg->certreq[0].data.len, 40);
	assert_int_equal(msg->auth.method, IKE_AUTH_PSK);
	assert_int_equal(msg->auth.data.len, 64);
	assert_int_equal(payload_sa_parse(msg->sa, &list, NULL), 0);
	assert_int_equal(list.n, 2);
	assert_int_equal(msg->ke.group, KE_X25519);
	assert_int_equal(msg->ke.data.data[0], 9);
	assert_int_equal(msg->nonce.len, 32);
	assert_int_equal(msg->n_notify, 4);
	assert_null(ike_msg_error(msg));
	n = ike_msg_notify(msg, IKE_N_REKEY_SA);
	assert_int_equal(n->protocol, PROPOSAL_ESP);
	assert_memory_equal(n->spi.data, "\1\2\3\4", 4);
	assert_int_equal(n->data.len, 0);
	n = ike_msg_notify(msg, IKE_N_SIGNATURE_HASH_ALGORITHMS);
	assert_int_equal(ike_notify_hashes(n), 1u << IKE_HASH_SHA256 | 1u << IKE_HASH_IDENTITY);
	assert_int_equal(ike_msg_notify(msg, IKE_N_NAT_DETECTION_SOURCE_IP)->data.len, 20);
	assert_null(ike_msg_notify(msg, IKE_N_COOKIE));
	assert_int_equal(msg->n_del, 2);
	assert_true(ike_delete_spi(&msg->del[0], 1) == htonl(0x05060708));
	assert_true(ike_delete_spi(&msg->del[0], 2) == 0);
	assert_int_equal(msg->del[1].protocol, PROPOSAL_IKE);
	assert_int_equal(msg->del[1].n, 0);
	assert_true(ike_delete_spi(&msg->del[1], 0) == 0);
	assert_int_equal(msg->n_vendor, 1);
	assert_int_equal(payload_ts_parse(msg->ts_i, &ts, NULL), 0);
	assert_int_equal(ts.n, 2);
	assert_int_equal(ts.ts[1].family, XIPSEC_FAMILY_IP6);
	assert_non_null(msg->ts_r.data);
	assert_null(msg->eap.data);
	assert_int_equal(msg->n_unknown, 1);
}

static void round_trip(void **state)
{
	struct ike_packets *packets = plain_all(IKE_AUTH, IKE_FLAG_INITIATOR);
	struct ike_fault fault;
	struct ike_msg msg;
	char text[400];

	if (ike_msg_parse(ike_packet(packets, 0), &msg, &fault))
		fail_msg("%s", fault.what);
	check_all(&msg);
	ike_msg_print(&msg, text, sizeof(text));
	assert_string_equal(text, "IKE_AUTH request 7: " ALL_PRINTED);
	assert_int_equal(ike_msg_print(&msg, text, 10), strlen("IKE_AUTH request 7: " ALL_PRINTED));
	assert_string_equal(text, "IKE_AUTH ");
	free(packets);
}

/* Cut anywhere, with the header's length made to fit: refused (each payload says how long it is),
 * and nothing is read behind the end. */
static void cut_at_each_byte(void **state)
{
	struct ike_packets *packets = plain_all(IKE_AUTH, 0);
	struct bytes whole = ike_packet(packets, 0);
	struct ike_msg msg, before;

	memset(&before, 0x5a, sizeof(before));
	for (size_t n = 0; n < whole.len; n++) {
		__u8 *copy = exact_copy(whole.data, n);
		struct ike_fault fault = {0};

		msg = before;
		assert_int_equal(ike_msg_parse(BYTES(copy, n), &msg, &fault), -EBADMSG);
		if (n >= IKE_HEADER_LEN) {
			copy[26] = (__u8)(n >> 8);
			copy[27] = (__u8)n;
			assert_int_equal(ike_msg_parse(BYTES(copy, n), &msg, &fault), -EBADMSG);
			assert_int_equal(fault.notify, IKE_N_INVALID_SYNTAX);
		}
		assert_true(*fault.what);
		assert_memory_equal(&msg, &before, sizeof(msg));
		free(copy);
	}
	free(packets);
}

/* Bytes behind the message's own end are not looked at, bytes behind the last payload are wrong. */
static void too_long(void **state)
{
	struct ike_packets *packets = plain_all(IKE_AUTH, 0);
	struct bytes whole = ike_packet(packets, 0);
	__u8 *copy = malloc(whole.len + 3);
	struct ike_fault fault;
	struct ike_msg msg;

	memcpy(copy, whole.data, whole.len);
	memset(copy + whole.len, 0xff, 3);
	assert_int_equal(ike_msg_parse(BYTES(copy, whole.len + 3), &msg, &fault), 0);
	assert_int_equal(msg.raw.len, whole.len);
	copy[27] += 3;
	assert_int_equal(ike_msg_parse(BYTES(copy, whole.len + 3), &msg, &fault), -EBADMSG);
	assert_string_equal(fault.what, "3 bytes behind the last payload");
	free(copy);
	free(packets);
}

/* A message of one or two payloads of raw bytes. */
static int parse_raw(__u8 type, bool critical, struct bytes body, __u8 second,
		     struct ike_fault *fault, struct ike_msg *msg)
{
	struct ike_header h = ike_test_header(INFORMATIONAL, 0, 0);
	struct ike_packets *packets;
	struct ike_out m = {0};
	__u8 *copy;
	int err;

	ike_out_open(&m, &h);
	ike_out_payload(&m, type, critical, body);
	if (second)
		ike_out_payload(&m, second, critical, body);
	assert_int_equal(ike_out_plain(&m, &packets), 0);
	copy = exact_copy(ike_packet(packets, 0).data, ike_packet(packets, 0).len);
	err = ike_msg_parse(BYTES(copy, ike_packet(packets, 0).len), msg, fault);
	free(copy);
	free(packets);
	ike_out_free(&m);
	return err;
}

static void critical_payloads(void **state)
{
	struct ike_fault fault;
	struct ike_msg msg;

	for (unsigned int type = 1; type < 256; type++) {
		bool sk = type == IKE_PL_SK || type == IKE_PL_SKF;
		bool known = ike_payload_name(type);
		int err;

		if (sk)
			continue;
		err = parse_raw((__u8)type, true, BYTES("", 0), 0, &fault, &msg);
		if (known) {
			/* its critical bit says nothing (RFC 7296 2.5) */
			assert_true(!err || fault.notify == IKE_N_INVALID_SYNTAX);
			continue;
		}
		assert_int_equal(err, -EBADMSG);
		assert_int_equal(fault.notify, IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD);
		assert_int_equal(fault.data_len, 1);
		assert_int_equal(fault.data[0], type);
		assert_int_equal(parse_raw((__u8)type, false, BYTES("", 0), 0, &fault, &msg), 0);
		assert_int_equal(msg.n_unknown, 1);
		assert_true(msg.seen == 0);
	}
}

/* Which may stand twice, and what is too short. */
static void twice_and_shorter(void **state)
{
	static const struct {
		__u8 type;
		size_t min;
		bool twice;
	} rules[] = {
		{IKE_PL_SA, 8, false},    {IKE_PL_KE, 5, false},     {IKE_PL_IDI, 4, false},
		{IKE_PL_IDR, 4, false},   {IKE_PL_CERT, 2, true},    {IKE_PL_CERTREQ, 1, true},
		{IKE_PL_AUTH, 4, false},  {IKE_PL_NONCE, 16, false}, {IKE_PL_NOTIFY, 4, true},
		{IKE_PL_DELETE, 4, true}, {IKE_PL_VENDOR, 0, true},  {IKE_PL_TSI, 4, false},
		{IKE_PL_TSR, 4, false},   {IKE_PL_CP, 4, false},     {IKE_PL_EAP, 4, false},
	};
	static const __u8 zeros[300];
	struct ike_fault fault;
	struct ike_msg msg;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		__u8 type = rules[i].type;

		for (size_t n = 0; n <= rules[i].min; n++) {
			int err = parse_raw(type, false, BYTES(zeros, n), 0, &fault, &msg);

			assert_int_equal(err, n == rules[i].min ? 0 : -EBADMSG);
		}
		assert_true(msg.seen == 1ULL << (type - 33));
		assert_int_equal(
			parse_raw(type, false, BYTES(zeros, rules[i].min), type, &fault, &msg),
			rules[i].twice ? 0 : -EBADMSG);
	}
	assert_int_equal(parse_raw(IKE_PL_NONCE, false, BYTES(zeros, 256), 0, &fault, &msg), 0);
	assert_int_equal(parse_raw(IKE_PL_NONCE, false, BYTES(zeros, 257), 0, &fault, &msg),
			 -EBADMSG);
	assert_string_equal(fault.what, "Nonce payload: 257 bytes, not 16 to 256");
}

static void notifies_and_deletes(void **state)
{
	static const struct {
		__u8 type, len;
		__u8 body[16];
		int err;
	} cases[] = {
		{IKE_PL_NOTIFY, 4, {3, 4, 0, 11}, -EBADMSG}, /* the SPI is missing */
		{IKE_PL_NOTIFY, 8, {3, 4, 0, 11, 1, 2, 3, 4}, 0},
		{IKE_PL_NOTIFY, 8, {3, 5, 0, 11, 1, 2, 3, 4}, -EBADMSG},
		{IKE_PL_DELETE, 8, {3, 4, 0, 1, 1, 2, 3, 4}, 0},
		{IKE_PL_DELETE, 8, {3, 4, 0, 2, 1, 2, 3, 4}, -EBADMSG},
		{IKE_PL_DELETE, 9, {3, 4, 0, 1, 1, 2, 3, 4, 5}, -EBADMSG},
		{IKE_PL_DELETE, 8, {3, 2, 0, 2, 1, 2, 3, 4}, -EBADMSG}, /* SPIs of two bytes */
		{IKE_PL_DELETE, 4, {3, 0, 0xff, 0xff}, -EBADMSG},
		{IKE_PL_DELETE, 4, {1, 0, 0, 0}, 0},
		{IKE_PL_DELETE, 4, {1, 0, 0, 1}, 0}, /* some count the IKE SA */
		{IKE_PL_DELETE, 12, {1, 8, 0, 1}, -EBADMSG},
		{IKE_PL_DELETE, 6, {9, 2, 0, 1, 1, 2}, 0}, /* a protocol to come */
	};
	struct ike_fault fault;
	struct ike_msg msg;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (parse_raw(cases[i].type, false, BYTES(cases[i].body, cases[i].len), 0, &fault,
			      &msg) != cases[i].err)
			fail_msg("case %zu: %s", i, fault.what);
}

/* Every bound of struct ike_msg. */
static void bounded(void **state)
{
	static const struct {
		__u8 type;
		unsigned int max;
		bool refused;
	} bounds[] = {
		{IKE_PL_NOTIFY, IKE_NOTIFY_MAX, true},  {IKE_PL_DELETE, IKE_DELETE_MAX, true},
		{IKE_PL_CERT, IKE_CERT_MAX, true},      {IKE_PL_CERTREQ, IKE_CERTREQ_MAX, false},
		{IKE_PL_VENDOR, IKE_VENDOR_MAX, false}, {200, IKE_PAYLOADS_MAX, true},
	};
	static const __u8 body[4] = {1};

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		struct ike_header h = ike_test_header(INFORMATIONAL, 0, 0);
		struct ike_out m = {0};
		struct ike_packets *packets;
		struct ike_fault fault;
		struct ike_msg msg;

		ike_out_open(&m, &h);
		for (unsigned int n = 0; n < bounds[i].max; n++)
			ike_out_payload(&m, bounds[i].type, false, BYTES_OF(body));
		assert_int_equal(ike_out_plain(&m, &packets), 0);
		assert_int_equal(ike_msg_parse(ike_packet(packets, 0), &msg, &fault), 0);
		free(packets);
		ike_out_payload(&m, bounds[i].type, false, BYTES_OF(body));
		assert_int_equal(ike_out_plain(&m, &packets), 0);
		assert_int_equal(ike_msg_parse(ike_packet(packets, 0), &msg, &fault),
				 bounds[i].refused ? -EBADMSG : 0);
		free(packets);
		ike_out_free(&m);
	}
}

static void notify_data(void **state)
{
	struct ike_notify n = {.data = BYTES("\0\x1f", 2)};

	assert_int_equal(ike_notify_group(&n), 31);
	n.data = BYTES("\0\x1f\0", 3);
	assert_int_equal(ike_notify_group(&n), 0);
	n.data = BYTES("\0", 1);
	assert_int_equal(ike_notify_group(&n), 0);
	n.data = BYTES("\0\2\0\4\0\1\0\x63\7\2\0", 11); /* also unknown ones, and half of one */
	assert_int_equal(ike_notify_hashes(&n), 1 << 2 | 1 << 4 | 1 << 1);
	n.data = BYTES_NONE;
	assert_int_equal(ike_notify_hashes(&n), 0);
}

/* RFC 7296 3.10.1: below 16384 it is an error, whether we know it or not. */
static void errors(void **state)
{
	static const struct {
		__u16 first, second, error;
	} rows[] = {{16384, 16390, 0}, {16384, 14, 14}, {16383, 14, 16383}, {40000, 5000, 5000}};

	for (int i = 0; i < 4; i++) {
		struct ike_header h = ike_test_header(IKE_SA_INIT, IKE_FLAG_RESPONSE, 0);
		struct ike_packets *packets;
		struct ike_out m = {0};
		struct ike_msg msg;

		ike_out_open(&m, &h);
		ike_out_status(&m, rows[i].first);
		ike_out_status(&m, rows[i].second);
		assert_int_equal(ike_out_plain(&m, &packets), 0);
		assert_int_equal(ike_msg_parse(ike_packet(packets, 0), &msg, NULL), 0);
		if (rows[i].error)
			assert_int_equal(ike_msg_error(&msg)->type, rows[i].error);
		else
			assert_null(ike_msg_error(&msg));
		free(packets);
		ike_out_free(&m);
	}
}

/* RFC 7296 2.23: SHA-1 of SPIs, address and port; the digest was computed by another hand (Python's
 * hashlib). */
static void nat_hash(void **state)
{
	static const __u8 want4[] = {0x77, 0x27, 0x3b, 0x31, 0xd6, 0xed, 0x83, 0x89, 0xee, 0x69,
				     0xc6, 0x6f, 0x0c, 0x7f, 0x20, 0x37, 0xf0, 0xa9, 0x82, 0xeb},
			  want6[] = {0x14, 0x0f, 0x95, 0xd3, 0x6a, 0xe0, 0xc8, 0x93, 0xc1, 0x1f,
				     0x39, 0xd9, 0xeb, 0x6b, 0xb0, 0x12, 0xd7, 0xd3, 0x33, 0xfb};
	static const __u8 addr4[] = {192, 0, 2, 1}, addr6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	__u8 out[IKE_NAT_HASH_LEN];

	assert_int_equal(ike_nat_hash(htobe64(SPI_I), 0, BYTES_OF(addr4), htons(500), out), 0);
	assert_memory_equal(out, want4, sizeof(out));
	assert_int_equal(
		ike_nat_hash(htobe64(SPI_I), htobe64(SPI_R), BYTES_OF(addr6), htons(4500), out), 0);
	assert_memory_equal(out, want6, sizeof(out));
}

/* ------------------------------------------------------------------ SA payload */

/* RFC 7296 3.3 by hand: two proposals of ESP. */
static const __u8 sa_bytes[] = {
	2, 0, 0, 32, 1, 3, 4, 2,  0xc0, 1,  2, 3,   /* 1: ESP, SPI, 2 transforms */
	3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128, /* AES-GCM-16, 128 bits */
	0, 0, 0, 8,  5, 0, 0, 1,                    /* ESN */
	0, 0, 0, 40, 2, 3, 4, 3,  0xc0, 1,  2, 3,   /* 2 */
	3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0,   /* AES-CBC, 256 bits */
	3, 0, 0, 8,  3, 0, 0, 12,                   /* HMAC-SHA2-256-128 */
	0, 0, 0, 8,  5, 0, 0, 0,                    /* no ESN */
};

static void sa_payload(void **state)
{
	struct proposals list;
	struct ike_fault fault;
	struct writer w = {0};
	char text[100];

	if (payload_sa_parse(BYTES(sa_bytes, 72), &list, &fault))
		fail_msg("%s", fault.what);
	proposals_print(&list, text, sizeof(text));
	assert_string_equal(text, "aes128gcm16-esn, aes256-sha256-noesn");
	assert_memory_equal(list.p[1].spi, "\xc0\1\2\3", 4);
	payload_sa_write(&w, &list);
	assert_int_equal(w.len, 72);
	assert_memory_equal(w.data, sa_bytes, 72);
	writer_free(&w);
}

/* Each byte of it, each other value: nothing breaks, and each length and mark that is not right is
 * refused. */
static void sa_payload_is_strict(void **state)
{
	static const __u8 lengths_and_marks[] = {0,  2,  3,  7,  12, 14, 15, 24, 26, 27, 32, 34,
						 35, 39, 44, 46, 47, 56, 58, 59, 64, 66, 67};
	struct ike_fault fault;
	struct proposals list;

	for (size_t cut = 0; cut < 72; cut++) {
		__u8 *copy = exact_copy(sa_bytes, cut);

		assert_int_equal(payload_sa_parse(BYTES(copy, cut), &list, &fault), -EBADMSG);
		assert_int_equal(fault.notify, IKE_N_INVALID_SYNTAX);
		free(copy);
	}
	for (size_t i = 0; i < sizeof(lengths_and_marks); i++) {
		for (unsigned int value = 0; value < 256; value++) {
			__u8 *copy = exact_copy(sa_bytes, 72);
			__u8 at = lengths_and_marks[i];
			int err;

			copy[at] = (__u8)value;
			err = payload_sa_parse(BYTES(copy, 72), &list, &fault);
			if (value != sa_bytes[at] && !err)
				fail_msg("byte %u may be %u", at, value);
			free(copy);
		}
	}
}

static void sa_payload_numbers(void **state)
{
	__u8 copy[72];
	struct proposals list;

	memcpy(copy, sa_bytes, 72);
	copy[4] = 4; /* an answer has the number of what it answers, the next is one more */
	copy[36] = 5;
	assert_int_equal(payload_sa_parse(BYTES_OF(copy), &list, NULL), 0);
	copy[36] = 4; /* twice: in older times, that meant both */
	assert_int_equal(payload_sa_parse(BYTES_OF(copy), &list, NULL), -EBADMSG);
}

/* An attribute that we do not know makes its transform one that is never chosen, in either form. */
static void sa_payload_attributes(void **state)
{
	__u8 copy[72];
	struct proposals list;

	memcpy(copy, sa_bytes, 72);
	copy[21] = 15; /* another type */
	assert_int_equal(payload_sa_parse(BYTES_OF(copy), &list, NULL), 0);
	assert_int_equal(list.p[0].t[0].odd, 1);
	assert_int_equal(list.p[0].t[0].key_bits, 0);
	copy[20] = 0; /* a length follows, of nothing */
	copy[23] = 0;
	assert_int_equal(payload_sa_parse(BYTES_OF(copy), &list, NULL), 0);
	assert_int_equal(list.p[0].t[0].odd, 1);
	copy[23] = 1; /* longer than the transform */
	assert_int_equal(payload_sa_parse(BYTES_OF(copy), &list, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_bytes),
		cmocka_unit_test(header_is_liberal),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(cut_at_each_byte),
		cmocka_unit_test(too_long),
		cmocka_unit_test(critical_payloads),
		cmocka_unit_test(twice_and_shorter),
		cmocka_unit_test(notifies_and_deletes),
		cmocka_unit_test(bounded),
		cmocka_unit_test(notify_data),
		cmocka_unit_test(nat_hash),
		cmocka_unit_test(errors),
		cmocka_unit_test(sa_payload),
		cmocka_unit_test(sa_payload_is_strict),
		cmocka_unit_test(sa_payload_numbers),
		cmocka_unit_test(sa_payload_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
