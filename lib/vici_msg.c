// SPDX-License-Identifier: BSD-2-Clause
#include "lib/vici_msg.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

/* ------------------------------------------------------------------ reading */

static struct bytes read_name(struct reader *r)
{
	return reader_bytes(r, reader_u8(r));
}

static struct bytes read_value(struct reader *r)
{
	return reader_bytes(r, reader_u16(r));
}

bool vici_next(struct reader *r, struct vici_element *out)
{
	if (reader_left(r) == 0)
		return false;
	*out = (struct vici_element){.kind = reader_u8(r)};
	if (out->kind == VICI_SECTION_START || out->kind == VICI_KEY_VALUE ||
	    out->kind == VICI_LIST_START)
		out->name = read_name(r);
	if (out->kind == VICI_KEY_VALUE || out->kind == VICI_LIST_ITEM)
		out->value = read_value(r);
	return !r->failed;
}

/* strongSwan's get-counters has a section without a name: what counts for all connections. */
static bool name_good(enum vici_kind kind, struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!isprint(name.data[i]))
			return false;
	return name.len > 0 || kind == VICI_SECTION_START;
}

static bool has_name(enum vici_kind kind)
{
	return kind == VICI_SECTION_START || kind == VICI_KEY_VALUE || kind == VICI_LIST_START;
}

/* Items stand in lists and lists hold nothing else. */
static bool element_fits(const struct vici_element *element, unsigned int depth, bool in_list)
{
	switch (element->kind) {
	case VICI_SECTION_START: return !in_list && depth < VICI_DEPTH_MAX;
	case VICI_SECTION_END: return !in_list && depth > 0;
	case VICI_KEY_VALUE:
	case VICI_LIST_START: return !in_list;
	case VICI_LIST_ITEM:
	case VICI_LIST_END: return in_list;
	}
	return false;
}

int vici_validate(struct bytes message)
{
	struct reader r = reader_of(message);
	struct vici_element element;
	unsigned int depth = 0;
	bool in_list = false;

	if (message.len > VICI_SEGMENT_MAX)
		return -EINVAL;
	while (vici_next(&r, &element)) {
		if (!element_fits(&element, depth, in_list) ||
		    (has_name(element.kind) && !name_good(element.kind, element.name)))
			return -EINVAL;
		depth += (element.kind == VICI_SECTION_START) - (element.kind == VICI_SECTION_END);
		in_list = element.kind == VICI_LIST_START ||
			  (in_list && element.kind != VICI_LIST_END);
	}
	return r.failed || depth || in_list ? -EINVAL : 0;
}

bool vici_name_is(const struct vici_element *element, const char *name)
{
	return bytes_equal(element->name, BYTES(name, strlen(name)));
}

/* At the top: in no section. Leaves `r` behind the element. */
static bool find(struct reader *r, enum vici_kind kind, const char *name, struct vici_element *out)
{
	unsigned int depth = 0;

	while (vici_next(r, out)) {
		if (depth == 0 && out->kind == kind && vici_name_is(out, name))
			return true;
		depth += (out->kind == VICI_SECTION_START) - (out->kind == VICI_SECTION_END);
	}
	return false;
}

struct bytes vici_get(struct bytes message, const char *key)
{
	struct reader r = reader_of(message);
	struct vici_element element;

	return find(&r, VICI_KEY_VALUE, key, &element) ? element.value : BYTES_NONE;
}

bool vici_get_text(struct bytes message, const char *key, char *out, size_t size)
{
	struct bytes value = vici_get(message, key);

	out[0] = 0;
	if (!value.data || value.len >= size || memchr(value.data, 0, value.len))
		return false;
	memcpy(out, value.data, value.len);
	out[value.len] = 0;
	return true;
}

bool vici_get_bool(struct bytes message, const char *key, bool otherwise)
{
	static const char *const yes[] = {"yes", "true", "1", "enabled"};
	char text[16];

	if (!vici_get_text(message, key, text, sizeof(text)))
		return otherwise;
	for (unsigned int i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (strcasecmp(text, yes[i]) == 0)
			return true;
	return false;
}

long vici_get_number(struct bytes message, const char *key, long otherwise)
{
	char text[24];
	long value;
	char *end;

	if (!vici_get_text(message, key, text, sizeof(text)))
		return otherwise;
	errno = 0;
	value = strtol(text, &end, 10);
	return errno || end == text || *end ? otherwise : value;
}

bool vici_get_item(struct bytes message, const char *list, struct reader *r, struct bytes *out)
{
	struct vici_element element;

	if (!r->at) {
		*r = reader_of(message);
		if (!find(r, VICI_LIST_START, list, &element))
			return false;
	}
	if (!vici_next(r, &element) || element.kind != VICI_LIST_ITEM)
		return false;
	*out = element.value;
	return true;
}

/* ------------------------------------------------------------------ writing */

void vici_free(struct vici_writer *w)
{
	if (w->data)
		OPENSSL_cleanse(w->data, w->len);
	free(w->data);
	*w = (struct vici_writer){0};
}

struct bytes vici_view(const struct vici_writer *w)
{
	static const __u8 nothing;

	return BYTES(w->data ? w->data : &nothing, w->len);
}

/* Values may be secrets (load-shared on its way to us): what is outgrown is wiped. */
static bool grow(struct vici_writer *w, size_t n)
{
	size_t size = w->size ? w->size : 1024;
	__u8 *data;

	while (size < w->len + n)
		size *= 2;
	if (size == w->size)
		return true;
	data = malloc(size);
	if (!data) {
		w->err = -ENOMEM;
		return false;
	}
	if (w->data) {
		memcpy(data, w->data, w->len);
		OPENSSL_cleanse(w->data, w->len);
	}
	free(w->data);
	w->data = data;
	w->size = size;
	return true;
}

static void put(struct vici_writer *w, const void *data, size_t n)
{
	if (!w->err && w->len + n > VICI_SEGMENT_MAX)
		w->err = -EMSGSIZE;
	if (w->err || !n || !grow(w, n))
		return;
	memcpy(w->data + w->len, data, n);
	w->len += n;
}

void vici_append(struct vici_writer *w, struct bytes elements)
{
	put(w, elements.data, elements.len);
}

static void put_kind(struct vici_writer *w, __u8 kind)
{
	put(w, &kind, 1);
}

static void put_name(struct vici_writer *w, const char *name)
{
	size_t len = strnlen(name, VICI_NAME_MAX);
	__u8 byte = len;

	put(w, &byte, 1);
	put(w, name, len);
}

static void put_value(struct vici_writer *w, struct bytes value)
{
	__u8 len[2] = {value.len >> 8, value.len};

	if (value.len > 0xffff) {
		w->err = w->err ? w->err : -EMSGSIZE;
		return;
	}
	put(w, len, sizeof(len));
	put(w, value.data, value.len);
}

void vici_section(struct vici_writer *w, const char *name)
{
	put_kind(w, VICI_SECTION_START);
	put_name(w, name);
}

void vici_section_end(struct vici_writer *w)
{
	put_kind(w, VICI_SECTION_END);
}

void vici_blob(struct vici_writer *w, const char *name, struct bytes value)
{
	put_kind(w, VICI_KEY_VALUE);
	put_name(w, name);
	put_value(w, value);
}

static void put_format(struct vici_writer *w, const char *name, const char *fmt, va_list args)
{
	char *text;
	int len = vasprintf(&text, fmt, args);

	if (len < 0) {
		w->err = w->err ? w->err : -ENOMEM;
		return;
	}
	vici_blob(w, name, BYTES(text, len));
	free(text);
}

void vici_text(struct vici_writer *w, const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_format(w, name, fmt, args);
	va_end(args);
}

void vici_bool(struct vici_writer *w, const char *name, bool value)
{
	vici_text(w, name, value ? "yes" : "no");
}

void vici_list(struct vici_writer *w, const char *name)
{
	put_kind(w, VICI_LIST_START);
	put_name(w, name);
}

void vici_item(struct vici_writer *w, struct bytes value)
{
	put_kind(w, VICI_LIST_ITEM);
	put_value(w, value);
}

void vici_item_text(struct vici_writer *w, const char *text)
{
	vici_item(w, BYTES(text, strlen(text)));
}

void vici_list_end(struct vici_writer *w)
{
	put_kind(w, VICI_LIST_END);
}

void vici_success(struct vici_writer *w)
{
	vici_bool(w, "success", true);
}

void vici_failure(struct vici_writer *w, const char *fmt, ...)
{
	va_list args;

	vici_bool(w, "success", false);
	va_start(args, fmt);
	put_format(w, "errmsg", fmt, args);
	va_end(args);
}
