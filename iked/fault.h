/* SPDX-License-Identifier: BSD-2-Clause */
/* How a parser says what is wrong with a message. */
#ifndef IKED_FAULT_H
#define IKED_FAULT_H

#include "iked/message.h"

/* Fills *fault (NULL is fine) with a notify without data; -EBADMSG, to be returned. */
int ike_fault_set(struct ike_fault *fault, enum ike_notify_type notify, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* INVALID_SYNTAX. */
#define ike_fault_syntax(fault, ...) ike_fault_set(fault, IKE_N_INVALID_SYNTAX, __VA_ARGS__)

#endif
