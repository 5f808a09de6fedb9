// SPDX-License-Identifier: BSD-2-Clause
#include "lib/buf.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

bool bytes_equal_secret(struct bytes a, struct bytes b)
{
	return a.len == b.len && (!a.len || !CRYPTO_memcmp(a.data, b.data, a.len));
}

/* ------------------------------------------------------------------ reading */

struct reader reader_of(struct bytes b)
{
	static const __u8 nothing;
	const __u8 *at = b.data ? b.data : &nothing;

	return (struct reader){.at = at, .end = at + b.len};
}

size_t reader_left(const struct reader *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->at);
}

struct bytes reader_bytes(struct reader *r, size_t n)
{
	struct bytes b = {r->at, n};

	if (reader_left(r) < n || r->failed) {
		r->failed = true;
		return BYTES_NONE;
	}
	r->at += n;
	return b;
}

struct bytes reader_rest(struct reader *r)
{
	return reader_bytes(r, reader_left(r));
}

void reader_skip(struct reader *r, size_t n)
{
	reader_bytes(r, n);
}

static __u64 reader_number(struct reader *r, size_t n)
{
	struct bytes b = reader_bytes(r, n);
	__u64 value = 0;

	for (size_t i = 0; i < b.len; i++)
		value = value << 8 | b.data[i];
	return value;
}

__u8 reader_u8(struct reader *r)
{
	return (__u8)reader_number(r, 1);
}

__u16 reader_u16(struct reader *r)
{
	return (__u16)reader_number(r, 2);
}

__u32 reader_u32(struct reader *r)
{
	return (__u32)reader_number(r, 4);
}

__u64 reader_u64(struct reader *r)
{
	return reader_number(r, 8);
}

/* ------------------------------------------------------------------ writing */

#define WRITER_FIRST 256

void writer_free(struct writer *w)
{
	if (w->data)
		OPENSSL_cleanse(w->data, w->size);
	free(w->data);
	*w = (struct writer){0};
}

void writer_reset(struct writer *w)
{
	if (w->data)
		OPENSSL_cleanse(w->data, w->size);
	w->len = 0;
	w->err = 0;
}

struct bytes writer_view(const struct writer *w)
{
	return (struct bytes){w->data, w->len};
}

/* Not realloc(): it would leave a copy behind. */
static int writer_grow(struct writer *w, size_t need)
{
	size_t size = w->size ? w->size : WRITER_FIRST;
	__u8 *data;

	while (size < need)
		size *= 2;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	if (w->data) {
		memcpy(data, w->data, w->len);
		OPENSSL_cleanse(w->data, w->size);
		free(w->data);
	}
	w->data = data;
	w->size = size;
	return 0;
}

__u8 *writer_room(struct writer *w, size_t n)
{
	if (!w->err && n > WRITER_MAX - w->len)
		w->err = -EMSGSIZE;
	if (!w->err && (!w->data || w->len + n > w->size))
		w->err = writer_grow(w, w->len + n);
	if (w->err)
		return NULL;
	w->len += n;
	return w->data + w->len - n;
}

void writer_bytes(struct writer *w, struct bytes b)
{
	__u8 *to = writer_room(w, b.len);

	if (to && b.len)
		memcpy(to, b.data, b.len);
}

void writer_zero(struct writer *w, size_t n)
{
	__u8 *to = writer_room(w, n);

	if (to)
		memset(to, 0, n);
}

static void writer_number(struct writer *w, __u64 value, size_t n)
{
	__u8 *to = writer_room(w, n);

	for (size_t i = 0; to && i < n; i++)
		to[i] = (__u8)(value >> 8 * (n - 1 - i));
}

void writer_u8(struct writer *w, __u8 value)
{
	writer_number(w, value, 1);
}

void writer_u16(struct writer *w, __u16 value)
{
	writer_number(w, value, 2);
}

void writer_u32(struct writer *w, __u32 value)
{
	writer_number(w, value, 4);
}

void writer_u64(struct writer *w, __u64 value)
{
	writer_number(w, value, 8);
}

void writer_set_u16(struct writer *w, size_t at, __u16 value)
{
	if (w->err || at + 2 > w->len)
		return;
	w->data[at] = (__u8)(value >> 8);
	w->data[at + 1] = (__u8)value;
}

/* ------------------------------------------------------------------ secrets */

void secret_wipe(struct secret *s)
{
	OPENSSL_cleanse(s, sizeof(*s));
}

struct bytes secret_view(const struct secret *s)
{
	return (struct bytes){s->data, s->len};
}
