/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes: a view of those of others, a reader that never leaves its bounds, a writer that grows, and
 * a small container for what is secret. Numbers are big-endian on the wire and of the host here.
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/* A view: it owns nothing and lives as long as what it looks at. {NULL, 0}: not there. */
struct bytes {
	const __u8 *data;
	size_t len;
};

#define BYTES(p, n) ((struct bytes){(const __u8 *)(p), (n)})
#define BYTES_NONE  ((struct bytes){NULL, 0})
#define BYTES_OF(x) ((struct bytes){(const __u8 *)&(x), sizeof(x)}) /* an array or a variable */

bool bytes_equal(struct bytes a, struct bytes b);

/* The same without telling by its time where they differ (lengths may be told). */
bool bytes_equal_secret(struct bytes a, struct bytes b);

/* ------------------------------------------------------------------ reading */

/* Past the end it gives zeros, and `failed` stays set: check once, after the last. */
struct reader {
	const __u8 *at, *end;
	bool failed;
};

struct reader reader_of(struct bytes b);
size_t reader_left(const struct reader *r); /* 0 after a failure */
__u8 reader_u8(struct reader *r);
__u16 reader_u16(struct reader *r);
__u32 reader_u32(struct reader *r);
__u64 reader_u64(struct reader *r);
void reader_skip(struct reader *r, size_t n);

/* The next n bytes, {NULL, 0} if there are not so many. With n = 0 its data is not NULL. */
struct bytes reader_bytes(struct reader *r, size_t n);
struct bytes reader_rest(struct reader *r);

/* ------------------------------------------------------------------ writing */

#define WRITER_MAX 65535 /* no IKE message is longer over UDP */

/*
 * Its memory is its own and is wiped when it grows and when it is freed. Beyond WRITER_MAX, or
 * without memory, `err` (-EMSGSIZE, -ENOMEM) stays set and nothing more is written: check once.
 */
struct writer {
	__u8 *data;
	size_t len, size;
	int err;
};

/* An empty one is all zero: struct writer w = {0}; and _cleanup_writer_ gives its memory back. */
void writer_free(struct writer *w);  /* it is empty then, and can be used again */
void writer_reset(struct writer *w); /* wiped and empty, keeps its memory */
struct bytes writer_view(const struct writer *w);
void writer_u8(struct writer *w, __u8 value);
void writer_u16(struct writer *w, __u16 value);
void writer_u32(struct writer *w, __u32 value);
void writer_u64(struct writer *w, __u64 value);
void writer_bytes(struct writer *w, struct bytes b);
void writer_zero(struct writer *w, size_t n);

/* Room for n more bytes, to be filled by the caller; NULL: none, `err` is set. */
__u8 *writer_room(struct writer *w, size_t n);

/* Overwrites two bytes at an offset that was written. */
void writer_set_u16(struct writer *w, size_t at, __u16 value);

#define _cleanup_writer_ __attribute__((cleanup(writer_free)))

/* ------------------------------------------------------------------ secrets */

#define SECRET_MAX 1024 /* g^ir of MODP 8192 */

/* For the stack: _cleanup_secret_ wipes it. */
struct secret {
	size_t len;
	__u8 data[SECRET_MAX];
};

void secret_wipe(struct secret *s);
struct bytes secret_view(const struct secret *s);

#define _cleanup_secret_ __attribute__((cleanup(secret_wipe)))

#endif
