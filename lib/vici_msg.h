/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of VICI, strongSwan's control protocol: sections, values and lists. A value is bytes;
 * most are text. A message that came from elsewhere is validated once, as a whole; the readers
 * after that trust its structure.
 */
#ifndef LIB_VICI_MSG_H
#define LIB_VICI_MSG_H

#include "lib/buf.h"

#define VICI_SEGMENT_MAX (512 * 1024) /* bytes of a packet */
#define VICI_NAME_MAX    255
#define VICI_DEPTH_MAX   16 /* sections in each other */

enum vici_packet {
	VICI_CMD_REQUEST,
	VICI_CMD_RESPONSE,
	VICI_CMD_UNKNOWN,
	VICI_EVENT_REGISTER,
	VICI_EVENT_UNREGISTER,
	VICI_EVENT_CONFIRM,
	VICI_EVENT_UNKNOWN,
	VICI_EVENT,
};

enum vici_kind {
	VICI_SECTION_START = 1,
	VICI_SECTION_END,
	VICI_KEY_VALUE,
	VICI_LIST_START,
	VICI_LIST_ITEM,
	VICI_LIST_END,
};

/* ------------------------------------------------------------------ reading */

/* Views into the message. */
struct vici_element {
	enum vici_kind kind;
	struct bytes name;  /* of SECTION_START, KEY_VALUE, LIST_START */
	struct bytes value; /* of KEY_VALUE, LIST_ITEM */
};

/* 0: sections and lists balance, names are printable and of values and lists not empty, nothing is
 * cut off, no deeper than VICI_DEPTH_MAX. Else -EINVAL. */
int vici_validate(struct bytes message);

/* The next element of a valid message; false: there is none. */
bool vici_next(struct reader *r, struct vici_element *out);

bool vici_name_is(const struct vici_element *element, const char *name);

/* The value of a key at the top, {NULL, 0}: it is not there. */
struct bytes vici_get(struct bytes message, const char *key);
/* The same as text of at most size - 1 letters; false: not there, or it does not fit, or it holds a
 * zero byte; *out is "" then. */
bool vici_get_text(struct bytes message, const char *key, char *out, size_t size);
/* yes, true, 1, enabled. What is not there is `otherwise`. */
bool vici_get_bool(struct bytes message, const char *key, bool otherwise);
/* A decimal number, perhaps negative. What is not there, or no number, is `otherwise`. */
long vici_get_number(struct bytes message, const char *key, long otherwise);
/* The items of a list at the top, one after the other: `r` begins as {0}. False: no more. */
bool vici_get_item(struct bytes message, const char *list, struct reader *r, struct bytes *out);

/* ------------------------------------------------------------------ writing */

/* All zero is an empty one. `err` (-EMSGSIZE beyond VICI_SEGMENT_MAX, -ENOMEM) stays set, nothing
 * is written after it. */
struct vici_writer {
	__u8 *data;
	size_t len, size;
	int err;
};

/* Wipes, frees, and makes it empty. */
void vici_free(struct vici_writer *w);
#define _cleanup_vici_ __attribute__((cleanup(vici_free)))

struct bytes vici_view(const struct vici_writer *w);
/* What another message consists of, as it is. */
void vici_append(struct vici_writer *w, struct bytes elements);

/* Names longer than VICI_NAME_MAX are cut off. */
void vici_section(struct vici_writer *w, const char *name);
void vici_section_end(struct vici_writer *w);
void vici_blob(struct vici_writer *w, const char *name, struct bytes value);
void vici_text(struct vici_writer *w, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void vici_bool(struct vici_writer *w, const char *name, bool value);
void vici_list(struct vici_writer *w, const char *name);
void vici_item(struct vici_writer *w, struct bytes value);
void vici_item_text(struct vici_writer *w, const char *text);
void vici_list_end(struct vici_writer *w);

/* success = yes, or success = no and errmsg. */
void vici_success(struct vici_writer *w);
void vici_failure(struct vici_writer *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
