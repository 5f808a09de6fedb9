// SPDX-License-Identifier: BSD-2-Clause
#include "iked/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iked/frag.h"
#include "iked/payload_sa.h"

#define SKF_LEN (IKE_PAYLOAD_LEN + 4)

void ike_out_open(struct ike_out *m, const struct ike_header *h)
{
	ike_out_free(m);
	m->h = *h;
}

void ike_out_free(struct ike_out *m)
{
	writer_free(&m->text);
	*m = (struct ike_out){0};
}

/* ------------------------------------------------------------------ payloads */

/* The generic header (3.2), and the type where the one before it (or the header) names the next. */
static void begin(struct ike_out *m, __u8 type, bool critical)
{
	if (!m->any)
		m->first = type;
	else if (!m->text.err)
		m->text.data[m->last] = type;
	m->any = true;
	m->last = m->text.len;
	writer_u8(&m->text, IKE_PL_NONE);
	writer_u8(&m->text, critical ? IKE_PAYLOAD_CRITICAL : 0);
	writer_u16(&m->text, 0);
}

static void end(struct ike_out *m)
{
	writer_set_u16(&m->text, m->last + 2, (__u16)(m->text.len - m->last));
}

void ike_out_payload(struct ike_out *m, __u8 type, bool critical, struct bytes body)
{
	begin(m, type, critical);
	writer_bytes(&m->text, body);
	end(m);
}

void ike_out_sa(struct ike_out *m, const struct proposals *list)
{
	if (!list->n)
		m->text.err = m->text.err ? m->text.err : -EINVAL;
	begin(m, IKE_PL_SA, false);
	payload_sa_write(&m->text, list);
	end(m);
}

void ike_out_chosen(struct ike_out *m, const struct proposal *chosen)
{
	struct proposals one = {.n = 1};

	one.p[0] = *chosen;
	ike_out_sa(m, &one);
}

void ike_out_ke(struct ike_out *m, __u16 group, struct bytes data)
{
	begin(m, IKE_PL_KE, false);
	writer_u16(&m->text, group);
	writer_u16(&m->text, 0);
	writer_bytes(&m->text, data);
	end(m);
}

void ike_out_nonce(struct ike_out *m, struct bytes nonce)
{
	ike_out_payload(m, IKE_PL_NONCE, false, nonce);
}

void ike_out_id(struct ike_out *m, enum ike_payload which, const struct ident *id)
{
	begin(m, (__u8)which, false);
	writer_u8(&m->text, id->type);
	writer_zero(&m->text, 3);
	writer_bytes(&m->text, BYTES(id->data, id->len));
	end(m);
}

/* CERT and CERTREQ alike: encoding, then bytes. */
static void out_cert(struct ike_out *m, enum ike_payload which, enum ike_cert_encoding encoding,
		     struct bytes data)
{
	begin(m, (__u8)which, false);
	writer_u8(&m->text, (__u8)encoding);
	writer_bytes(&m->text, data);
	end(m);
}

void ike_out_cert(struct ike_out *m, enum ike_cert_encoding encoding, struct bytes data)
{
	out_cert(m, IKE_PL_CERT, encoding, data);
}

void ike_out_certreq(struct ike_out *m, enum ike_cert_encoding encoding, struct bytes hashes)
{
	out_cert(m, IKE_PL_CERTREQ, encoding, hashes);
}

void ike_out_auth(struct ike_out *m, __u8 method, struct bytes data)
{
	begin(m, IKE_PL_AUTH, false);
	writer_u8(&m->text, method);
	writer_zero(&m->text, 3);
	writer_bytes(&m->text, data);
	end(m);
}

void ike_out_ts(struct ike_out *m, enum ike_payload which, const struct ts_list *list)
{
	begin(m, (__u8)which, false);
	payload_ts_write(&m->text, list);
	end(m);
}

void ike_out_vendor(struct ike_out *m, struct bytes data)
{
	ike_out_payload(m, IKE_PL_VENDOR, false, data);
}

static void notify_begin(struct ike_out *m, enum proposal_protocol protocol, struct bytes spi,
			 enum ike_notify_type type)
{
	begin(m, IKE_PL_NOTIFY, false);
	/* 3.10: without an SPI, none of the protocol's is meant and the field is 0 */
	writer_u8(&m->text, spi.len ? (__u8)protocol : 0);
	writer_u8(&m->text, (__u8)spi.len);
	writer_u16(&m->text, (__u16)type);
	writer_bytes(&m->text, spi);
}

void ike_out_notify(struct ike_out *m, enum proposal_protocol protocol, struct bytes spi,
		    enum ike_notify_type type, struct bytes data)
{
	notify_begin(m, protocol, spi, type);
	writer_bytes(&m->text, data);
	end(m);
}

void ike_out_status(struct ike_out *m, enum ike_notify_type type)
{
	ike_out_notify(m, 0, BYTES_NONE, type, BYTES_NONE);
}

void ike_out_hashes(struct ike_out *m, __u32 hashes)
{
	notify_begin(m, 0, BYTES_NONE, IKE_N_SIGNATURE_HASH_ALGORITHMS);
	for (unsigned int hash = IKE_HASH_SHA256; hash <= IKE_HASH_IDENTITY; hash++)
		if (hashes & 1u << hash)
			writer_u16(&m->text, (__u16)hash);
	end(m);
}

void ike_out_nat(struct ike_out *m, enum ike_notify_type type, struct bytes addr, __be16 port)
{
	__u8 hash[IKE_NAT_HASH_LEN] = {0};
	int err = ike_nat_hash(m->h.spi_i, m->h.spi_r, addr, port, hash);

	if (err && !m->text.err)
		m->text.err = err;
	ike_out_notify(m, 0, BYTES_NONE, type, BYTES_OF(hash));
}

void ike_out_delete(struct ike_out *m, enum proposal_protocol protocol, const __be32 *spis,
		    unsigned int n)
{
	begin(m, IKE_PL_DELETE, false);
	writer_u8(&m->text, (__u8)protocol);
	writer_u8(&m->text, 4);
	writer_u16(&m->text, (__u16)n);
	writer_bytes(&m->text, BYTES(spis, 4 * (size_t)n));
	end(m);
}

void ike_out_delete_ike(struct ike_out *m)
{
	begin(m, IKE_PL_DELETE, false);
	writer_u8(&m->text, PROPOSAL_IKE);
	writer_zero(&m->text, 3);
	end(m);
}

/* ------------------------------------------------------------------ closing */

struct bytes ike_packet(const struct ike_packets *packets, unsigned int i)
{
	struct reader r = reader_of(BYTES(packets->data, packets->len));
	struct bytes b = BYTES_NONE;

	if (i >= packets->n)
		return b;
	for (unsigned int at = 0; at <= i; at++)
		b = reader_bytes(&r, reader_u16(&r));
	return b;
}

static void header_write(struct writer *w, const struct ike_header *h, __u8 next, size_t len)
{
	writer_bytes(w, BYTES_OF(h->spi_i));
	writer_bytes(w, BYTES_OF(h->spi_r));
	writer_u8(w, next);
	writer_u8(w, IKE_MAJOR << 4 | IKE_MINOR);
	writer_u8(w, h->exchange);
	writer_u8(w, h->flags);
	writer_u32(w, h->id);
	writer_u32(w, (__u32)len);
}

/* A growing list of datagrams, each with its length in front. */
static int packets_add(struct ike_packets **packets, const struct writer *w)
{
	size_t old = *packets ? (*packets)->len : 0;
	struct ike_packets *grown;

	if (w->err)
		return w->err;
	grown = realloc(*packets, sizeof(*grown) + old + 2 + w->len);
	if (!grown)
		return -ENOMEM;
	if (!*packets)
		*grown = (struct ike_packets){0};
	grown->data[old] = (__u8)(w->len >> 8);
	grown->data[old + 1] = (__u8)w->len;
	memcpy(grown->data + old + 2, w->data, w->len);
	grown->len = (__u32)(old + 2 + w->len);
	grown->n++;
	*packets = grown;
	return 0;
}

int ike_out_plain(struct ike_out *m, struct ike_packets **out)
{
	_cleanup_writer_ struct writer w = {0};
	struct ike_packets *packets = NULL;
	int err;

	if (m->text.err)
		return m->text.err;
	header_write(&w, &m->h, m->first, IKE_HEADER_LEN + m->text.len);
	writer_bytes(&w, writer_view(&m->text));
	err = packets_add(&packets, &w);
	if (!err)
		*out = packets;
	return err;
}

/* One datagram with SK (total 0), or fragment `number` of `total`, that holds `text`. */
static int sealed_add(const struct ike_out *m, struct sk_key *key, struct bytes text,
		      unsigned int number, unsigned int total, struct ike_packets **packets)
{
	_cleanup_writer_ struct writer w = {0};
	size_t own = total ? SKF_LEN : IKE_PAYLOAD_LEN;
	size_t len = own + sk_overhead(key, text.len) + text.len;
	int err;

	if (IKE_HEADER_LEN + len > WRITER_MAX)
		return -EMSGSIZE;
	header_write(&w, &m->h, total ? IKE_PL_SKF : IKE_PL_SK, IKE_HEADER_LEN + len);
	writer_u8(&w, number <= 1 ? m->first : IKE_PL_NONE);
	writer_u8(&w, 0);
	writer_u16(&w, (__u16)len);
	if (total) {
		writer_u16(&w, (__u16)number);
		writer_u16(&w, (__u16)total);
	}
	err = sk_seal(key, &w, text);
	return err ? err : packets_add(packets, &w);
}

static int sealed_fragments(const struct ike_out *m, struct sk_key *key, unsigned int fragment,
			    struct ike_packets **packets)
{
	size_t own = IKE_HEADER_LEN + SKF_LEN;
	size_t piece = fragment > own ? sk_text_max(key, fragment - own) : 0;
	size_t total, at = 0;
	int err = 0;

	if (!piece)
		return -EMSGSIZE;
	total = (m->text.len + piece - 1) / piece;
	if (total > IKE_FRAGMENTS_MAX)
		return -EMSGSIZE;
	for (unsigned int number = 1; !err && number <= total; number++) {
		size_t left = m->text.len - at, len = left < piece ? left : piece;

		err = sealed_add(m, key, BYTES(m->text.data + at, len), number, (unsigned int)total,
				 packets);
		at += len;
	}
	return err;
}

int ike_out_sealed(struct ike_out *m, struct sk_key *key, unsigned int fragment,
		   struct ike_packets **out)
{
	struct ike_packets *packets = NULL;
	struct bytes text = writer_view(&m->text);
	size_t len;
	int err;

	if (m->text.err)
		return m->text.err;
	len = IKE_HEADER_LEN + IKE_PAYLOAD_LEN + sk_overhead(key, text.len) + text.len;
	if (fragment && len > fragment)
		err = sealed_fragments(m, key, fragment, &packets);
	else
		err = sealed_add(m, key, text, 0, 0, &packets);
	if (err)
		free(packets);
	else
		*out = packets;
	return err;
}
