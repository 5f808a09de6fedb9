// SPDX-License-Identifier: BSD-2-Clause
#include "iked/wishes.h"

#include <string.h>

#include "iked/engine_state.h"

static bool is_in(struct bytes hashes, const __u8 *hash)
{
	for (size_t at = 0; at + CERT_HASH_LEN <= hashes.len; at += CERT_HASH_LEN)
		if (!memcmp(hashes.data + at, hash, CERT_HASH_LEN))
			return true;
	return false;
}

void wishes_of(const struct ike_conn *conn, struct wishes *out)
{
	const struct conn *model = &conn->model;

	out->fragments |= model->fragmentation != CONN_FRAG_NO;
	if (!model->send_certreq || model->remote.kind != CONN_AUTH_PUBKEY)
		return;
	out->certs |= !conn->cas_len;
	for (size_t at = 0; at + CERT_HASH_LEN <= conn->cas_len; at += CERT_HASH_LEN)
		if (!is_in(writer_view(&out->cas), conn->cas + at))
			writer_bytes(&out->cas, BYTES(conn->cas + at, CERT_HASH_LEN));
}

struct search {
	const struct ike_path *path;
	struct wishes *wishes;
	unsigned int n;
};

static bool add(void *arg, struct ike_conn *conn)
{
	struct search *search = arg;

	if (!ike_conn_says(conn, search->path))
		return true;
	wishes_of(conn, search->wishes);
	return ++search->n < INIT_CONNS_MAX;
}

void wishes_at(const struct engine *engine, const struct ike_path *path, struct wishes *out)
{
	struct search search = {.path = path, .wishes = out};

	conn_index_at(&engine->index, path, add, &search);
}

void wishes_certreq(const struct wishes *w, const struct engine *engine, struct ike_out *out)
{
	_cleanup_writer_ struct writer all = {0};
	struct bytes hashes = writer_view(&w->cas);

	if (!engine->trust)
		return;
	if (w->certs) {
		cert_store_hashes(engine->trust, &all);
		hashes = writer_view(&all);
	}
	if (hashes.len && !all.err && !w->cas.err)
		ike_out_certreq(out, IKE_CERT_X509_SIGNATURE, hashes);
}
