/* SPDX-License-Identifier: BSD-2-Clause */
/* The SA payload (RFC 7296 3.3) ⇄ struct proposals. */
#ifndef IKED_PAYLOAD_SA_H
#define IKED_PAYLOAD_SA_H

#include "iked/message.h"
#include "lib/proposal.h"

/*
 * `body` is `sa` of struct ike_msg. Proposals behind the first PROPOSALS_MAX are validated and not
 * kept; so is a proposal with more than PROPOSAL_TRANSFORMS_MAX transforms, or with an SPI longer
 * than PROPOSAL_SPI_MAX. A transform with an attribute that we do not know is not kept (3.3.6: it
 * must not be chosen); types and ids that we do not know are. Returns 0; -EBADMSG: `fault` is
 * INVALID_SYNTAX with words, *out is untouched: lengths, last-substructure marks, transform counts
 * or proposal numbers (from 1, each one more than the last; 3.3.1) are wrong, or it is empty.
 */
int payload_sa_parse(struct bytes body, struct proposals *out, struct ike_fault *fault);

/* The body. */
void payload_sa_write(struct writer *w, const struct proposals *list);

#endif
