// SPDX-License-Identifier: BSD-2-Clause
#include "worker/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <sys/mman.h>

int crypto_init(void)
{
	int err = -ENOTSUP;

	for (int i = 0; crypto_backends[i]; i++)
		if (!crypto_backends[i]->init())
			err = 0;
	return err;
}

const struct crypto_backend *crypto_backend(enum xipsec_backend wanted)
{
	for (int i = 0; crypto_backends[i]; i++) {
		const struct crypto_backend *backend = crypto_backends[i];

		if (wanted != XIPSEC_BACKEND_AUTO && wanted != backend->id)
			continue;
		if (!backend->init())
			return backend;
	}
	return NULL;
}

__u32 crypto_alg_key_len(enum xipsec_alg alg)
{
	static const __u32 key_len[XIPSEC_ALG_COUNT] = {
#define ALG_KEY_LEN(sym, name, key, salt, iv, icv, align) [XIPSEC_ALG_##sym] = key,
		XIPSEC_ALGS(ALG_KEY_LEN)
#undef ALG_KEY_LEN
	};

	return alg < XIPSEC_ALG_COUNT ? key_len[alg] : 0;
}

struct crypto_key *crypto_key_new(enum xipsec_alg alg, const __u8 *cipher_key, __u32 cipher_key_len,
				  enum xipsec_backend wanted, int *err)
{
	struct crypto_key *key;

	*err = -EINVAL;
	if (!cipher_key_len || crypto_alg_key_len(alg) != cipher_key_len)
		return NULL;
	*err = -ENOMEM;
	key = calloc(1, sizeof(*key));
	if (!key)
		return NULL;
	*err = -ENOTSUP;
	key->backend = crypto_backend(wanted);
	if (key->backend)
		*err = key->backend->key_init(key, alg, cipher_key);
	if (*err) {
		free(key);
		return NULL;
	}
	return key;
}

void crypto_key_free(struct crypto_key *key)
{
	if (!key)
		return;
	key->backend->key_fini(key);
	free(key);
}

static size_t whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

void *crypto_memory_new(size_t size)
{
	void *memory = mmap(NULL, whole_pages(size), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (madvise(memory, whole_pages(size), MADV_DONTDUMP)) {
		munmap(memory, whole_pages(size));
		return NULL;
	}
	return memory;
}

void crypto_memory_free(void *memory, size_t size)
{
	if (!memory)
		return;
	OPENSSL_cleanse(memory, whole_pages(size));
	munmap(memory, whole_pages(size));
}
