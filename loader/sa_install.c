// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas_inside.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/crypto.h>

#include "lib/log.h"
#include "loader/datapath.h"

/* 0 where the clock was turned back. */
static __u64 seconds_since(long long then)
{
	long long now = (long long)time(NULL);

	return now > then ? (__u64)(now - then) : 0;
}

/* A hard limit is its key's: another life does not begin it anew. */
static int refuse_spent(struct sa *sa, const struct reserve_record *r, char *text)
{
	enum xipsec_limit limit = sa_limits_hard(&sa->sa.limits, sa->aged, r->packets, r->bytes);

	if (!limit)
		return 0;
	snprintf(text, XIPSEC_SADB_ERR_TEXT,
		 "SA %.40s: its key has reached its limit %s: make a new key", sa->sa.name,
		 sa_limits_name(limit));
	return -EKEYEXPIRED;
}

/* It is configured twice over: in the maps of the generation, and at the start of xipsecd. */
static int refuse_full(const struct sas *sas, const struct sa *sa, char *text)
{
	bool maps = sas->n <= sas->max;
	char why[200];

	snprintf(why, sizeof(why),
		 "no room: %u SAs are there, as many as max_sas in datapath {} made room for: "
		 "raise it, stop xipsecd,%s start it",
		 maps ? sas->n : sas->max, maps ? " `xipsec attach --all --upgrade`," : "");
	return sas_refuse(text, -ENOSPC, sa->sa.name, why);
}

/* Reads the record, chooses the place, and makes the next record durable: nothing is given out
 * before that. */
static int place_and_reserve(struct sas *sas, struct sa *sa, const __u8 *key, bool *adopted,
			     char *text)
{
	struct reserve_record r = {0};
	int err;

	if (sa->sa.flags & XIPSEC_SA_MANUAL) {
		err = reserve_claim(sas->reserve, &sa->sa, key, &r, text);
		if (err)
			return err;
		/* The record wins while there is one; without it the oath would repeat nonces. */
		if (r.written && (sa->sa.flags & XIPSEC_SA_FRESH_KEY))
			log_warn("SA %s: its key was used before, take fresh_key = yes out of the "
				 "config: should state_dir be lost, its numbers would repeat",
				 sa->sa.name);
	}
	if (sa_place_choose(sas, &r, &sa->index, adopted))
		return refuse_full(sas, sa, text);
	sa->generation = sa_generation_after(sas_state(sas, sa->index));
	if (!(sa->sa.flags & XIPSEC_SA_MANUAL))
		return 0;
	sa->seq_seen = r.reserved;
	if (*adopted) {
		sa_record_keep_top(&r, sa->sa.dir, sas_state(sas, sa->index));
		sa_record_count(&r, sas_state(sas, sa->index));
	}
	sa->aged = seconds_since(r.since);
	err = refuse_spent(sa, &r, text);
	if (err)
		return err;
	sa->before_packets = r.packets;
	sa->before_bytes = r.bytes;
	r.state = RESERVE_LIVE;
	memcpy(r.where, sas->where, sizeof(r.where));
	r.index = sa->index;
	r.generation = sa->generation;
	sa->top_written = r.replay_top;
	err = sa->sa.dir == XIPSEC_DIR_OUT
		      ? reserve_ahead(sas->reserve, &r, sa->seq_seen, sa->sa.flags & XIPSEC_SA_ESN)
		      : reserve_write(sas->reserve, &r);
	if (err) {
		snprintf(text, XIPSEC_SADB_ERR_TEXT,
			 "SA %.40s: the record of its key cannot be written to state_dir: %s",
			 sa->sa.name, strerror(-err));
		return err;
	}
	reserve_moved(sas->reserve, &sa->sa, key);
	sa->record = r;
	return 0;
}

struct xipsec_sad_key sa_sad_key(const struct xipsec_sa *sa)
{
	return (struct xipsec_sad_key){.dst = sa->dst,
				       .spi = sa->spi,
				       .family = sa->outer_family,
				       .l4_proto = sa->l4_proto};
}

int sas_publish_entry(struct sas *sas, const struct sa *sa)
{
	struct xipsec_sad_key key = sa_sad_key(&sa->sa);
	struct xipsec_sad_entry entry = {.sa_index = sa->index,
					 .sa_generation = sa->generation,
					 .dir = sa->sa.dir,
					 .engine = sa->sa.engine,
					 .udp = sa->sa.flags & XIPSEC_SA_UDP ? 1 : 0};

	if (sa_is_kernel(sa) && sa->sa.dir == XIPSEC_DIR_OUT)
		entry.xfrm = sa->sa.src.word[sa->sa.outer_family == XIPSEC_FAMILY_IP6 ? 3 : 0];
	if (sa_is_kernel(sa) && sa->sa.dir == XIPSEC_DIR_IN)
		entry.refused = entry.udp ? XIPSEC_SAD_NO_PLAIN : XIPSEC_SAD_NO_UDP;
	if (sa_is_kernel(sa) && sa->sa.dir == XIPSEC_DIR_IN && sas->ops->kernel)
		entry.xfrm = sas->ops->kernel->cpu(sas->ctx, sa->turn);
	return sas->ops->sad_set(sas->ctx, &key, &entry);
}

void sas_tell_peer(struct sas *sas, struct sa *sa, bool here)
{
	const struct xipsec_peer_key key = {
		.src = sa->sa.src,
		.dst = sa->sa.dst,
		.family = sa->sa.outer_family,
		.l4_proto = sa->sa.flags & XIPSEC_SA_UDP ? IPPROTO_UDP : sa->sa.l4_proto};
	int err;

	if (sa->sa.dir != XIPSEC_DIR_IN || !sas->ops->peer || sa->peer_told == here)
		return;
	err = sas->ops->peer(sas->ctx, &key, here);
	if (err && err != -ENOENT)
		log_error("SA %s: what comes in pieces must come in order: the map peers: %s",
			  sa->sa.name, strerror(-err));
	sa->peer_told = here && !err;
}

int sas_publish(struct sas *sas, struct sa *sa)
{
	struct xipsec_sad_key key = sa_sad_key(&sa->sa);
	struct xipsec_child child = {
		.sa_index = sa->index, .sa_generation = sa->generation, .engine = sa->sa.engine};
	int err;

	err = sas_publish_entry(sas, sa);
	if (!err && sa->sa.dir == XIPSEC_DIR_OUT && sa_is_kernel(sa))
		err = sa_kernel_lead_out(sas, sa);
	if (!err && sa->sa.dir == XIPSEC_DIR_OUT)
		err = sas->ops->child_set(sas->ctx, sa->child, &child);
	if (err)
		sas->ops->sad_delete(sas->ctx, &key);
	else
		sas_tell_peer(sas, sa, true);
	return err;
}

void sas_give_to_workers(struct sas *sas, const struct sa *sa)
{
	struct ctl_sa msg;

	sas_message(sas, sa, &msg);
	sas->ops->install(sas->ctx, &msg);
	OPENSSL_cleanse(&msg, sizeof(msg));
}

static void refuse_child(const struct sa *sa, int err, char *text)
{
	char why[200];

	snprintf(why, sizeof(why), "its child gets no number: %s", datapath_id_why(err));
	sas_refuse(text, err, sa->sa.name, why);
}

static void refuse_maps(const struct sa *sa, int err, char *text)
{
	char why[120];

	snprintf(why, sizeof(why), "the maps do not take it: %s",
		 err == -E2BIG ? "they are full; raise max_sas in datapath {}" : strerror(-err));
	sas_refuse(text, err, sa->sa.name, why);
}

int sas_add(struct sas *sas, const struct xipsec_sa *want, char *text)
{
	bool adopted = false;
	struct sa *sa;
	int err;

	err = sas_check(sas, want, text);
	if (err)
		return err;
	sa = calloc(1, offsetof(struct sa, sa) + XIPSEC_SA_SIZE(want->n_selectors));
	if (!sa)
		return sas_refuse(text, -ENOMEM, want->name, "no memory");
	xipsec_sa_copy(&sa->sa, want);
	OPENSSL_cleanse(sa->sa.key, sizeof(sa->sa.key));
	sa->born = sas_now();
	sa->serial = ++sas->serial;
	sa->given_src = want->src;
	sa->given_dst = want->dst;
	sa->given_src_port = want->src_port;
	sa->given_dst_port = want->dst_port;
	err = sas->ops->child_id(sas->ctx, &sa->sa);
	if (err < 0) {
		refuse_child(sa, err, text);
		goto failed;
	}
	sa->child = err;
	err = sa_kernel_choose(sas, sa, text);
	if (err)
		goto failed;
	if (sa_is_kernel(sa) && sa->sa.dir == XIPSEC_DIR_IN)
		sa->turn = sas->turn++;
	err = place_and_reserve(sas, sa, want->key, &adopted, text);
	if (err)
		goto failed;
	memcpy(sas_key(sas, sa->index), want->key, want->key_len);
	sa_place_put(sas, sa);
	sa_place_prepare(sas, sa, adopted);
	if (sa_is_kernel(sa))
		err = sa_kernel_add(sas, sa, text);
	else
		sas_give_to_workers(sas, sa);
	if (err) {
		sa_wish_failed(sas, sa);
		sas_delete(sas, &sa, 1);
		return err;
	}
	err = sas_publish(sas, sa);
	if (err) {
		refuse_maps(sa, err, text);
		sas_delete(sas, &sa, 1);
		return err;
	}
	sa->added_told = true;
	sa_event_tell(sas, sa, XIPSEC_EVENT_ADDED, XIPSEC_LIMIT_NONE);
	return 0;
failed:
	free(sa);
	return err;
}

/* ------------------------------------------------------------------ delete */

/* Another SA of that child that is up, or NULL: after a rekey was taken back, the old one serves
 * again. */
static const struct sa *other_outbound(struct sas *sas, const struct sa *gone, struct sa **list,
				       unsigned int n)
{
	const struct sa *best = NULL;

	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		bool going = sa->sa.dir != XIPSEC_DIR_OUT || sa->child != gone->child;

		for (unsigned int i = 0; i < n && !going; i++)
			going = list[i] == sa;
		if (!going && (!best || sa->serial > best->serial))
			best = sa;
	}
	return best;
}

static void unpublish(struct sas *sas, struct sa *sa, struct sa **list, unsigned int n)
{
	struct xipsec_sad_key key = sa_sad_key(&sa->sa);
	struct xipsec_child child = {0};
	int err = 0;

	if (sa->sa.dir == XIPSEC_DIR_OUT) {
		const struct sa *other = other_outbound(sas, sa, list, n);

		if (other && sa_is_kernel(other))
			err = sa_kernel_lead_out(sas, other);
		if (other && !err)
			child = (struct xipsec_child){.sa_index = other->index,
						      .sa_generation = other->generation,
						      .engine = other->sa.engine};
		err = sas->ops->child_set(sas->ctx, sa->child, &child);
	}
	sas_tell_peer(sas, sa, false);
	if (!err)
		err = sas->ops->sad_delete(sas->ctx, &key);
	/* What the maps still say is caught by the generation: the worker knows it no more. */
	if (err && err != -ENOENT)
		log_error("SA %s: its map entries stay: %s", sa->sa.name, strerror(-err));
}

int sas_delete(struct sas *sas, struct sa **list, unsigned int n)
{
	struct ctl_sa_ref one, *refs;
	unsigned int n_refs = 0;
	int err, first = 0;

	if (!n)
		return 0;
	refs = n > 1 ? calloc(n, sizeof(*refs)) : &one;
	if (!refs) {
		/* One at a time needs no memory. */
		for (unsigned int i = 0; i < n; i++) {
			err = sas_delete(sas, &list[i], 1);
			first = first ? first : err;
		}
		return first;
	}
	for (unsigned int i = 0; i < n; i++) {
		unpublish(sas, list[i], list, n);
		if (sa_is_kernel(list[i]))
			continue;
		refs[n_refs++] = (struct ctl_sa_ref){
			.hdr = {XIPSEC_CTL_SA_GONE, XIPSEC_ABI, sizeof(refs[0])},
			.index = list[i]->index,
			.generation = list[i]->generation};
	}
	if (n_refs)
		sas->ops->forget(sas->ctx, refs, n_refs);
	for (unsigned int i = 0; i < n; i++) {
		if (sa_is_kernel(list[i]))
			sa_kernel_gone(sas, list[i]);
		err = sa_record_close(sas, list[i], RESERVE_DELETED);
		first = first ? first : err;
		log_info("SA %s is deleted", list[i]->sa.name);
		if (list[i]->added_told)
			sa_event_tell(sas, list[i], XIPSEC_EVENT_DELETED, XIPSEC_LIMIT_NONE);
		sa_place_release(sas, list[i], err != 0);
	}
	if (refs != &one)
		free(refs);
	return first;
}

void sas_stop(struct sas *sas)
{
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		struct xipsec_sad_key key = sa_sad_key(&sa->sa);
		struct xipsec_child none = {0};

		if (sa->sa.dir == XIPSEC_DIR_OUT)
			sas->ops->child_set(sas->ctx, sa->child, &none);
		sas_tell_peer(sas, sa, false);
		sas->ops->sad_delete(sas->ctx, &key);
		if (sa_is_kernel(sa))
			sa_kernel_gone(sas, sa);
		sa_record_close(sas, sa, RESERVE_LIVE);
	}
}
