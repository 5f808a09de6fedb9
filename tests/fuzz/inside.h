/* SPDX-License-Identifier: BSD-2-Clause */
/* What an SA carried, in packets as they were before they were sealed, and what has to become of
 * it. */
#ifndef TESTS_FUZZ_INSIDE_H
#define TESTS_FUZZ_INSIDE_H

#include "tests/fuzz/harness.h"

#define INSIDE_MAX 4096
struct inside {
	__u8 data[INSIDE_MAX];
	__u32 len;
	__u8 sum_new; /* its transport checksum is to be made anew */
};

/* Of the text that was sealed, in transport mode behind the `front_len` bytes in front of ESP or AH
 * as they came. 0: those do not lead to it, so the programs let none such through. */
int inside_make(const struct ends *ends, struct inside *inside, const __u8 *front, __u32 front_len,
		const __u8 *text, __u32 text_len, __u8 next);

/* With an SA that has opened nothing. */
void inside_begin(void);

/* What is to become of it, OPENED or why not, asked once of each that was authentic and in their
 * order: a later fragment is allowed as its datagram's head was. */
enum xipsec_reason inside_judge(const struct ends *ends, const struct inside *inside, __u8 next,
				__u8 outer_tos);

/* `p` ended as it `deserved` (UNSPEC: that cannot be said); what was opened is just what is inside,
 * but for ECN and checksums. */
void inside_must(const struct ends *ends, const struct inside *inside, const struct packet *p,
		 __u8 outer_tos, enum xipsec_reason deserved);

#endif
