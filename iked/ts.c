// SPDX-License-Identifier: BSD-2-Clause
#include "iked/ts.h"

#include <errno.h>
#include <string.h>

#include "iked/fault.h"

static unsigned int addr_len(__u8 family)
{
	return family == XIPSEC_FAMILY_IP4 ? 4 : 16;
}

static int addr_cmp(const struct xipsec_addr *a, const struct xipsec_addr *b)
{
	return memcmp(a->byte, b->byte, sizeof(a->byte));
}

static bool is_opaque(const struct ts *ts)
{
	return ts->port_lo == XIPSEC_PORT_MAX && ts->port_hi == 0;
}

/* ------------------------------------------------------------------ payload */

static int selector_parse(struct reader *r, struct ts *ts, bool *keep, struct ike_fault *fault)
{
	size_t left = reader_left(r);
	__u8 type = reader_u8(r);
	struct bytes lo, hi;
	__u16 len;

	*ts = (struct ts){.proto = reader_u8(r)};
	len = reader_u16(r);
	if (r->failed || len < 4 || len > left)
		return ike_fault_syntax(fault, "TS payload: selector of %u bytes, %zu are left",
					len, left);
	*keep = type == IKE_TS_IPV4 || type == IKE_TS_IPV6;
	if (!*keep) {
		reader_skip(r, len - 4);
		return 0;
	}
	ts->family = type == IKE_TS_IPV4 ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6;
	if (len != 8 + 2 * addr_len(ts->family))
		return ike_fault_syntax(fault, "TS payload: selector of %u bytes, type %u", len,
					type);
	ts->port_lo = reader_u16(r);
	ts->port_hi = reader_u16(r);
	lo = reader_bytes(r, addr_len(ts->family));
	hi = reader_bytes(r, addr_len(ts->family));
	memcpy(ts->lo.byte, lo.data, lo.len);
	memcpy(ts->hi.byte, hi.data, hi.len);
	if (addr_cmp(&ts->lo, &ts->hi) > 0 || (ts->port_lo > ts->port_hi && !is_opaque(ts)))
		return ike_fault_syntax(fault, "TS payload: a range begins behind its end");
	return 0;
}

int payload_ts_parse(struct bytes body, struct ts_list *out, struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	unsigned int count = reader_u8(&r);
	struct ts_list list = {0};

	reader_skip(&r, 3); /* reserved */
	if (r.failed || !count)
		return ike_fault_syntax(fault, "TS payload: %u selectors in %zu bytes", count,
					body.len);
	for (unsigned int i = 0; i < count; i++) {
		struct ts ts;
		bool keep;
		int err = selector_parse(&r, &ts, &keep, fault);

		if (err)
			return err;
		if (keep && list.n < TS_MAX)
			list.ts[list.n++] = ts;
	}
	if (reader_left(&r))
		return ike_fault_syntax(fault, "TS payload: bytes behind the last of %u selectors",
					count);
	*out = list;
	return 0;
}

void payload_ts_write(struct writer *w, const struct ts_list *list)
{
	writer_u8(w, (__u8)list->n);
	writer_zero(w, 3);
	for (unsigned int i = 0; i < list->n; i++) {
		const struct ts *ts = &list->ts[i];
		unsigned int len = addr_len(ts->family);

		writer_u8(w, ts->family == XIPSEC_FAMILY_IP4 ? IKE_TS_IPV4 : IKE_TS_IPV6);
		writer_u8(w, ts->proto);
		writer_u16(w, (__u16)(8 + 2 * len));
		writer_u16(w, ts->port_lo);
		writer_u16(w, ts->port_hi);
		writer_bytes(w, BYTES(ts->lo.byte, len));
		writer_bytes(w, BYTES(ts->hi.byte, len));
	}
}

/* ------------------------------------------------------------------ sets */

bool ts_equal(const struct ts *a, const struct ts *b)
{
	return a->family == b->family && a->proto == b->proto && a->port_lo == b->port_lo &&
	       a->port_hi == b->port_hi && !addr_cmp(&a->lo, &b->lo) && !addr_cmp(&a->hi, &b->hi);
}

/* OPAQUE is a value of its own, that "any" holds too (RFC 4301 4.4.1.1). */
static bool ports_intersect(const struct ts *a, const struct ts *b, struct ts *out)
{
	bool any_a = a->port_lo == 0 && a->port_hi == XIPSEC_PORT_MAX;
	bool any_b = b->port_lo == 0 && b->port_hi == XIPSEC_PORT_MAX;

	if (any_a || any_b) {
		out->port_lo = any_a ? b->port_lo : a->port_lo;
		out->port_hi = any_a ? b->port_hi : a->port_hi;
		return true;
	}
	if (is_opaque(a) || is_opaque(b)) {
		out->port_lo = XIPSEC_PORT_MAX;
		out->port_hi = 0;
		return is_opaque(a) && is_opaque(b);
	}
	out->port_lo = a->port_lo > b->port_lo ? a->port_lo : b->port_lo;
	out->port_hi = a->port_hi < b->port_hi ? a->port_hi : b->port_hi;
	return out->port_lo <= out->port_hi;
}

bool ts_intersect(const struct ts *a, const struct ts *b, struct ts *out)
{
	struct ts both = {.family = a->family};

	if (a->family != b->family)
		return false;
	if (a->proto && b->proto && a->proto != b->proto)
		return false;
	both.proto = a->proto ? a->proto : b->proto;
	if (!ports_intersect(a, b, &both))
		return false;
	both.lo = addr_cmp(&a->lo, &b->lo) > 0 ? a->lo : b->lo;
	both.hi = addr_cmp(&a->hi, &b->hi) < 0 ? a->hi : b->hi;
	if (addr_cmp(&both.lo, &both.hi) > 0)
		return false;
	*out = both;
	return true;
}

bool ts_contains(const struct ts *whole, const struct ts *part)
{
	struct ts both;

	return ts_intersect(whole, part, &both) && ts_equal(&both, part);
}

bool ts_list_contains(const struct ts_list *whole, const struct ts *part)
{
	for (unsigned int i = 0; i < whole->n; i++)
		if (ts_contains(&whole->ts[i], part))
			return true;
	return false;
}

static bool is_in(const struct ts_list *list, const struct ts *ts)
{
	for (unsigned int i = 0; i < list->n; i++)
		if (ts_equal(&list->ts[i], ts))
			return true;
	return false;
}

bool ts_list_equal(const struct ts_list *a, const struct ts_list *b)
{
	for (unsigned int i = 0; i < a->n; i++)
		if (!is_in(b, &a->ts[i]))
			return false;
	for (unsigned int i = 0; i < b->n; i++)
		if (!is_in(a, &b->ts[i]))
			return false;
	return true;
}

/* Adds one, unless one that is there holds it; those that it holds fall out. */
static bool add(struct ts_list *list, const struct ts *ts)
{
	unsigned int n = 0;

	if (ts_list_contains(list, ts))
		return true;
	for (unsigned int i = 0; i < list->n; i++)
		if (!ts_contains(ts, &list->ts[i]))
			list->ts[n++] = list->ts[i];
	list->n = n;
	if (n == TS_MAX)
		return false;
	list->ts[list->n++] = *ts;
	return true;
}

bool ts_narrow(const struct ts_list *theirs, const struct ts_list *ours, struct ts_list *out)
{
	struct ts_list list = {0};
	bool narrowed = false;

	for (unsigned int i = 0; i < theirs->n; i++) {
		for (unsigned int j = 0; j < ours->n; j++) {
			struct ts both;

			if (ts_intersect(&theirs->ts[i], &ours->ts[j], &both))
				narrowed |= !add(&list, &both);
		}
	}
	for (unsigned int i = 0; i < theirs->n; i++)
		narrowed |= !ts_list_contains(&list, &theirs->ts[i]);
	*out = list;
	return narrowed;
}

bool ts_accept(const struct ts_list *offered, const struct ts_list *answer)
{
	for (unsigned int i = 0; i < answer->n; i++)
		if (!ts_list_contains(offered, &answer->ts[i]))
			return false;
	return answer->n;
}
