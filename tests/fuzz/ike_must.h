/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold of an IKE message, an identity or a list, whoever sent it. */
#ifndef TESTS_FUZZ_IKE_MUST_H
#define TESTS_FUZZ_IKE_MUST_H

#include "iked/ident.h"
#include "iked/message.h"
#include "tests/fuzz/harness.h"

/* Every view lies in `outer` or in `inner`, every count in its bound; what can be read further is
 * read, written again, and is the same. */
void ike_msg_must(const struct ike_msg *msg, struct bytes outer, struct bytes inner);

/* A refusal says why. */
void ike_fault_must(const struct ike_fault *fault);

/* Printable, equal to itself, matched by itself and by %any. */
void ident_must(const struct ident *id);

#endif
