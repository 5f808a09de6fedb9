// SPDX-License-Identifier: BSD-2-Clause
/* The GCM backends against published packets; which backend is taken, and where its keys are. */
#include "tests/unit/crypto_fixture.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

struct gcm_vector {
	const char *name;
	enum xipsec_alg alg;
	const char *key, *nonce, *aad, *plain, *sealed, *tag; /* hex */
};

#define ZERO16 "00000000000000000000000000000000"
#define TEXT3                                                              \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"

/* "The Galois/Counter Mode of Operation", McGrew and Viega, appendix B, and whole ESP packets from
 * draft-mcgrew-gcm-test-01. Those with more AAD than ESP has are left out. */
static const struct gcm_vector vectors[] = {
	{"GCM 1", XIPSEC_ALG_AES128GCM16, ZERO16, "000000000000000000000000", "", "", "",
	 "58e2fccefa7e3061367f1d57a4e7455a"},
	{"GCM 2", XIPSEC_ALG_AES128GCM16, ZERO16, "000000000000000000000000", "", ZERO16,
	 "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"},
	{"GCM 3", XIPSEC_ALG_AES128GCM16, "feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888", "", TEXT3,
	 "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	 "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
	 "4d5c2af327cd64a62cf35abd2ba6fab4"},
	{"GCM 13", XIPSEC_ALG_AES256GCM16, ZERO16 ZERO16, "000000000000000000000000", "", "", "",
	 "530f8afbc74536b9a963b4f1c4cb738b"},
	{"GCM 14", XIPSEC_ALG_AES256GCM16, ZERO16 ZERO16, "000000000000000000000000", "", ZERO16,
	 "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
	{"GCM 15", XIPSEC_ALG_AES256GCM16,
	 "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888", "", TEXT3,
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
	 "b094dac5d93471bdec1a502270e3cc6c"},
	{"ESP, ESN", XIPSEC_ALG_AES128GCM16, "4c80cdefbb5d10da906ac73c3613a634",
	 "2e443b684956ed7e3b244cfe", "000043218765432100000000",
	 "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000"
	 "00000000045f736970045f756470037369700963796265726369747902646b00"
	 "0021000101020201",
	 "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34"
	 "cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce"
	 "61bc17d768fd9732",
	 "459018148f6cbe722fd04796562dfdb4"},
	{"ESP", XIPSEC_ALG_AES128GCM16, "feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888", "0000a5f80000000a",
	 "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d00100"
	 "0001000000000000037369700963796265726369747902646b00000100010001",
	 "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c"
	 "3de81827c10e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1",
	 "83b70d3aa8bc6ee4c309e9d85a41ad4a"},
	{"ESP, 256 bit", XIPSEC_ALG_AES256GCM16,
	 "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
	 "112233440102030405060708", "4a2cbfe300000002",
	 "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000"
	 "7002400020bf0000020405b40101040201020201",
	 "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763"
	 "748a637985771d347f0545659f14e99def842d8e",
	 "b335f4eecfdbf831824b4c4915956c96"},
};

static void run_vector(const struct gcm_vector *v, enum xipsec_backend backend)
{
	__u8 raw_key[36], text[128], want[128], tag[16], want_tag[16];
	struct crypto_op op = {.text = text, .tag = tag};
	__u32 aad_len, key_len = unhex(raw_key, v->key) + 4; /* and a salt */
	struct crypto_key *key;
	int err;

	key = crypto_key_new(v->alg, raw_key, key_len, backend, &err);
	assert_non_null(key);
	assert_int_equal(key->backend->id, backend);
	unhex(op.nonce, v->nonce);
	aad_len = unhex(op.aad, v->aad);
	op.len = unhex(text, v->plain);
	assert_int_equal(unhex(want, v->sealed), op.len);
	unhex(want_tag, v->tag);

	key->seal(key->ctx, &op, 1, aad_len);
	assert_memory_equal(text, want, op.len);
	assert_memory_equal(tag, want_tag, 16);

	key->open(key->ctx, &op, 1, aad_len);
	assert_true(op.ok);
	unhex(want, v->plain);
	assert_memory_equal(text, want, op.len);

	/* A wrong tag leaves no plaintext. */
	key->seal(key->ctx, &op, 1, aad_len);
	tag[15] ^= 1;
	key->open(key->ctx, &op, 1, aad_len);
	assert_false(op.ok);
	memset(want, 0, sizeof(want));
	assert_memory_equal(text, want, op.len);
	crypto_key_free(key);
}

static void test_vectors(void **unused)
{
	for (size_t b = 0; b < sizeof(backends) / sizeof(backends[0]); b++)
		for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
			run_vector(&vectors[i], backends[b]);
}

static void test_choice(void **unused)
{
	const __u8 raw_key[36] = {0};
	struct crypto_key *key;
	int err = 0;

	assert_int_equal(crypto_init(), 0);
	assert_int_equal(crypto_init(), 0);
	key = crypto_key_new(XIPSEC_ALG_AES128GCM16, raw_key, 20, XIPSEC_BACKEND_AUTO, &err);
	assert_non_null(key);
	assert_int_not_equal(key->backend->id, XIPSEC_BACKEND_AUTO);
	crypto_key_free(key);
	assert_null(crypto_key_new(XIPSEC_ALG_AES128GCM16, raw_key, 36, XIPSEC_BACKEND_AUTO, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(crypto_key_new(XIPSEC_ALG_NONE, raw_key, 0, XIPSEC_BACKEND_AUTO, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(crypto_key_new(XIPSEC_ALG_COUNT, raw_key, 20, XIPSEC_BACKEND_AUTO, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(crypto_key_new(XIPSEC_ALG_AES128GCM16, raw_key, 20, 99, &err));
	assert_int_equal(err, -ENOTSUP);
	crypto_key_free(NULL);
}

/* Is the mapping that holds `at` left out of core dumps? By the kernel's word. */
static bool stays_out_of_dumps(const void *at)
{
	unsigned long from, to, want = (unsigned long)at;
	FILE *f = fopen("/proc/self/smaps", "r");
	bool here = false, out = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= want && want < to;
		else if (here && !strncmp(line, "VmFlags:", 8))
			out = strstr(line, " dd") != NULL;
	}
	fclose(f);
	return out;
}

static void test_memory(void **unused)
{
	const __u8 raw_key[36] = {0};
	__u8 *memory = crypto_memory_new(5000);
	struct crypto_key *key;
	int err;

	assert_non_null(memory);
	assert_true(stays_out_of_dumps(memory));
	assert_true(stays_out_of_dumps(memory + 4999));
	for (int i = 0; i < 5000; i++)
		assert_int_equal(memory[i], 0);
	crypto_memory_free(memory, 5000);
	crypto_memory_free(NULL, 5000);
	/* the schedule of a key is the key */
	key = crypto_key_new(XIPSEC_ALG_AES128GCM16, raw_key, 20, XIPSEC_BACKEND_IPSEC_MB, &err);
	assert_non_null(key);
	assert_true(stays_out_of_dumps(key->ctx));
	crypto_key_free(key);
	assert_false(stays_out_of_dumps(raw_key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
