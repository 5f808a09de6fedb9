/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is the peer who it says? Its identity against the connection, its AUTH by pre-shared key (the
 * parent compares) or by signature (its certificate is checked here).
 */
#ifndef IKED_PEER_AUTH_H
#define IKED_PEER_AUTH_H

#include "iked/setup.h"

/* Our identity on that connection: what it names, or our address. NULL: no memory. Own it. */
struct ident *peer_auth_own_id(const struct ike_conn *conn, const struct ike_path *path);

/*
 * Responder: the connection for these identities (IDr may be absent), with an IKE proposal that the
 * IKE SA's suite is of, and the kind of AUTH that came. NULL: none. ike->conn stays.
 */
struct ike_conn *peer_auth_choose(const struct ike_sa *ike, const struct ident *id_i,
				  const struct ident *id_r, __u8 method);

/*
 * `id` is the peer's ID payload, as it is in `msg`. Calls `then` with 0, -EACCES or another -errno
 * and what is wrong, at once or when the parent has answered; x is parked until then.
 */
void peer_auth_check(struct xchg *x, const struct ike_msg *msg, const struct ike_id *id,
		     void (*then)(struct xchg *x, const struct answer *answer));

#endif
