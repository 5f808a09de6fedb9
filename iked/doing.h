/* SPDX-License-Identifier: BSD-2-Clause */
/* What an IKE SA is doing itself, as the table of collisions asks (collide.h). */
#ifndef IKED_DOING_H
#define IKED_DOING_H

#include "iked/collide.h"
#include "iked/xchg.h"

/* `child`: whom the peer's request is about; NULL: no child in particular. */
enum collide_doing ike_doing(const struct ike_sa *ike, const struct child_sa *child);

/* Its task goes back into the queue, in front, to be begun again after `wait` ms and as many more
 * at the most; 0: at once. */
void x_again(struct xchg *x, __u64 wait);

/* TEMPORARY_FAILURE: our task waits and tries again. false: it has tried for long enough, and the
 * IKE SA is closed (RFC 7296 2.25). */
bool x_temporary(struct xchg *x);

#endif
