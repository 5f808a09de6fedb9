// SPDX-License-Identifier: BSD-2-Clause
#include "iked/payload_sa.h"

#include <errno.h>
#include <string.h>

#include "iked/fault.h"

#define PROPOSAL_MORE  2
#define TRANSFORM_MORE 3
#define ATTR_TV        0x8000 /* a value of two bytes follows, no length (3.3.5) */
#define ATTR_KEY_LEN   14

/* ------------------------------------------------------------------ reading */

/* Attributes: the key length, or something that makes the transform one not to be chosen. */
static bool attributes_parse(struct reader *r, struct transform *t)
{
	while (reader_left(r)) {
		__u16 type = reader_u16(r), value = reader_u16(r);

		if (!(type & ATTR_TV)) {
			reader_skip(r, value);
			t->odd = 1;
		} else if (type == (ATTR_TV | ATTR_KEY_LEN) && value && !t->key_bits) {
			t->key_bits = value;
		} else {
			t->odd = 1;
		}
	}
	return !r->failed;
}

static int transform_parse(struct reader *r, bool last, struct transform *t,
			   struct ike_fault *fault)
{
	size_t left = reader_left(r);
	__u8 more = reader_u8(r);
	struct reader attributes;
	__u16 len;

	reader_skip(r, 1);
	len = reader_u16(r);
	t->type = reader_u8(r);
	reader_skip(r, 1);
	t->id = reader_u16(r);
	if (r->failed || len < 8 || len > left)
		return ike_fault_syntax(fault, "SA payload: transform of %u bytes, %zu are left",
					len, left);
	if (more != (last ? 0 : TRANSFORM_MORE))
		return ike_fault_syntax(fault, "SA payload: transform's last mark is %u", more);
	attributes = reader_of(reader_bytes(r, len - 8));
	if (!attributes_parse(&attributes, t))
		return ike_fault_syntax(fault, "SA payload: attribute longer than its transform");
	return 0;
}

static int transforms_parse(struct reader *r, unsigned int count, struct proposal *p, bool *keep,
			    struct ike_fault *fault)
{
	for (unsigned int i = 0; i < count; i++) {
		struct transform t = {0};
		int err = transform_parse(r, i + 1 == count, &t, fault);

		if (err)
			return err;
		if (i < PROPOSAL_TRANSFORMS_MAX)
			p->t[p->n++] = t;
		else
			*keep = false;
	}
	if (reader_left(r))
		return ike_fault_syntax(fault, "SA payload: bytes behind the last of %u transforms",
					count);
	return 0;
}

/* Of its length and the mark of the last; `r` goes on behind it. */
static int proposal_bounds(struct reader *r, struct reader *inside, bool *last,
			   struct ike_fault *fault)
{
	size_t left = reader_left(r);
	__u8 more = reader_u8(r);
	__u16 len;

	reader_skip(r, 1);
	len = reader_u16(r);
	if (r->failed || len < 8 || len > left)
		return ike_fault_syntax(fault, "SA payload: proposal of %u bytes, %zu are left",
					len, left);
	*last = len == left;
	if (more != (*last ? 0 : PROPOSAL_MORE))
		return ike_fault_syntax(fault, "SA payload: proposal's last mark is %u", more);
	*inside = reader_of(reader_bytes(r, len - 4));
	return 0;
}

static int proposal_parse(struct reader *r, struct proposal *p, bool *keep, struct ike_fault *fault)
{
	struct bytes spi;
	__u8 spi_len, count;

	*p = (struct proposal){.number = reader_u8(r)};
	p->protocol = reader_u8(r);
	spi_len = reader_u8(r);
	count = reader_u8(r);
	spi = reader_bytes(r, spi_len);
	if (r->failed || !count)
		return ike_fault_syntax(fault,
					"SA payload: proposal %u: SPI of %u bytes, %u "
					"transforms",
					p->number, spi_len, count);
	*keep = spi_len <= PROPOSAL_SPI_MAX;
	if (*keep) {
		p->spi_len = spi_len;
		memcpy(p->spi, spi.data, spi_len);
	}
	return transforms_parse(r, count, p, keep, fault);
}

static int proposals_parse(struct reader *r, struct proposals *list, struct ike_fault *fault)
{
	struct reader inside;
	bool last = false, keep = false;
	int number = -1;

	while (!last) {
		struct proposal p;
		int err = proposal_bounds(r, &inside, &last, fault);

		if (!err)
			err = proposal_parse(&inside, &p, &keep, fault);
		if (err)
			return err;
		if (number >= 0 && p.number != number + 1)
			return ike_fault_syntax(fault, "SA payload: proposal %u behind %d",
						p.number, number);
		number = p.number;
		if (keep && list->n < PROPOSALS_MAX)
			list->p[list->n++] = p;
	}
	return 0;
}

int payload_sa_parse(struct bytes body, struct proposals *out, struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	struct proposals list = {0};
	int err = proposals_parse(&r, &list, fault);

	if (!err)
		*out = list;
	return err;
}

/* ------------------------------------------------------------------ writing */

static void transform_write(struct writer *w, const struct transform *t, bool last)
{
	writer_u8(w, last ? 0 : TRANSFORM_MORE);
	writer_u8(w, 0);
	writer_u16(w, t->key_bits ? 12 : 8);
	writer_u8(w, t->type);
	writer_u8(w, 0);
	writer_u16(w, t->id);
	if (t->key_bits) {
		writer_u16(w, ATTR_TV | ATTR_KEY_LEN);
		writer_u16(w, t->key_bits);
	}
}

static void proposal_write(struct writer *w, const struct proposal *p, bool last)
{
	size_t start = w->len;

	writer_u8(w, last ? 0 : PROPOSAL_MORE);
	writer_u8(w, 0);
	writer_u16(w, 0); /* length, below */
	writer_u8(w, p->number);
	writer_u8(w, p->protocol);
	writer_u8(w, p->spi_len);
	writer_u8(w, p->n);
	writer_bytes(w, BYTES(p->spi, p->spi_len));
	for (unsigned int i = 0; i < p->n; i++)
		transform_write(w, &p->t[i], i + 1 == p->n);
	writer_set_u16(w, start + 2, (__u16)(w->len - start));
}

void payload_sa_write(struct writer *w, const struct proposals *list)
{
	for (unsigned int i = 0; i < list->n; i++)
		proposal_write(w, &list->p[i], i + 1 == list->n);
}
