// SPDX-License-Identifier: BSD-2-Clause
#include "iked/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iked/payload.h"

#define PAYLOAD_FIRST IKE_PL_SA

static const struct {
	payload_fn parse;
	bool once;
} payloads[] = {
	[IKE_PL_SA] = {payload_sa, true},          [IKE_PL_KE] = {payload_ke, true},
	[IKE_PL_IDI] = {payload_id_i, true},       [IKE_PL_IDR] = {payload_id_r, true},
	[IKE_PL_CERT] = {payload_cert, false},     [IKE_PL_CERTREQ] = {payload_certreq, false},
	[IKE_PL_AUTH] = {payload_auth, true},      [IKE_PL_NONCE] = {payload_nonce, true},
	[IKE_PL_NOTIFY] = {payload_notify, false}, [IKE_PL_DELETE] = {payload_delete, false},
	[IKE_PL_VENDOR] = {payload_vendor, false}, [IKE_PL_TSI] = {payload_ts_i, true},
	[IKE_PL_TSR] = {payload_ts_r, true},       [IKE_PL_CP] = {payload_cp, true},
	[IKE_PL_EAP] = {payload_eap, true},
};

static bool is_sk(__u8 type)
{
	return type == IKE_PL_SK || type == IKE_PL_SKF;
}

static bool is_known(__u8 type)
{
	return type < sizeof(payloads) / sizeof(payloads[0]) && payloads[type].parse;
}

/* ------------------------------------------------------------------ header */

int ike_header_parse(struct bytes data, struct ike_header *out)
{
	struct reader r = reader_of(data);
	struct bytes spi_i = reader_bytes(&r, 8), spi_r = reader_bytes(&r, 8);
	struct ike_header h = {.next = reader_u8(&r)};
	__u8 version = reader_u8(&r);

	h.exchange = reader_u8(&r);
	h.flags = reader_u8(&r) & (IKE_FLAG_INITIATOR | IKE_FLAG_VERSION | IKE_FLAG_RESPONSE);
	h.id = reader_u32(&r);
	h.len = reader_u32(&r);
	if (r.failed || h.len < IKE_HEADER_LEN || h.len > data.len)
		return -EBADMSG;
	memcpy(&h.spi_i, spi_i.data, 8);
	memcpy(&h.spi_r, spi_r.data, 8);
	h.major = version >> 4;
	h.minor = version & 15;
	*out = h;
	return 0;
}

/* ------------------------------------------------------------------ chain of payloads */

/* A payload as the generic header describes it (3.2). */
struct item {
	__u8 type, next;
	bool critical;
	struct bytes body;
};

static int item_read(struct reader *r, __u8 type, struct item *item, struct ike_fault *fault)
{
	size_t left = reader_left(r);
	__u8 flags;
	__u16 len;

	item->type = type;
	item->next = reader_u8(r);
	flags = reader_u8(r);
	len = reader_u16(r);
	item->critical = flags & IKE_PAYLOAD_CRITICAL;
	if (r->failed || len < IKE_PAYLOAD_LEN || len > left)
		return ike_fault_syntax(fault, "payload %u: length %u, %zu bytes are left", type,
					len, left);
	item->body = reader_bytes(r, len - IKE_PAYLOAD_LEN);
	return 0;
}

/* 2.5: who sent it must learn that we did not understand. */
static int item_unknown(struct ike_msg *msg, const struct item *item, struct ike_fault *fault)
{
	if (!item->critical) {
		msg->n_unknown++;
		return 0;
	}
	ike_fault_set(fault, IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD, "critical payload %u is unknown",
		      item->type);
	if (fault) {
		fault->data_len = 1;
		fault->data[0] = item->type;
	}
	return -EBADMSG;
}

static int item_count(struct ike_msg *msg, __u8 type, struct ike_fault *fault)
{
	if (msg->n_payloads == IKE_PAYLOADS_MAX)
		return ike_fault_syntax(fault, "more than %d payloads", IKE_PAYLOADS_MAX);
	msg->types[msg->n_payloads++] = type;
	return 0;
}

static int item_keep(struct ike_msg *msg, const struct item *item, struct ike_fault *fault)
{
	__u64 bit;
	int err = item_count(msg, item->type, fault);

	if (err)
		return err;
	if (is_sk(item->type))
		return ike_fault_syntax(fault, "an encrypted payload inside of another");
	if (!is_known(item->type))
		return item_unknown(msg, item, fault);
	bit = 1ULL << (item->type - PAYLOAD_FIRST);
	if (payloads[item->type].once && (msg->seen & bit))
		return ike_fault_syntax(fault, "%s payload: a second one",
					ike_payload_name(item->type));
	err = payloads[item->type].parse(msg, item->body, fault);
	if (!err)
		msg->seen |= bit;
	return err;
}

/* SK or SKF: the last payload, its `next` is the first one inside (3.14, RFC 7383 2.5). */
static int sk_keep(struct ike_msg *msg, const struct item *item, struct ike_fault *fault)
{
	struct reader r = reader_of(item->body);
	struct ike_sk sk = {.here = true, .first = item->next, .number = 1, .total = 1};

	if (msg->seen)
		return ike_fault_syntax(fault, "a payload in front of the encrypted one");
	if (item->type == IKE_PL_SKF) {
		sk.fragment = true;
		sk.number = reader_u16(&r);
		sk.total = reader_u16(&r);
		if (!sk.number || sk.number > sk.total)
			return ike_fault_set(fault, 0, "SKF payload: fragment %u of %u", sk.number,
					     sk.total); /* RFC 7383 2.6: in silence */
	}
	sk.body = reader_rest(&r);
	if (r.failed)
		return ike_fault_syntax(fault, "SKF payload: %zu bytes", item->body.len);
	sk.aad = BYTES(msg->raw.data, (size_t)(sk.body.data - msg->raw.data));
	msg->sk = sk;
	return 0;
}

/* All of `r` is one chain, whose first payload is of `type`. `outer`: SK may end it. */
static int chain_parse(struct ike_msg *msg, struct reader *r, __u8 type, bool outer,
		       struct ike_fault *fault)
{
	struct item item;
	int err;

	while (type != IKE_PL_NONE) {
		err = item_read(r, type, &item, fault);
		if (err)
			return err;
		if (outer && is_sk(type)) {
			err = sk_keep(msg, &item, fault);
			type = IKE_PL_NONE;
		} else {
			err = item_keep(msg, &item, fault);
			type = item.next;
		}
		if (err)
			return err;
	}
	if (reader_left(r))
		return ike_fault_syntax(fault, "%zu bytes behind the last payload", reader_left(r));
	return 0;
}

int ike_msg_parse(struct bytes data, struct ike_msg *out, struct ike_fault *fault)
{
	struct ike_msg msg = {0};
	struct reader r;
	int err;

	if (ike_header_parse(data, &msg.h)) {
		ike_fault_set(fault, 0, "%zu bytes do not hold the message", data.len);
		return -EBADMSG;
	}
	if (msg.h.major != IKE_MAJOR)
		return ike_fault_set(fault, IKE_N_INVALID_MAJOR_VERSION, "version %u.%u",
				     msg.h.major, msg.h.minor);
	msg.raw = BYTES(data.data, msg.h.len);
	r = reader_of(msg.raw);
	reader_skip(&r, IKE_HEADER_LEN);
	err = chain_parse(&msg, &r, msg.h.next, true, fault);
	if (!err)
		*out = msg;
	return err;
}

int ike_msg_parse_inner(struct ike_msg *msg, struct bytes text, __u8 first, struct ike_fault *fault)
{
	struct ike_msg copy = *msg;
	struct reader r = reader_of(text);
	int err = chain_parse(&copy, &r, first, false, fault);

	if (!err)
		*msg = copy;
	return err;
}

/* ------------------------------------------------------------------ looking into it */

const struct ike_notify *ike_msg_notify(const struct ike_msg *msg, enum ike_notify_type type)
{
	for (unsigned int i = 0; i < msg->n_notify; i++)
		if (msg->notify[i].type == type)
			return &msg->notify[i];
	return NULL;
}

const struct ike_notify *ike_msg_error(const struct ike_msg *msg)
{
	for (unsigned int i = 0; i < msg->n_notify; i++)
		if (msg->notify[i].type < IKE_NOTIFY_STATUS)
			return &msg->notify[i];
	return NULL;
}

__be32 ike_delete_spi(const struct ike_delete *del, unsigned int i)
{
	__be32 spi = 0;

	if (del->spi_len == sizeof(spi) && i < del->n)
		memcpy(&spi, del->spis.data + i * sizeof(spi), sizeof(spi));
	return spi;
}

__u32 ike_notify_hashes(const struct ike_notify *notify)
{
	struct reader r = reader_of(notify->data);
	__u32 hashes = 0;

	while (reader_left(&r) >= 2) {
		__u16 hash = reader_u16(&r);

		if (hash >= IKE_HASH_SHA1 && hash <= IKE_HASH_IDENTITY)
			hashes |= 1u << hash;
	}
	return hashes;
}

__u16 ike_notify_group(const struct ike_notify *notify)
{
	struct reader r = reader_of(notify->data);
	__u16 group = reader_u16(&r);

	return r.failed || reader_left(&r) ? 0 : group;
}

/* ------------------------------------------------------------------ for people */

static size_t add(char *to, size_t size, size_t at, const char *word, unsigned int number)
{
	char *end = at < size ? to + at : NULL;
	size_t left = at < size ? size - at : 0;
	int n = word ? snprintf(end, left, "%s", word) : snprintf(end, left, "(%u)", number);

	return at + (size_t)n;
}

size_t ike_msg_print(const struct ike_msg *msg, char *to, size_t size)
{
	size_t at = add(to, size, 0, ike_exchange_name(msg->h.exchange), msg->h.exchange);
	unsigned int notify = 0;
	char number[32];

	snprintf(number, sizeof(number),
		 " %s %u:", ike_is_response(&msg->h) ? "response" : "request", msg->h.id);
	at = add(to, size, at, number, 0);
	for (unsigned int i = 0; i < msg->n_payloads; i++) {
		at = add(to, size, at, " ", 0);
		at = add(to, size, at, ike_payload_name(msg->types[i]), msg->types[i]);
		if (msg->types[i] != IKE_PL_NOTIFY)
			continue;
		at = add(to, size, at, "(", 0);
		at = add(to, size, at, ike_notify_name(msg->notify[notify].type),
			 msg->notify[notify].type);
		at = add(to, size, at, ")", 0);
		notify++;
	}
	if (!msg->n_payloads)
		at = add(to, size, at, " -", 0);
	return at;
}
