/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and texts of the reasons in include/xipsec/reason.h, for people. */
#ifndef LIB_REASON_H
#define LIB_REASON_H

#include <stdbool.h>
#include "xipsec/reason.h"

/* Static strings; "unspec" for a number that is not in the list. */
const char *reason_name(unsigned int reason);
const char *reason_text(unsigned int reason);
enum xipsec_reason_kind reason_kind(unsigned int reason);
const char *reason_kind_name(unsigned int reason); /* "pass", "steer", "done", "drop" */

/* What to do about packets that end so; "" where nothing is to be done. */
const char *reason_advice(unsigned int reason);

/* Are packets that end so told one by one, as samples? All drops but those that have done their
 * work by ending, what a policy lets pass, and odd congestion marks. bpf/sample.h says the same. */
bool reason_is_told(unsigned int reason);

/* Returns the reason of that name, or -1. */
int reason_from_name(const char *name);

#endif
