// SPDX-License-Identifier: BSD-2-Clause
#include "iked/cookie.h"

#include <errno.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "iked/bounds.h"
#include "iked/message.h"

/* A secret serves COOKIE_SECRET_MS, then as long again for cookies that are under way. */
static void renew(struct cookies *cookies, const struct ike_env *env)
{
	__u64 now = env->now(env->ctx);

	if (cookies->any && now - cookies->since < COOKIE_SECRET_MS)
		return;
	if (cookies->any && now - cookies->since < 2 * COOKIE_SECRET_MS)
		memcpy(cookies->secret[1], cookies->secret[0], COOKIE_SECRET);
	else
		env->random(env->ctx, cookies->secret[1], COOKIE_SECRET);
	env->random(env->ctx, cookies->secret[0], COOKIE_SECRET);
	cookies->version++;
	cookies->any = true;
	cookies->since = now;
}

static int compute(const struct cookies *cookies, int which, const struct ike_path *path,
		   __u64 spi_i, struct bytes nonce, __u8 out[COOKIE_LEN])
{
	__u8 text[IKE_NONCE_MAX + sizeof(path->remote) + sizeof(path->remote_port) + sizeof(spi_i)];
	unsigned int len = COOKIE_LEN - 1;
	size_t n = 0;

	if (nonce.len > IKE_NONCE_MAX)
		return -EINVAL;
	memcpy(text, nonce.data, nonce.len);
	n += nonce.len;
	memcpy(text + n, &path->remote, sizeof(path->remote));
	n += sizeof(path->remote);
	memcpy(text + n, &path->remote_port, sizeof(path->remote_port));
	n += sizeof(path->remote_port);
	memcpy(text + n, &spi_i, sizeof(spi_i));
	n += sizeof(spi_i);
	out[0] = cookies->version - which;
	if (!HMAC(EVP_sha256(), cookies->secret[which], COOKIE_SECRET, text, n, out + 1, &len))
		return -EIO;
	return 0;
}

int cookie_make(struct cookies *cookies, const struct ike_env *env, const struct ike_path *path,
		__u64 spi_i, struct bytes nonce, __u8 out[COOKIE_LEN])
{
	renew(cookies, env);
	return compute(cookies, 0, path, spi_i, nonce, out);
}

bool cookie_good(struct cookies *cookies, const struct ike_env *env, const struct ike_path *path,
		 __u64 spi_i, struct bytes nonce, struct bytes cookie)
{
	__u8 good[COOKIE_LEN];
	int which;

	if (cookie.len != COOKIE_LEN || !cookies->any)
		return false;
	renew(cookies, env);
	which = (__u8)(cookies->version - cookie.data[0]);
	if (which > 1 || compute(cookies, which, path, spi_i, nonce, good))
		return false;
	return CRYPTO_memcmp(good, cookie.data, COOKIE_LEN) == 0;
}

void cookies_wipe(struct cookies *cookies)
{
	OPENSSL_cleanse(cookies, sizeof(*cookies));
}
