// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas_inside.h"

#include <stddef.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <openssl/crypto.h>

#include "lib/log.h"

_Static_assert(SAS_KEY_STRIDE >= XIPSEC_KEY_MAX, "a key fits");

__u64 sas_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

struct xipsec_sa_state *sas_state(const struct sas *sas, __u32 index)
{
	return (void *)(sas->states + (size_t)index * sas->stride);
}

__u8 *sas_key(const struct sas *sas, __u32 index)
{
	return sas->keys + (size_t)index * SAS_KEY_STRIDE;
}

struct sas *sas_new(unsigned int max, struct reserve *reserve, const struct sas_ops *ops, void *ctx)
{
	size_t size = (size_t)max * SAS_KEY_STRIDE;
	struct sas *sas = calloc(1, sizeof(*sas));

	if (!sas)
		return NULL;
	sas->table = calloc(max, sizeof(struct sa *));
	sas->keys = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!sas->table || sas->keys == MAP_FAILED || sas_find_new(sas, max)) {
		if (sas->keys != MAP_FAILED)
			munmap(sas->keys, size);
		sas_find_free(sas);
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
	OPENSSL_cleanse(sas->keys, (size_t)sas->max * SAS_KEY_STRIDE);
	munmap(sas->keys, (size_t)sas->max * SAS_KEY_STRIDE);
	sas_find_free(sas);
	sas_wishes_forget(sas);
	free(sas->table);
	free(sas);
}

/* ------------------------------------------------------------------ look-ups */

struct sa *sas_from(struct sas *sas, __u32 index)
{
	for (__u32 i = index; i < sas->max; i++)
		if (sas->table[i])
			return sas->table[i];
	return NULL;
}

struct sa *sas_next(struct sas *sas, const struct sa *after)
{
	return sas_from(sas, after ? after->index + 1 : 0);
}

struct sa *sas_by_index(struct sas *sas, __u32 index)
{
	return index < sas->max ? sas->table[index] : NULL;
}

unsigned int sas_count(const struct sas *sas)
{
	return sas->count;
}

bool sas_same_key(const struct sas *sas, const struct sa *have, const struct xipsec_sa *want)
{
	return have->sa.key_len == want->key_len &&
	       CRYPTO_memcmp(sas_key(sas, have->index), want->key, want->key_len) == 0;
}

enum sa_list sas_compare(const struct sas *sas, const struct sa *have, const struct xipsec_sa *want)
{
	struct xipsec_sa a, b;

	if (!sas_same_key(sas, have, want))
		return SA_LIST_OTHER;
	xipsec_sa_copy(&a, &have->sa);
	xipsec_sa_copy(&b, want);
	OPENSSL_cleanse(b.key, sizeof(b.key));
	/* Wherever its peer has moved to. */
	a.src = have->given_src;
	a.dst = have->given_dst;
	a.src_port = have->given_src_port;
	a.dst_port = have->given_dst_port;
	/* Swearing that a key is fresh does not make it another SA; the engine may have been left
	 * to us. */
	a.flags &= ~XIPSEC_SA_FRESH_KEY;
	b.flags &= ~XIPSEC_SA_FRESH_KEY;
	if (b.engine == XIPSEC_ENGINE_NONE)
		b.engine = a.engine;
	b.flags |= a.flags & XIPSEC_SA_MANUAL;
	return sa_list_compare(&a, &b);
}

/* ------------------------------------------------------------------ what others are told */

void sas_message(const struct sas *sas, const struct sa *sa, struct ctl_sa *out)
{
	out->hdr = (struct ctl_hdr){.type = XIPSEC_CTL_SA,
				    .abi = XIPSEC_ABI,
				    .len = offsetof(struct ctl_sa, sa) +
					   XIPSEC_SA_SIZE(sa->sa.n_selectors)};
	out->index = sa->index;
	out->generation = sa->generation;
	xipsec_sa_copy(&out->sa, &sa->sa);
	memcpy(out->sa.key, sas_key(sas, sa->index), sa->sa.key_len);
}

_Static_assert(XIPSEC_WORKERS_MAX <= 64, "a bit for each worker");

void sas_runs(struct sas *sas, unsigned int worker, const struct ctl_sa_runs *runs)
{
	struct sa *sa = sas_by_index(sas, runs->index);
	__u64 bit;

	if (!sa || sa->generation != runs->generation || worker >= XIPSEC_WORKERS_MAX)
		return;
	bit = 1ull << worker;
	if (runs->backend == XIPSEC_BACKEND_IPSEC_MB || runs->backend == XIPSEC_BACKEND_OPENSSL) {
		sa->backend = (__u8)runs->backend;
		sa->refused_by &= ~bit;
	} else if (runs->backend == XIPSEC_BACKEND_NONE && !(sa->refused_by & bit)) {
		sa->refused_by |= bit;
		log_error("SA %s: worker %u cannot run it: %s; its packets are dropped. Is its "
			  "algorithm, its mode or datapath.backend too much for this build or "
			  "machine?",
			  sa->sa.name, worker, runs->err < 0 ? strerror(-runs->err) : "no reason");
	}
}

void sas_info(const struct sas *sas, const struct sa *sa, struct sadb_sa_info *out)
{
	const struct xipsec_sa_state *state = sas_state(sas, sa->index);
	__u64 time = sas_now();

	memset(out, 0, offsetof(struct sadb_sa_info, sa));
	xipsec_sa_copy(&out->sa, &sa->sa);
	OPENSSL_cleanse(out->sa.key, sizeof(out->sa.key));
	out->index = sa->index;
	out->generation = sa->generation;
	out->status = sa->refused_by ? (__u32)XIPSEC_SA_REFUSED : state->status;
	out->engine_why = sa->engine_why;
	out->backend = sa->refused_by ? (__u32)XIPSEC_BACKEND_NONE : sa->backend;
	out->age = time - sa->born + sa->aged;
	out->idle = state->last_use && state->last_use <= time ? time - state->last_use
							       : (state->last_use ? 0 : ~0ULL);
	out->seq = sa->sa.dir == XIPSEC_DIR_OUT ? state->seq : state->replay_top;
	out->seq_limit = state->seq_limit;
	out->packets = state->packets;
	out->bytes = state->bytes;
	out->tfc_bytes = state->tfc_bytes;
	out->dummies = state->dummies;
	out->dummy_bytes = state->dummy_bytes;
	memcpy(out->drops, state->drops, sizeof(out->drops));
}
