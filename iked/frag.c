// SPDX-License-Identifier: BSD-2-Clause
#include "iked/frag.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "iked/bounds.h"

struct frag_piece {
	__u32 len;
	__u8 data[];
};

void frag_reset(struct frag *g)
{
	for (unsigned int i = 0; g->piece && i < g->total; i++) {
		if (g->piece[i])
			OPENSSL_cleanse(g->piece[i]->data, g->piece[i]->len);
		free(g->piece[i]);
	}
	free(g->piece);
	*g = (struct frag){0};
}

static bool same_set(const struct frag *g, const struct ike_msg *msg)
{
	return g->total && g->id == msg->h.id && g->total == msg->sk.total;
}

bool frag_wanted(const struct frag *g, const struct ike_msg *msg)
{
	const struct ike_sk *sk = &msg->sk;

	if (!sk->fragment || !sk->number || sk->number > sk->total || sk->total > IKE_FRAGMENTS_MAX)
		return false;
	if (g->total && g->id == msg->h.id && sk->total < g->total)
		return false;
	return !same_set(g, msg) || !g->piece[sk->number - 1];
}

static int set_begin(struct frag *g, const struct ike_msg *msg)
{
	frag_reset(g);
	g->piece = calloc(msg->sk.total, sizeof(g->piece[0]));
	if (!g->piece)
		return -ENOMEM;
	g->id = msg->h.id;
	g->total = msg->sk.total;
	return 0;
}

enum frag_result frag_add(struct frag *g, const struct ike_msg *msg, struct bytes text)
{
	struct frag_piece *piece;

	if (!frag_wanted(g, msg) || text.len > IKE_MESSAGE_MAX)
		return FRAG_DROP;
	if (!same_set(g, msg) && set_begin(g, msg))
		return FRAG_ERROR;
	if (g->len + text.len > IKE_MESSAGE_MAX) {
		frag_reset(g); /* it would never become a message */
		return FRAG_DROP;
	}
	piece = malloc(sizeof(*piece) + text.len);
	if (!piece)
		return FRAG_ERROR;
	piece->len = (__u32)text.len;
	if (text.len)
		memcpy(piece->data, text.data, text.len);
	g->piece[msg->sk.number - 1] = piece;
	g->len += piece->len;
	g->have++;
	if (msg->sk.number == 1)
		g->first = msg->sk.first;
	return g->have == g->total ? FRAG_WHOLE : FRAG_WAIT;
}

int frag_take(struct frag *g, struct writer *out, __u8 *first)
{
	int err;

	if (!g->total || g->have != g->total)
		return -EINVAL;
	for (unsigned int i = 0; i < g->total; i++)
		writer_bytes(out, BYTES(g->piece[i]->data, g->piece[i]->len));
	*first = g->first;
	err = out->err;
	frag_reset(g);
	return err;
}
