// SPDX-License-Identifier: BSD-2-Clause
#include "worker/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/mman.h>

#include "lib/alg.h"
#include "lib/log.h"

int crypto_init(void)
{
	__u8 iv[16];
	int err = -ENOTSUP;

	for (int i = 0; crypto_backends[i]; i++)
		if (!crypto_backends[i]->init())
			err = 0;
	/* The generator fetches and seeds itself at its first use. */
	crypto_random_iv(iv);
	return err;
}

static int key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *raw,
		    enum xipsec_backend wanted)
{
	const __u8 *auth = raw + alg_get(alg)->cipher_key + alg_get(alg)->salt;
	int err = -ENOTSUP;

	for (int i = 0; crypto_backends[i] && err == -ENOTSUP; i++) {
		key->backend = crypto_backends[i];
		if (wanted != XIPSEC_BACKEND_AUTO && wanted != key->backend->id)
			continue;
		if (!key->backend->init())
			err = key->backend->key_init(key, alg, raw, auth);
	}
	return err;
}

struct crypto_key *crypto_key_new(enum xipsec_alg alg, const __u8 *raw, __u32 raw_len,
				  enum xipsec_backend wanted, int *err)
{
	struct crypto_key *key;

	*err = -EINVAL;
	if (!raw_len || alg_key_len(alg) != raw_len)
		return NULL;
	*err = -ENOMEM;
	key = calloc(1, sizeof(*key));
	if (!key)
		return NULL;
	*err = key_init(key, alg, raw, wanted);
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

/* OpenSSL's generator costs a system call now and then, so it is asked for many at once. */
void crypto_random_iv(__u8 iv[16])
{
	static _Thread_local __u8 pool[4096];
	static _Thread_local size_t left;

	if (!left) {
		if (RAND_bytes(pool, sizeof(pool)) != 1) {
			log_error("no random numbers can be had: the worker ends");
			abort();
		}
		left = sizeof(pool);
	}
	left -= 16;
	memcpy(iv, pool + left, 16);
	OPENSSL_cleanse(pool + left, 16);
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
