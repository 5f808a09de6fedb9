/* SPDX-License-Identifier: BSD-2-Clause */
/* A skip says why: tests/run.sh prints the words beside the skipped test. For cmocka tests. */
#ifndef TESTS_LIB_SKIP_H
#define TESTS_LIB_SKIP_H

#include <stdio.h>

#define skip_because(why)                    \
	do {                                 \
		printf("# skip: %s\n", why); \
		fflush(stdout);              \
		skip();                      \
	} while (0)

#endif
