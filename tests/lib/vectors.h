/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of test vectors as NIST's CAVP has them (.rsp), and those like them: lines "NAME = VALUE",
 * and "[NAME = VALUE, ...]" for what stays the same in what follows. A blank line ends a vector.
 * Names are not case-sensitive. A word alone ("FAIL", "[ENCRYPT]") is a name with an empty value.
 */
#ifndef TESTS_LIB_VECTORS_H
#define TESTS_LIB_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xipsec/sa.h"

#define VECTOR_FIELDS 24
#define VECTOR_VALUE  8192

struct vector_field {
	char name[24];
	char value[VECTOR_VALUE];
	bool here; /* stands in this vector itself, not before it */
};

struct vector {
	struct vector_field field[VECTOR_FIELDS];
	unsigned int n;
	unsigned int line; /* where it ended */
};

/* Calls `run` with each vector of the file. What it returns is added up, and returned. A file that
 * cannot be read fails the test. */
unsigned int vectors_run(const char *path, unsigned int (*run)(void *ctx, const struct vector *v),
			 void *ctx);

/* The last value of that name, NULL: none yet. */
const char *vector_text(const struct vector *v, const char *name);
/* The algorithm that its field "alg" names; one that we do not have fails the test. */
enum xipsec_alg vector_alg(const struct vector *v);

/* Does it stand in this vector itself? */
bool vector_has(const struct vector *v, const char *name);

/* -1: no such name. */
long vector_number(const struct vector *v, const char *name);

/* Hex, or text in quotes. Bytes written, at most `size`; -1: no such name. What is longer, or no
 * hex, fails the test. */
long vector_bytes(const struct vector *v, const char *name, uint8_t *to, size_t size);

#endif
