// SPDX-License-Identifier: BSD-2-Clause
/* Keys of IKE: published vectors of the derivation and of the groups, and what must be refused. */
#include "tests/unit/ike_fixture.h"

#include <errno.h>
#include <openssl/bn.h>

#include "iked/dh.h"
#include "iked/keylog.h"
#include "iked/keymat.h"
#include "tests/lib/vectors.h"

#define VECTORS "tests/unit/vectors/"

/* ------------------------------------------------------------------ key derivation */

struct kdf {
	__u8 ni[256], nr[256], gir[256], gir_new[256], seed[64], rekey_seed[64];
	__u8 dkm[400], child[256], child_new[256];
	size_t ni_len, nr_len, gir_len, gir_new_len, dkm_len, child_len;
	struct keymat_in in;
	__u16 prf;
};

static void kdf_read(struct kdf *k, const struct vector *v)
{
	k->prf = (__u16)vector_number(v, "PRF");
	k->ni_len = (size_t)vector_bytes(v, "Ni", k->ni, sizeof(k->ni));
	k->nr_len = (size_t)vector_bytes(v, "Nr", k->nr, sizeof(k->nr));
	k->gir_len = (size_t)vector_bytes(v, "Gir", k->gir, sizeof(k->gir));
	vector_bytes(v, "SKEYSEED", k->seed, sizeof(k->seed));
	k->dkm_len = (size_t)vector_bytes(v, "DKM", k->dkm, sizeof(k->dkm));
	vector_bytes(v, "SPIi", (__u8 *)&k->in.spi_i, 8);
	vector_bytes(v, "SPIr", (__u8 *)&k->in.spi_r, 8);
	k->in.nonce_i = BYTES(k->ni, k->ni_len);
	k->in.nonce_r = BYTES(k->nr, k->nr_len);
	k->in.shared = BYTES(k->gir, k->gir_len);
}

/* The stream, put together again from the keys that were cut out of it. */
static void check_stream(const struct ike_keys *keys, const __u8 *dkm, size_t len)
{
	struct writer w = {0};

	writer_bytes(&w, BYTES(keys->sk_d, keys->len));
	writer_bytes(&w, BYTES(keys->i.integ_key, keys->i.integ_key_len));
	writer_bytes(&w, BYTES(keys->r.integ_key, keys->r.integ_key_len));
	writer_bytes(&w, BYTES(keys->i.encr_key, keys->i.encr_key_len));
	writer_bytes(&w, BYTES(keys->r.encr_key, keys->r.encr_key_len));
	writer_bytes(&w, BYTES(keys->sk_pi, keys->len));
	writer_bytes(&w, BYTES(keys->sk_pr, keys->len));
	assert_int_equal(w.len, len);
	assert_memory_equal(w.data, dkm, len);
	writer_free(&w);
}

/* Of these, 144 and 80 bytes are the longest that a child could ask for; any length is a prefix. */
static void check_child(const struct kdf *k, const struct ike_keys *keys, struct bytes shared,
			const __u8 *want)
{
	struct keymat_in in = k->in;
	__u8 i2r[XIPSEC_KEY_MAX], r2i[XIPSEC_KEY_MAX];

	in.shared = shared;
	for (size_t len = 1; len <= XIPSEC_KEY_MAX; len++) {
		assert_int_equal(keymat_child(keys, &in, len, i2r, r2i), 0);
		assert_memory_equal(i2r, want, len);
		assert_memory_equal(r2i, want + len, len);
	}
	assert_int_equal(keymat_child(keys, &in, 0, i2r, r2i), -EINVAL);
	assert_int_equal(keymat_child(keys, &in, XIPSEC_KEY_MAX + 1, i2r, r2i), -EINVAL);
}

/* SKEYSEED of the rekeyed SA is a vector; prf+ of it was checked with the other. */
static void check_rekey(struct kdf *k, const struct proposal *chosen, const struct ike_keys *keys)
{
	struct bytes parts[] = {k->in.nonce_i, k->in.nonce_r, BYTES_OF(k->in.spi_i),
				BYTES_OF(k->in.spi_r)};
	struct ike_keys next;
	__u8 stream[400];

	k->in.shared = BYTES(k->gir_new, k->gir_new_len);
	assert_int_equal(keymat_rekey(chosen, keys, &k->in, &next), 0);
	assert_int_equal(prf_plus(k->prf, BYTES(k->rekey_seed, prf_len(k->prf)), parts, 4, stream,
				  k->dkm_len),
			 0);
	check_stream(&next, stream, k->dkm_len);
}

static unsigned int kdf_run(void *ctx, const struct vector *v)
{
	static struct kdf k;
	struct proposal chosen;
	struct ike_keys keys;
	__u8 seed[64], nonces[512];

	kdf_read(&k, v);
	chosen = chosen_of(PROPOSAL_IKE, k.prf == PRF_HMAC_SHA2_256 ? "aes256-sha256-x25519"
								    : "aes256-sha512-x25519");
	memcpy(nonces, k.ni, k.ni_len);
	memcpy(nonces + k.ni_len, k.nr, k.nr_len);
	assert_int_equal(prf(k.prf, BYTES(nonces, k.ni_len + k.nr_len), &k.in.shared, 1, seed), 0);
	assert_memory_equal(seed, k.seed, prf_len(k.prf));
	assert_int_equal(keymat_ike(&chosen, &k.in, &keys), 0);
	check_stream(&keys, k.dkm, k.dkm_len);
	if (!vector_has(v, "Child"))
		return 1;
	k.gir_new_len = (size_t)vector_bytes(v, "GirNew", k.gir_new, sizeof(k.gir_new));
	vector_bytes(v, "Child", k.child, sizeof(k.child));
	vector_bytes(v, "ChildNew", k.child_new, sizeof(k.child_new));
	vector_bytes(v, "RekeySeed", k.rekey_seed, sizeof(k.rekey_seed));
	check_child(&k, &keys, BYTES_NONE, k.child);
	check_child(&k, &keys, BYTES(k.gir_new, k.gir_new_len), k.child_new);
	check_rekey(&k, &chosen, &keys);
	return 1;
}

/* 2.18: SKEYSEED is made by the old one's PRF, keys of it by the new one's. */
static void rekey_to_another_prf(void **state)
{
	static const __u8 shared[32] = {1}, ni[32] = {2}, nr[32] = {3};
	struct proposal chosen = chosen_of(PROPOSAL_IKE, "aes256-sha256-x25519");
	struct keymat_in in = {.nonce_i = BYTES_OF(ni),
			       .nonce_r = BYTES_OF(nr),
			       .shared = BYTES_OF(shared),
			       .spi_i = 4,
			       .spi_r = 5};
	const struct bytes seed_of[] = {in.shared, in.nonce_i, in.nonce_r};
	const struct bytes parts[] = {in.nonce_i, in.nonce_r, BYTES_OF(in.spi_i),
				      BYTES_OF(in.spi_r)};
	struct ike_keys old = {.prf = PRF_HMAC_SHA2_512, .len = 64}, next;
	__u8 seed[64], stream[3 * 32 + 2 * 32 + 2 * 32];

	memset(old.sk_d, 6, 64);
	assert_int_equal(prf(PRF_HMAC_SHA2_512, BYTES(old.sk_d, 64), seed_of, 3, seed), 0);
	assert_int_equal(
		prf_plus(PRF_HMAC_SHA2_256, BYTES_OF(seed), parts, 4, stream, sizeof(stream)), 0);
	assert_int_equal(keymat_rekey(&chosen, &old, &in, &next), 0);
	check_stream(&next, stream, sizeof(stream));
}

static void kdf_vectors(void **state)
{
	assert_int_equal(vectors_run(VECTORS "ikev2-kdf.txt", kdf_run, NULL), 2);
}

static void kdf_refuses(void **state)
{
	static const __u8 x[300];
	struct proposal chosen = chosen_of(PROPOSAL_IKE, "aes128-sha256-x25519");
	struct keymat_in in = {.nonce_i = BYTES(x, 16), .nonce_r = BYTES(x, 16)};
	struct ike_keys keys, before;
	__u8 out[1];

	memset(&before, 7, sizeof(before));
	keys = before;
	assert_int_equal(keymat_ike(&chosen, &in, &keys), -EINVAL); /* no shared secret */
	in.shared = BYTES(x, 32);
	in.nonce_r = BYTES(x, 257);
	assert_int_equal(keymat_ike(&chosen, &in, &keys), -EINVAL);
	in.nonce_r = BYTES_NONE;
	assert_int_equal(keymat_ike(&chosen, &in, &keys), -EINVAL);
	in.nonce_r = BYTES(x, 16);
	chosen.t[0].key_bits = 192;
	assert_int_equal(keymat_ike(&chosen, &in, &keys), -EINVAL);
	assert_memory_equal(&keys, &before, sizeof(keys));
	assert_int_equal(prf(2, in.shared, NULL, 0, out), -EINVAL); /* HMAC-SHA1 */
	assert_int_equal(prf_len(2), 0);
	assert_int_equal(prf_plus(5, in.shared, NULL, 0, out, 255 * 32 + 1), -EINVAL);
}

/* ------------------------------------------------------------------ groups */

static void check_shared(__u16 group, struct bytes private, struct bytes public, struct bytes peer,
			 struct bytes want)
{
	_cleanup_secret_ struct secret shared;
	struct dh *dh;

	assert_int_equal(dh_of_private(group, private, &dh), 0);
	assert_int_equal(dh_group(dh), group);
	assert_true(bytes_equal(dh_public(dh), public));
	assert_int_equal(dh_shared(dh, peer, &shared), 0);
	assert_true(bytes_equal(secret_view(&shared), want));
	dh_free(dh);
}

static unsigned int dh_run(void *ctx, const struct vector *v)
{
	__u8 pi[70], pr[70], gi[140], gr[140], s[70];
	__u16 group = (__u16)vector_number(v, "Group");
	struct bytes private_i = BYTES(pi, (size_t)vector_bytes(v, "PrivateI", pi, sizeof(pi)));
	struct bytes private_r = BYTES(pr, (size_t)vector_bytes(v, "PrivateR", pr, sizeof(pr)));
	struct bytes public_i = BYTES(gi, (size_t)vector_bytes(v, "PublicI", gi, sizeof(gi)));
	struct bytes public_r = BYTES(gr, (size_t)vector_bytes(v, "PublicR", gr, sizeof(gr)));
	struct bytes shared = BYTES(s, (size_t)vector_bytes(v, "Shared", s, sizeof(s)));

	check_shared(group, private_i, public_i, public_r, shared);
	check_shared(group, private_r, public_r, public_i, shared);
	return 1;
}

static void dh_vectors(void **state)
{
	assert_int_equal(vectors_run(VECTORS "dh.txt", dh_run, NULL), 5);
}

static const __u16 all_groups[] = {KE_MODP_2048, KE_MODP_3072, KE_MODP_4096, KE_MODP_6144,
				   KE_MODP_8192, KE_ECP_256,   KE_ECP_384,   KE_ECP_521,
				   KE_X25519,    KE_X448};

#define GROUPS (sizeof(all_groups) / sizeof(all_groups[0]))

static void dh_pairs(void **state)
{
	for (size_t i = 0; i < GROUPS; i++) {
		struct secret a, b;
		struct dh *one, *two;
		bool ecp = all_groups[i] >= KE_ECP_256 && all_groups[i] <= KE_ECP_521;

		assert_true(dh_supported(all_groups[i]));
		assert_int_equal(dh_new(all_groups[i], &one), 0);
		assert_int_equal(dh_new(all_groups[i], &two), 0);
		assert_int_equal(dh_public(one).len, dh_public_len(all_groups[i]));
		assert_false(bytes_equal(dh_public(one), dh_public(two)));
		assert_int_equal(dh_shared(one, dh_public(two), &a), 0);
		assert_int_equal(dh_shared(two, dh_public(one), &b), 0);
		assert_true(bytes_equal(secret_view(&a), secret_view(&b)));
		assert_int_equal(a.len, dh_public_len(all_groups[i]) / (ecp ? 2 : 1));
		dh_free(one);
		dh_free(two);
	}
}

/* MODP against its definition (RFC 3526: g = 2), with OpenSSL's BN and not its DH; among the
 * private values one whose public value and shared secret are short: leading zeros must stay. */
static void modp_is_padded(void **state)
{
	BIGNUM *p = BN_get_rfc3526_prime_2048(NULL), *pub = BN_new(), *g = BN_new(), *x = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	const __u8 private[] = {0x10}; /* 2^16: a public value of three bytes */
	__u8 want[256], two[256] = {[255] = 2};
	struct secret shared;
	struct dh *dh;

	BN_set_word(g, 2);
	BN_set_word(x, private[0]);
	BN_mod_exp(pub, g, x, p, ctx);
	BN_bn2binpad(pub, want, sizeof(want));
	assert_int_equal(dh_of_private(KE_MODP_2048, BYTES_OF(private), &dh), 0);
	assert_true(bytes_equal(dh_public(dh), BYTES_OF(want)));
	assert_int_equal(dh_shared(dh, BYTES_OF(two), &shared), 0);
	assert_true(bytes_equal(secret_view(&shared), BYTES_OF(want)));
	dh_free(dh);
	BN_free(p);
	BN_free(pub);
	BN_free(g);
	BN_free(x);
	BN_CTX_free(ctx);
}

/* RFC 6989: values that would give the secret away; RFC 7748 6: points of small order. */
static void dh_refuses(void **state)
{
	__u8 value[DH_PUBLIC_MAX];
	struct secret shared, before;

	memset(&before, 3, sizeof(before));
	for (size_t i = 0; i < GROUPS; i++) {
		size_t len = dh_public_len(all_groups[i]);
		struct dh *dh;

		shared = before;
		assert_int_equal(dh_new(all_groups[i], &dh), 0);
		memset(value, 0, sizeof(value));
		assert_int_equal(dh_shared(dh, BYTES(value, len), &shared), -EBADMSG);
		value[all_groups[i] >= KE_X25519 ? 0 : len - 1] = 1;
		assert_int_equal(dh_shared(dh, BYTES(value, len), &shared), -EBADMSG);
		memcpy(value, dh_public(dh).data, len);
		assert_int_equal(dh_shared(dh, BYTES(value, len - 1), &shared), -EBADMSG);
		assert_int_equal(dh_shared(dh, BYTES(value, 0), &shared), -EBADMSG);
		if (all_groups[i] < KE_X25519) {
			memset(value, 0xff, len); /* beyond the prime */
			assert_int_equal(dh_shared(dh, BYTES(value, len), &shared), -EBADMSG);
		}
		if (all_groups[i] >= KE_ECP_256 && all_groups[i] <= KE_ECP_521) {
			memcpy(value, dh_public(dh).data, len); /* off the curve */
			value[len - 1] ^= 1;
			assert_int_equal(dh_shared(dh, BYTES(value, len), &shared), -EBADMSG);
		}
		assert_memory_equal(&shared, &before, sizeof(shared));
		dh_free(dh);
	}
}

static void modp_refuses_p_minus_1(void **state)
{
	BIGNUM *p = BN_get_rfc3526_prime_3072(NULL);
	__u8 value[384];
	struct secret shared;
	struct dh *dh;

	BN_sub_word(p, 1);
	BN_bn2binpad(p, value, sizeof(value));
	assert_int_equal(dh_new(KE_MODP_3072, &dh), 0);
	assert_int_equal(dh_shared(dh, BYTES_OF(value), &shared), -EBADMSG);
	dh_free(dh);
	BN_free(p);
}

static void unknown_groups(void **state)
{
	static const __u16 refused[] = {0,  1,  2,  5,  13, 22,   23,   24,
					25, 26, 27, 30, 33, 1024, 65535};
	struct dh *dh;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_false(dh_supported(refused[i]));
		assert_int_equal(dh_public_len(refused[i]), 0);
		assert_int_equal(dh_new(refused[i], &dh), -EINVAL);
	}
}

/* ------------------------------------------------------------------ key log */

static struct ike_keys keys_of(const char *word)
{
	struct ike_keys keys = {0};

	keys.i = sk_key_of(word, 0x10);
	keys.r = sk_key_of(word, 0x80);
	return keys;
}

static void keylog_lines(void **state)
{
	struct ike_keys keys = keys_of("aes128gcm16-prfsha256-x25519");
	char line[KEYLOG_LINE_MAX];
	int len = keylog_ike(htobe64(SPI_I), htobe64(SPI_R), &keys, line, sizeof(line));

	assert_int_equal(len, strlen(line));
	assert_string_equal(line,
			    "1122334455667788,99aabbccddeeff00,"
			    "101112131415161718191a1b1c1d1e1f20212223,"
			    "808182838485868788898a8b8c8d8e8f90919293,"
			    "\"AES-GCM-128 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n");
	keys = keys_of("aes256-sha512-x25519");
	len = keylog_ike(htobe64(SPI_I), htobe64(SPI_R), &keys, line, sizeof(line));
	assert_int_equal(len, strlen(line));
	assert_non_null(strstr(line, "\"AES-CBC-256 [RFC3602]\",3031"));
	assert_non_null(strstr(line, "\"HMAC_SHA2_512_256 [RFC4868]\"\n"));
	assert_int_equal(keylog_ike(0, 0, &keys, line, 100), -ENOSPC);
	keys = keys_of("chacha20poly1305-prfsha256-x25519");
	assert_int_equal(keylog_ike(0, 0, &keys, line, sizeof(line)), -EOPNOTSUPP);
}

static void keylog_of_esp(void **state)
{
	struct xipsec_sa sa = {.alg = XIPSEC_ALG_AES128CBC_SHA256,
			       .l4_proto = 50,
			       .outer_family = 4,
			       .spi = htonl(0x1001),
			       .src.byte = {192, 0, 2, 1},
			       .dst.byte = {192, 0, 2, 2},
			       .key_len = 48};
	char line[KEYLOG_LINE_MAX];

	memset(sa.key, 0xaa, 16);
	memset(sa.key + 16, 0xbb, 32);
	assert_true(keylog_esp(&sa, line, sizeof(line)) > 0);
	assert_string_equal(line,
			    "\"IPv4\",\"192.0.2.1\",\"192.0.2.2\",\"0x00001001\","
			    "\"AES-CBC [RFC3602]\",\"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
			    "\"HMAC-SHA-256-128 [RFC4868]\",\"0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"\n");
	sa.alg = XIPSEC_ALG_CHACHA20POLY1305;
	assert_int_equal(keylog_esp(&sa, line, sizeof(line)), -EOPNOTSUPP);
}

static void init(void **state)
{
	const char *what = NULL;

	assert_int_equal(ike_crypto_init(&what), 0);
	assert_null(what);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init),
		cmocka_unit_test(kdf_vectors),
		cmocka_unit_test(rekey_to_another_prf),
		cmocka_unit_test(kdf_refuses),
		cmocka_unit_test(dh_vectors),
		cmocka_unit_test(dh_pairs),
		cmocka_unit_test(modp_is_padded),
		cmocka_unit_test(dh_refuses),
		cmocka_unit_test(modp_refuses_p_minus_1),
		cmocka_unit_test(unknown_groups),
		cmocka_unit_test(keylog_lines),
		cmocka_unit_test(keylog_of_esp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
