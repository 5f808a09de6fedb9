/* SPDX-License-Identifier: BSD-2-Clause */
/* The SA payload (RFC 7296 3.3) ⇄ struct proposals. */
#ifndef IKED_PAYLOAD_SA_H
#define IKED_PAYLOAD_SA_H

#include "iked/message.h"
#include "lib/proposal.h"

/*
 * `body` is `sa` of struct ike_msg. Proposals behind the first PROPOSALS_MAX are validated and not
 * kept; so is a proposal with more than PROPOSAL_TRANSFORMS_MAX transforms, or with an SPI longer
 * than PROPOSAL_SPI_MAX: n can be 0. Types and ids that we do not know are kept, an attribute that
 * we do not know makes a transform `odd`.
 *
 * Returns 0; -EBADMSG: `fault` is INVALID_SYNTAX with words, *out is untouched: a length, a
 * last-substructure mark or the count of transforms is wrong, or a proposal's number is not one
 * more than that before it (3.3.1).
 */
int payload_sa_parse(struct bytes body, struct proposals *out, struct ike_fault *fault);

/* The body. */
void payload_sa_write(struct writer *w, const struct proposals *list);

#endif
