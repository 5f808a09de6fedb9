// SPDX-License-Identifier: BSD-2-Clause
/*
 * An SA by its name, by what names it on the wire, by its key: three tables over the one that owns
 * them, as large as there can be SAs, so that adding to them cannot fail. Peers choose SPIs, so the
 * hash has a secret of its own; what is kept of a key are 32 bits of that.
 */
#include "loader/sas_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <openssl/crypto.h>

#include "lib/alg.h"

static __u32 hash(const struct sas *sas, const void *data, size_t len)
{
	return (__u32)siphash(&sas->find_key, data, len);
}

static __u32 hash_name(const struct sas *sas, const char *name)
{
	return hash(sas, name, strlen(name));
}

static __u32 hash_spi(const struct sas *sas, const struct xipsec_sad_key *key)
{
	return hash(sas, key, sizeof(*key));
}

static __u32 hash_nonces(const struct sas *sas, __u8 alg, const __u8 *key, __u32 key_len)
{
	__u8 nonces[XIPSEC_KEY_MAX];
	__u32 len = alg_nonces(alg, key, key_len, nonces);
	__u32 it = hash(sas, nonces, len);

	OPENSSL_cleanse(nonces, sizeof(nonces));
	return it;
}

static struct sa **bucket(const struct sas *sas, enum sas_find_by by, __u32 hash)
{
	return &sas->find[by][hash & (sas->find_size - 1)];
}

static void link_in(struct sas *sas, struct sa *sa, enum sas_find_by by, __u32 hash)
{
	struct sa **head = bucket(sas, by, hash);

	sa->find_hash[by] = hash;
	sa->find_next[by] = *head;
	*head = sa;
}

static void take_out(struct sas *sas, struct sa *sa, enum sas_find_by by)
{
	struct sa **at = bucket(sas, by, sa->find_hash[by]);

	while (*at != sa)
		at = &(*at)->find_next[by];
	*at = sa->find_next[by];
}

int sas_find_new(struct sas *sas, unsigned int max)
{
	for (sas->find_size = 64; sas->find_size < max; sas->find_size *= 2)
		;
	if (getrandom(&sas->find_key, sizeof(sas->find_key), 0) != sizeof(sas->find_key))
		return -EIO;
	for (int by = 0; by < SAS_FIND_COUNT; by++) {
		sas->find[by] = calloc(sas->find_size, sizeof(struct sa *));
		if (!sas->find[by])
			return -ENOMEM;
	}
	return 0;
}

void sas_find_free(struct sas *sas)
{
	for (int by = 0; by < SAS_FIND_COUNT; by++)
		free(sas->find[by]);
}

void sas_find_put(struct sas *sas, struct sa *sa)
{
	struct xipsec_sad_key key = sa_sad_key(&sa->sa);

	link_in(sas, sa, SAS_FIND_NAME, hash_name(sas, sa->sa.name));
	link_in(sas, sa, SAS_FIND_SPI, hash_spi(sas, &key));
	link_in(sas, sa, SAS_FIND_KEY,
		hash_nonces(sas, sa->sa.alg, sas_key(sas, sa->index), sa->sa.key_len));
}

void sas_find_drop(struct sas *sas, struct sa *sa)
{
	for (int by = 0; by < SAS_FIND_COUNT; by++)
		take_out(sas, sa, by);
}

void sas_find_move(struct sas *sas, struct sa *sa, const struct xipsec_addr *dst)
{
	struct xipsec_sad_key key;

	take_out(sas, sa, SAS_FIND_SPI);
	sa->sa.dst = *dst;
	key = sa_sad_key(&sa->sa);
	link_in(sas, sa, SAS_FIND_SPI, hash_spi(sas, &key));
}

struct sa *sas_by_name(struct sas *sas, const char *name)
{
	__u32 hash = hash_name(sas, name);

	for (struct sa *sa = *bucket(sas, SAS_FIND_NAME, hash); sa;
	     sa = sa->find_next[SAS_FIND_NAME])
		if (sa->find_hash[SAS_FIND_NAME] == hash && strcmp(sa->sa.name, name) == 0)
			return sa;
	return NULL;
}

struct sa *sas_by_spi(struct sas *sas, const struct xipsec_addr *dst, __u8 family, __be32 spi,
		      __u8 l4_proto)
{
	struct xipsec_sad_key key = {
		.dst = *dst, .spi = spi, .family = family, .l4_proto = l4_proto};
	__u32 hash = hash_spi(sas, &key);

	for (struct sa *sa = *bucket(sas, SAS_FIND_SPI, hash); sa; sa = sa->find_next[SAS_FIND_SPI])
		if (sa->sa.spi == spi && sa->sa.outer_family == family &&
		    sa->sa.l4_proto == l4_proto && memcmp(&sa->sa.dst, dst, sizeof(*dst)) == 0)
			return sa;
	return NULL;
}

static bool same_nonces(const struct sas *sas, const struct sa *have, const struct xipsec_sa *want)
{
	__u8 of_have[XIPSEC_KEY_MAX], of_want[XIPSEC_KEY_MAX];
	__u32 len = alg_nonces(have->sa.alg, sas_key(sas, have->index), have->sa.key_len, of_have);
	bool same = alg_nonces(want->alg, want->key, want->key_len, of_want) == len &&
		    CRYPTO_memcmp(of_have, of_want, len) == 0;

	OPENSSL_cleanse(of_have, sizeof(of_have));
	OPENSSL_cleanse(of_want, sizeof(of_want));
	return same;
}

struct sa *sas_by_key(struct sas *sas, const struct xipsec_sa *want)
{
	__u32 it = hash_nonces(sas, want->alg, want->key, want->key_len);

	for (struct sa *sa = *bucket(sas, SAS_FIND_KEY, it); sa; sa = sa->find_next[SAS_FIND_KEY])
		if (sa->find_hash[SAS_FIND_KEY] == it && same_nonces(sas, sa, want))
			return sa;
	return NULL;
}
