// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <openssl/crypto.h>

#include "lib/log.h"

/* A key's room in the locked mapping. */
#define KEY_STRIDE 64

/* An outbound SA shared by workers sends up to so far out of order: the peer's window must be as
 * wide (the peer's is taken to be like ours). */
#define SHARED_WINDOW_MIN 1024

struct sas {
	unsigned int max;
	unsigned int count;
	struct sa **table; /* by index into sa_state */
	__u8 *keys;        /* by index, KEY_STRIDE apart */
	struct reserve *reserve;
	const struct sas_ops *ops;
	void *ctx;
	/* where states stand */
	char *states;
	size_t stride;
	unsigned int n;
	char where[RESERVE_WHERE_LEN];
	__u32 cursor;
	__u64 tops_at; /* when replay tops were last written, seconds */
};

_Static_assert(KEY_STRIDE >= XIPSEC_KEY_MAX, "a key fits");

static __u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

static struct xipsec_sa_state *state_of(const struct sas *sas, __u32 index)
{
	return (void *)(sas->states + (size_t)index * sas->stride);
}

static __u8 *key_of(const struct sas *sas, __u32 index)
{
	return sas->keys + (size_t)index * KEY_STRIDE;
}

struct sas *sas_new(unsigned int max, struct reserve *reserve, const struct sas_ops *ops, void *ctx)
{
	size_t size = (size_t)max * KEY_STRIDE;
	struct sas *sas = calloc(1, sizeof(*sas));

	if (!sas)
		return NULL;
	sas->table = calloc(max, sizeof(struct sa *));
	sas->keys = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!sas->table || sas->keys == MAP_FAILED) {
		if (sas->keys != MAP_FAILED)
			munmap(sas->keys, size);
		free(sas->table);
		free(sas);
		return NULL;
	}
	if (mlock(sas->keys, size) < 0)
		log_warn("keys can be swapped out: mlock of %zu bytes: %s; raise LimitMEMLOCK",
			 size, strerror(errno));
	if (madvise(sas->keys, size, MADV_DONTDUMP) < 0 ||
	    madvise(sas->keys, size, MADV_DONTFORK) < 0)
		log_warn("keys cannot be kept from dumps and children: %s", strerror(errno));
	sas->max = max;
	sas->reserve = reserve;
	sas->ops = ops;
	sas->ctx = ctx;
	return sas;
}

void sas_free(struct sas *sas)
{
	if (!sas)
		return;
	for (__u32 i = 0; i < sas->max; i++)
		free(sas->table[i]);
	OPENSSL_cleanse(sas->keys, (size_t)sas->max * KEY_STRIDE);
	munmap(sas->keys, (size_t)sas->max * KEY_STRIDE);
	free(sas->table);
	free(sas);
}

/* ------------------------------------------------------------------ look-ups */

struct sa *sas_next(struct sas *sas, const struct sa *after)
{
	for (__u32 i = after ? after->index + 1 : 0; i < sas->max; i++)
		if (sas->table[i])
			return sas->table[i];
	return NULL;
}

struct sa *sas_by_name(struct sas *sas, const char *name)
{
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa))
		if (strcmp(sa->sa.name, name) == 0)
			return sa;
	return NULL;
}

struct sa *sas_by_spi(struct sas *sas, const struct xipsec_addr *dst, __u8 family, __be32 spi)
{
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa))
		if (sa->sa.spi == spi && sa->sa.outer_family == family &&
		    memcmp(&sa->sa.dst, dst, sizeof(*dst)) == 0)
			return sa;
	return NULL;
}

struct sa *sas_by_index(struct sas *sas, __u32 index)
{
	return index < sas->max ? sas->table[index] : NULL;
}

unsigned int sas_count(const struct sas *sas)
{
	return sas->count;
}

static bool same_key(const struct sas *sas, const struct sa *have, const struct xipsec_sa *want)
{
	return have->sa.key_len == want->key_len &&
	       CRYPTO_memcmp(key_of(sas, have->index), want->key, want->key_len) == 0;
}

bool sas_same(const struct sas *sas, const struct sa *have, const struct xipsec_sa *want)
{
	struct xipsec_sa a = have->sa, b = *want;
	bool same = same_key(sas, have, want);

	OPENSSL_cleanse(b.key, sizeof(b.key));
	/* Swearing that a key is fresh does not make it another SA; the engine may have been left
	 * to us. */
	a.flags &= ~XIPSEC_SA_FRESH_KEY;
	b.flags &= ~XIPSEC_SA_FRESH_KEY;
	if (b.engine == XIPSEC_ENGINE_NONE)
		b.engine = a.engine;
	b.flags |= a.flags & XIPSEC_SA_MANUAL;
	return same && memcmp(&a, &b, sizeof(a)) == 0;
}

/* ------------------------------------------------------------------ install */

static const struct {
	__u8 key, salt;
} alg_sizes[XIPSEC_ALG_COUNT] = {{0, 0},
#define ALG_SIZES(sym, name, key, salt, iv, icv, align) {key, salt},
				 XIPSEC_ALGS(ALG_SIZES)
#undef ALG_SIZES
};

static const char *fault_of(const struct xipsec_sa *sa)
{
	if (!memchr(sa->name, 0, sizeof(sa->name)) || !memchr(sa->child, 0, sizeof(sa->child)) ||
	    !sa->name[0] || !sa->child[0])
		return "it needs a name and a child";
	if (sa->dir != XIPSEC_DIR_IN && sa->dir != XIPSEC_DIR_OUT)
		return "direction is neither in nor out";
	if (sa->alg == XIPSEC_ALG_NONE || sa->alg >= XIPSEC_ALG_COUNT)
		return "unknown algorithm";
	if (sa->key_len != (__u32)alg_sizes[sa->alg].key + alg_sizes[sa->alg].salt)
		return "the key has the wrong length for its algorithm";
	if (ntohl(sa->spi) < 256)
		return "SPIs below 256 are reserved";
	if (sa->outer_family != XIPSEC_FAMILY_IP4 && sa->outer_family != XIPSEC_FAMILY_IP6)
		return "outer addresses are neither IPv4 nor IPv6";
	if (sa->l4_proto != IPPROTO_ESP)
		return "only ESP is there";
	if (sa->mode != XIPSEC_MODE_TUNNEL)
		return "only tunnel mode is there yet";
	if (sa->engine == XIPSEC_ENGINE_XFRM)
		return "the engine xfrm is not there yet: say afxdp or auto";
	if (sa->engine > XIPSEC_ENGINE_XFRM)
		return "unknown engine";
	if (sa->flags & XIPSEC_SA_UDP)
		return "ESP in UDP is not there yet";
	if (sa->window < XIPSEC_WINDOW_MIN || sa->window > XIPSEC_WINDOW_MAX)
		return "replay window is not within 64 to 8192";
	if (sa->n_selectors > XIPSEC_SELECTORS_MAX)
		return "too many selectors";
	if (sa->dir == XIPSEC_DIR_IN && sa->n_selectors == 0)
		return "an inbound SA without selectors would let nothing through";
	return NULL;
}

static int refuse(char *text, int err, const char *name, const char *why)
{
	snprintf(text, XIPSEC_SADB_ERR_TEXT, "SA %.*s: %s", 40, name, why);
	return err;
}

/* Refuses what stands in the way of `sa`. Two SAs with one key would have two counters for it. */
static int check_new(struct sas *sas, const struct xipsec_sa *sa, char *text)
{
	const char *fault = fault_of(sa);

	if (fault)
		return refuse(text, -EINVAL, memchr(sa->name, 0, sizeof(sa->name)) ? sa->name : "?",
			      fault);
	if (!sas->states)
		return refuse(text, -EAGAIN, sa->name, "nothing is attached: xipsec attach");
	if (sas_by_name(sas, sa->name))
		return refuse(text, -EEXIST, sa->name, "there is one of that name already");
	if (sas_by_spi(sas, &sa->dst, sa->outer_family, sa->spi))
		return refuse(text, -EEXIST, sa->name,
			      "there is one with that destination and SPI already");
	for (struct sa *other = sas_next(sas, NULL); other; other = sas_next(sas, other)) {
		if (!same_key(sas, other, sa))
			continue;
		snprintf(text, XIPSEC_SADB_ERR_TEXT,
			 "SA %.40s: SA %.40s has the same key; every SA needs a key of its own",
			 sa->name, other->sa.name);
		return -EEXIST;
	}
	if (sa->dir == XIPSEC_DIR_OUT && sa->window < SHARED_WINDOW_MIN &&
	    sas->ops->workers(sas->ctx) > 1)
		return refuse(
			text, -EINVAL, sa->name,
			"several workers would share it: set replay_window = 1024 or more, or "
			"workers = 1");
	if ((sa->flags & XIPSEC_SA_MANUAL) && !sas->reserve)
		return refuse(text, -EPERM, sa->name, "manual keys need a state_dir");
	return 0;
}

static bool place_free(const struct sas *sas, __u32 index)
{
	return index < sas->n && index < sas->max && !sas->table[index];
}

/* The place that the record names, when its window still stands there; else a free one. */
static int choose_place(struct sas *sas, const struct reserve_record *record, __u32 *index,
			bool *adopted)
{
	unsigned int n = sas->n < sas->max ? sas->n : sas->max;

	*adopted = false;
	if (record->where[0] && strcmp(record->where, sas->where) == 0 &&
	    place_free(sas, record->index)) {
		const struct xipsec_sa_state *state = state_of(sas, record->index);

		if (__atomic_load_n(&state->generation, __ATOMIC_ACQUIRE) == record->generation &&
		    state->status != XIPSEC_SA_FREE) {
			*adopted = true;
			*index = record->index;
			return 0;
		}
	}
	for (unsigned int tried = 0; tried < n; tried++) {
		__u32 i = sas->cursor++ % n;

		/* A place that a dead xipsecd left may hold the window of an SA that is still to
		 * be read from the config: those go last. */
		if (place_free(sas, i) && state_of(sas, i)->status == XIPSEC_SA_FREE) {
			*index = i;
			return 0;
		}
	}
	for (__u32 i = 0; i < n; i++) {
		if (place_free(sas, i)) {
			*index = i;
			return 0;
		}
	}
	return -ENOSPC;
}

/* Everything at or below `top` counts as seen. Words as in maps.h. */
static void window_close(struct xipsec_sa_state *state, __u64 top)
{
	__u64 last = top / 32;

	for (__u64 i = 0; i < XIPSEC_REPLAY_WORDS && i <= last; i++) {
		__u64 block = last - i;
		__u64 tag = (block / XIPSEC_REPLAY_WORDS) & UINT32_MAX;
		__u32 bits = i ? UINT32_MAX : UINT32_MAX >> (31 - top % 32);

		__atomic_store_n(&state->replay[block % XIPSEC_REPLAY_WORDS], tag << 32 | bits,
				 __ATOMIC_RELAXED);
	}
	state->replay_top = top;
}

/* Generation grows in its place for as long as the place exists; 0 is never one. */
static __u32 generation_after(const struct xipsec_sa_state *state)
{
	__u32 next = __atomic_load_n(&state->generation, __ATOMIC_ACQUIRE) + 1;

	return next ? next : 1;
}

static void state_prepare(struct sas *sas, const struct sa *sa, bool adopted)
{
	struct xipsec_sa_state *state = state_of(sas, sa->index);
	bool out = sa->sa.dir == XIPSEC_DIR_OUT;

	__atomic_store_n(&state->status, XIPSEC_SA_FREE, __ATOMIC_SEQ_CST);
	if (!adopted) {
		memset((char *)state + sizeof(state->generation), 0,
		       sizeof(*state) - sizeof(state->generation));
		if (!out && sa->record.replay_top)
			window_close(state, sa->record.replay_top);
	} else if (!out && sa->record.replay_top > state->replay_top) {
		window_close(state, sa->record.replay_top);
	}
	state->window = sa->sa.window;
	state->esn = sa->sa.flags & XIPSEC_SA_ESN ? 1 : 0;
	state->seq = out ? sa->seq_seen : 0;
	state->seq_limit = 0;
	if (out)
		state->seq_limit = sa->sa.flags & XIPSEC_SA_MANUAL ? sa->record.reserved
								   : reserve_end(state->esn);
	__atomic_store_n(&state->generation, sa->generation, __ATOMIC_SEQ_CST);
	__atomic_store_n(&state->status, XIPSEC_SA_LIVE, __ATOMIC_SEQ_CST);
}

/* Before the record names another place than `state`: should we die before that one is ready, the
 * record's top is all that is left of the window. */
static void keep_top(struct reserve_record *record, __u8 dir, const struct xipsec_sa_state *state)
{
	__u64 top = __atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE);

	if (dir == XIPSEC_DIR_IN && top > record->replay_top)
		record->replay_top = top;
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
	if (choose_place(sas, &r, &sa->index, adopted))
		return refuse(text, -ENOSPC, sa->sa.name, "no room: raise max_sas and restart");
	sa->generation = generation_after(state_of(sas, sa->index));
	if (!(sa->sa.flags & XIPSEC_SA_MANUAL))
		return 0;
	sa->seq_seen = r.reserved;
	if (*adopted)
		keep_top(&r, sa->sa.dir, state_of(sas, sa->index));
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
	sa->record = r;
	return 0;
}

static struct xipsec_sad_key sad_key(const struct xipsec_sa *sa)
{
	return (struct xipsec_sad_key){.dst = sa->dst,
				       .spi = sa->spi,
				       .family = sa->outer_family,
				       .l4_proto = sa->l4_proto};
}

/* The way to the SA opens: from here on packets can meet it. */
static int publish(struct sas *sas, const struct sa *sa)
{
	struct xipsec_sad_key key = sad_key(&sa->sa);
	struct xipsec_sad_entry entry = {.sa_index = sa->index,
					 .sa_generation = sa->generation,
					 .dir = sa->sa.dir,
					 .engine = sa->sa.engine,
					 .udp = sa->sa.flags & XIPSEC_SA_UDP ? 1 : 0};
	struct xipsec_child child = {
		.sa_index = sa->index, .sa_generation = sa->generation, .engine = sa->sa.engine};
	int err;

	err = sas->ops->sad_set(sas->ctx, &key, &entry);
	if (!err && sa->sa.dir == XIPSEC_DIR_OUT)
		err = sas->ops->child_set(sas->ctx, sa->child, &child);
	if (err)
		sas->ops->sad_delete(sas->ctx, &key);
	return err;
}

void sas_message(const struct sas *sas, const struct sa *sa, struct ctl_sa *out)
{
	*out = (struct ctl_sa){
		.hdr = {XIPSEC_CTL_SA, XIPSEC_ABI, sizeof(*out)},
		.index = sa->index,
		.generation = sa->generation,
		.sa = sa->sa,
	};
	memcpy(out->sa.key, key_of(sas, sa->index), sa->sa.key_len);
}

static void give_to_workers(struct sas *sas, const struct sa *sa)
{
	struct ctl_sa msg;

	sas_message(sas, sa, &msg);
	sas->ops->install(sas->ctx, &msg);
	OPENSSL_cleanse(&msg, sizeof(msg));
}

static void place_put(struct sas *sas, struct sa *sa)
{
	sas->table[sa->index] = sa;
	sas->count++;
}

/* A kept window is found again by the record, as after the death of an xipsecd. */
static void place_release(struct sas *sas, struct sa *sa, bool keep_window)
{
	if (!keep_window)
		__atomic_store_n(&state_of(sas, sa->index)->status, XIPSEC_SA_FREE,
				 __ATOMIC_SEQ_CST);
	OPENSSL_cleanse(key_of(sas, sa->index), KEY_STRIDE);
	sas->table[sa->index] = NULL;
	sas->count--;
	free(sa);
}

int sas_add(struct sas *sas, const struct xipsec_sa *want, char *text)
{
	bool adopted = false;
	struct sa *sa;
	int err;

	err = check_new(sas, want, text);
	if (err)
		return err;
	sa = calloc(1, sizeof(*sa));
	if (!sa)
		return refuse(text, -ENOMEM, want->name, "no memory");
	sa->sa = *want;
	OPENSSL_cleanse(sa->sa.key, sizeof(sa->sa.key));
	if (sa->sa.engine == XIPSEC_ENGINE_NONE)
		sa->sa.engine = XIPSEC_ENGINE_AFXDP;
	sa->born = now();
	err = sas->ops->child_id(sas->ctx, sa->sa.child);
	if (err < 0) {
		refuse(text, err, sa->sa.name, "its child gets no id: too many children");
		goto failed;
	}
	sa->child = err;
	err = place_and_reserve(sas, sa, want->key, &adopted, text);
	if (err)
		goto failed;
	memcpy(key_of(sas, sa->index), want->key, want->key_len);
	place_put(sas, sa);
	state_prepare(sas, sa, adopted);
	give_to_workers(sas, sa);
	err = publish(sas, sa);
	if (err) {
		refuse(text, err, sa->sa.name, "the maps do not take it");
		sas_delete(sas, &sa, 1);
		return err;
	}
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
		if (!going && (!best || sa->born >= best->born))
			best = sa;
	}
	return best;
}

static void unpublish(struct sas *sas, struct sa *sa, struct sa **list, unsigned int n)
{
	struct xipsec_sad_key key = sad_key(&sa->sa);
	struct xipsec_child child = {0};
	int err = 0;

	if (sa->sa.dir == XIPSEC_DIR_OUT) {
		const struct sa *other = other_outbound(sas, sa, list, n);

		if (other)
			child = (struct xipsec_child){.sa_index = other->index,
						      .sa_generation = other->generation,
						      .engine = other->sa.engine};
		err = sas->ops->child_set(sas->ctx, sa->child, &child);
	}
	if (!err)
		err = sas->ops->sad_delete(sas->ctx, &key);
	/* What the maps still say is caught by the generation: the worker knows it no more. */
	if (err && err != -ENOENT)
		log_error("SA %s: its map entries stay: %s", sa->sa.name, strerror(-err));
}

static void see_seq(struct sas *sas, struct sa *sa)
{
	__u64 seq = __atomic_load_n(&state_of(sas, sa->index)->seq, __ATOMIC_ACQUIRE);

	if (sa->sa.dir == XIPSEC_DIR_OUT && seq > sa->seq_seen)
		sa->seq_seen = seq;
}

/* The last word on a key for now: nobody gives out its numbers any more. -errno: what was received
 * is not on record, so the window must stay where it is. */
static int record_close(struct sas *sas, struct sa *sa, enum reserve_state state)
{
	struct reserve_record next = sa->record;
	int err;

	if (!(sa->sa.flags & XIPSEC_SA_MANUAL))
		return 0;
	see_seq(sas, sa);
	next.state = state;
	if (sa->sa.dir == XIPSEC_DIR_OUT && sa->seq_seen < next.reserved)
		next.reserved = sa->seq_seen;
	keep_top(&next, sa->sa.dir, state_of(sas, sa->index));
	err = reserve_write(sas->reserve, &next);
	if (!err) {
		sa->record = next;
		return 0;
	}
	if (sa->sa.dir == XIPSEC_DIR_OUT) {
		log_warn("SA %s: the record of its key keeps the numbers reserved ahead: %s",
			 sa->sa.name, strerror(-err));
		return 0;
	}
	/* A full disk still takes this. */
	if (reserve_touch(sas->reserve, &next) == 0) {
		log_warn("SA %s: the record of its key cannot be written anew: %s; what was "
			 "received is noted in the old one",
			 sa->sa.name, strerror(-err));
		return 0;
	}
	log_error("SA %s: what it received cannot be written to state_dir: %s; without that it can "
		  "be replayed after a reboot: make room there, add the SA and delete it again, "
		  "or never use its key again",
		  sa->sa.name, strerror(-err));
	return err;
}

int sas_delete(struct sas *sas, struct sa **list, unsigned int n)
{
	struct ctl_sa_ref one, *refs;
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
		refs[i] = (struct ctl_sa_ref){
			.hdr = {XIPSEC_CTL_SA_GONE, XIPSEC_ABI, sizeof(refs[i])},
			.index = list[i]->index,
			.generation = list[i]->generation};
	}
	sas->ops->forget(sas->ctx, refs, n);
	for (unsigned int i = 0; i < n; i++) {
		err = record_close(sas, list[i], RESERVE_DELETED);
		first = first ? first : err;
		log_info("SA %s is deleted", list[i]->sa.name);
		place_release(sas, list[i], err != 0);
	}
	if (refs != &one)
		free(refs);
	return first;
}

void sas_stop(struct sas *sas)
{
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		struct xipsec_sad_key key = sad_key(&sa->sa);
		struct xipsec_child none = {0};

		record_close(sas, sa, RESERVE_LIVE);
		if (sa->sa.dir == XIPSEC_DIR_OUT)
			sas->ops->child_set(sas->ctx, sa->child, &none);
		sas->ops->sad_delete(sas->ctx, &key);
	}
}

/* ------------------------------------------------------------------ another home */

static void write_top(struct sas *sas, struct sa *sa)
{
	__u64 top = __atomic_load_n(&state_of(sas, sa->index)->replay_top, __ATOMIC_ACQUIRE);
	int err;

	if (top <= sa->top_written)
		return;
	sa->record.replay_top = top;
	err = reserve_touch(sas->reserve, &sa->record);
	if (err && !sa->write_failed)
		log_error("SA %s: what it received is not written to state_dir: %s", sa->sa.name,
			  strerror(-err));
	sa->write_failed = err != 0;
	if (!err)
		sa->top_written = top;
}

static int move_one(struct sas *sas, struct sa *sa, const struct xipsec_sa_state *from)
{
	struct xipsec_sa_state *state = state_of(sas, sa->index);
	int err;

	sa->generation = generation_after(state);
	err = sas->ops->child_id(sas->ctx, sa->sa.child);
	if (err < 0)
		return err;
	sa->child = err;
	if (sa->sa.flags & XIPSEC_SA_MANUAL) {
		struct reserve_record next = sa->record;

		memcpy(next.where, sas->where, sizeof(next.where));
		next.generation = sa->generation;
		err = reserve_write(sas->reserve, &next);
		if (err)
			return err;
		sa->record = next;
	}
	__atomic_store_n(&state->status, XIPSEC_SA_FREE, __ATOMIC_SEQ_CST);
	memcpy((char *)state + offsetof(struct xipsec_sa_state, seq), (const char *)&from->seq,
	       sizeof(*state) - offsetof(struct xipsec_sa_state, seq));
	state->seq = sa->seq_seen;
	if (sa->sa.dir == XIPSEC_DIR_OUT && (sa->sa.flags & XIPSEC_SA_MANUAL))
		state->seq_limit = sa->record.reserved;
	__atomic_store_n(&state->generation, sa->generation, __ATOMIC_SEQ_CST);
	__atomic_store_n(&state->status, from->status, __ATOMIC_SEQ_CST);
	give_to_workers(sas, sa);
	return publish(sas, sa);
}

int sas_bind(struct sas *sas, void *states, size_t stride, unsigned int n, const char *where)
{
	char *old = sas->states;
	size_t old_stride = sas->stride;
	int err, first = 0;

	/* The records still name the old maps, which nobody will find again: whatever ends the move
	 * before an SA's turn, its top is on record. */
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		see_seq(sas, sa);
		if ((sa->sa.flags & XIPSEC_SA_MANUAL) && sa->sa.dir == XIPSEC_DIR_IN)
			write_top(sas, sa);
	}
	sas->states = states;
	sas->stride = stride;
	sas->n = n;
	snprintf(sas->where, sizeof(sas->where), "%s", where);
	for (__u32 i = 0; i < sas->max; i++) {
		struct sa *sa = sas->table[i];

		if (!sa)
			continue;
		err = i < n ? move_one(sas, sa, (void *)(old + i * old_stride)) : -ENOSPC;
		if (!err)
			continue;
		log_error("SA %s is lost with the old maps: %s", sa->sa.name, strerror(-err));
		first = first ? first : err;
		/* Nothing leads to it; its record keeps what was reserved. */
		OPENSSL_cleanse(key_of(sas, i), KEY_STRIDE);
		sas->table[i] = NULL;
		sas->count--;
		free(sa);
	}
	return first;
}

/* ------------------------------------------------------------------ while it lives */

static void refill(struct sas *sas, struct sa *sa)
{
	struct xipsec_sa_state *state = state_of(sas, sa->index);
	bool esn = sa->sa.flags & XIPSEC_SA_ESN;
	int err;

	if (sa->record.reserved >= reserve_end(esn) ||
	    (sa->seq_seen < sa->record.reserved &&
	     sa->record.reserved - sa->seq_seen > RESERVE_CHUNK / 2))
		return;
	err = reserve_ahead(sas->reserve, &sa->record, sa->seq_seen, esn);
	if (err) {
		if (!sa->write_failed)
			log_error("SA %s: it stops at number %llu, for no more can be reserved in "
				  "state_dir: %s; make room there",
				  sa->sa.name, (unsigned long long)sa->record.reserved,
				  strerror(-err));
		sa->write_failed = true;
		return;
	}
	sa->write_failed = false;
	__atomic_store_n(&state->seq_limit, sa->record.reserved, __ATOMIC_RELEASE);
}

void sas_tick(struct sas *sas)
{
	bool tops = now() != sas->tops_at;

	if (!sas->states)
		return;
	sas->tops_at = now();
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		see_seq(sas, sa);
		if (!sa->announced && __atomic_load_n(&state_of(sas, sa->index)->status,
						      __ATOMIC_ACQUIRE) == XIPSEC_SA_STOPPED) {
			sa->announced = true;
			log_warn("SA %s has used up its sequence numbers and stopped", sa->sa.name);
			sas->ops->stopped(sas->ctx, &sa->sa, sa->index);
		}
		if (!(sa->sa.flags & XIPSEC_SA_MANUAL))
			continue;
		if (sa->sa.dir == XIPSEC_DIR_OUT)
			refill(sas, sa);
		else if (tops)
			write_top(sas, sa);
	}
}

void sas_info(const struct sas *sas, const struct sa *sa, struct sadb_sa_info *out)
{
	const struct xipsec_sa_state *state = state_of(sas, sa->index);
	__u64 time = now();

	memset(out, 0, sizeof(*out));
	out->sa = sa->sa;
	OPENSSL_cleanse(out->sa.key, sizeof(out->sa.key));
	out->index = sa->index;
	out->generation = sa->generation;
	out->status = state->status;
	out->age = time - sa->born;
	out->idle = state->last_use && state->last_use <= time ? time - state->last_use
							       : (state->last_use ? 0 : ~0ULL);
	out->seq = sa->sa.dir == XIPSEC_DIR_OUT ? state->seq : state->replay_top;
	out->seq_limit = state->seq_limit;
	out->packets = state->packets;
	out->bytes = state->bytes;
	memcpy(out->drops, state->drops, sizeof(out->drops));
}
