/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a responder says in IKE_SA_INIT depends on the connection, and which one is meant the peer
 * says in IKE_AUTH alone. So it speaks for all that may be: certificates are asked for of every CA
 * that one of them takes, and fragments are taken if one of them wants that.
 */
#ifndef IKED_WISHES_H
#define IKED_WISHES_H

#include "iked/ike_sa.h"

struct wishes {
	bool fragments;
	bool certs; /* one of them wants a certificate of any CA */
	struct writer
		cas; /* else hashes of those, CERT_HASH_LEN bytes each; empty: none is wanted */
};

/* Of the connections for a peer at that path, INIT_CONNS_MAX of different wishes at most. */
void wishes_at(const struct engine *engine, const struct ike_path *path, struct wishes *out);
/* Of one, which is known. */
void wishes_of(const struct ike_conn *conn, struct wishes *out);
static inline void wishes_free(struct wishes *w)
{
	writer_free(&w->cas);
}
#define _cleanup_wishes_ __attribute__((cleanup(wishes_free)))

/* CERTREQ, if there is anything to ask for. */
void wishes_certreq(const struct wishes *w, const struct engine *engine, struct ike_out *out);

#endif
