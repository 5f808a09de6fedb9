// SPDX-License-Identifier: BSD-2-Clause
/* Proposals as text, and the choice between ours and a peer's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/alg.h"
#include "lib/proposal.h"

#define IKE PROPOSAL_IKE
#define AH  PROPOSAL_AH
#define ESP PROPOSAL_ESP

/* ------------------------------------------------------------------ text */

static const struct {
	enum proposal_protocol protocol;
	const char *word, *printed; /* NULL: the same */
} good[] = {
	{IKE, "aes128gcm16-prfsha256-x25519", NULL},
	{IKE, "AES128GCM-PRFSHA256-CURVE25519", "aes128gcm16-prfsha256-x25519"},
	{IKE, "aes256-sha384-ecp384", "aes256-sha384-ecp384-prfsha384"},
	{IKE, "aes-sha2_256-modp2048", "aes128-sha256-modp2048-prfsha256"},
	{IKE, "aes256-sha512-prfsha256-modp4096", NULL},
	/* strongSwan's users write this: the PRF is derived, then integrity falls away */
	{IKE, "aes256gcm16-sha384-ecp384", "aes256gcm16-ecp384-prfsha384"},
	{IKE, "chacha20poly1305-prfsha512-x448-ecp521-x448",
	 "chacha20poly1305-prfsha512-x448-ecp521"},
	{ESP, "aes128gcm16-x25519", "aes128gcm16-x25519-noesn"},
	{ESP, "aes256-sha256-esn-noesn", NULL},
	{ESP, "aes256gcm128-modpnone-ecp256-esn", "aes256gcm16-modpnone-ecp256-esn"},
	{ESP, "aes128gcm16-sha256", "aes128gcm16-noesn"},
	{ESP, "aes128ccm64", "aes128ccm8-noesn"},
	{ESP, "aes128gmac", "aes128gmac-noesn"},
	{ESP, "null-sha512", "null-sha512-noesn"},
	{AH, "sha256", "sha256-noesn"},
	{AH, "aes256gmac-ecp256-esn", NULL},
};

static void reads_and_prints(void **state)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct proposals list = {0};
		char why[200] = "", text[300];
		const char *want = good[i].printed ? good[i].printed : good[i].word;
		int err = proposals_add(&list, good[i].protocol, good[i].word, why, sizeof(why));

		if (err)
			fail_msg("%s: %s", good[i].word, why);
		assert_int_equal(list.n, 1);
		assert_int_equal(list.p[0].number, 1);
		assert_int_equal(list.p[0].protocol, good[i].protocol);
		assert_int_equal(proposals_print(&list, text, sizeof(text)), strlen(want));
		assert_string_equal(text, want);
	}
}

static const struct {
	enum proposal_protocol protocol;
	const char *word, *why;
} bad[] = {
	{IKE, "aes128gcm16-x25519", "a PRF is missing: add prfsha256"},
	{IKE, "aes128-x25519-prfsha256", "an integrity algorithm is missing: add sha256"},
	{IKE, "aes128-sha256", "a key exchange is missing: add x25519"},
	{IKE, "sha256-x25519", "a cipher is missing: add aes128gcm16"},
	{IKE, "aes128-aes128gcm16-sha256-x25519",
	 "ciphers with and without integrity of their own: make two proposals of it"},
	{IKE, "aes128-sha1-modp1024", "sha1: RFC 8247 and RFC 8221 let SHA-1 go (MUST-)"},
	{IKE, "aes128-sha256-modp1024", "modp1024: RFC 8247 says SHOULD NOT"},
	{IKE, "aes128-sha256-modp1024s160", "modp1024s160: RFC 8247 says MUST NOT"},
	{IKE, "aes128-sha256-modp768", "modp768: RFC 8247 says MUST NOT"},
	{IKE, "aes128-sha256-modp2048s256", "modp2048s256: RFC 8247 says SHOULD NOT"},
	{IKE, "des-sha256-modp2048", "des: RFC 8247 and RFC 8221 say MUST NOT"},
	{IKE, "3des-sha256-modp2048", "3des: RFC 8221 says SHOULD NOT, RFC 8247 lets it go"},
	{IKE, "aes128-md5-modp2048", "md5: RFC 8247 and RFC 8221 say MUST NOT"},
	{IKE, "aes128-sha256-prfmd5-modp2048", "prfmd5: RFC 8247 says MUST NOT"},
	{IKE, "null-sha256-modp2048", "null: RFC 8247 says MUST NOT"},
	{IKE, "aes192-sha256-x25519",
	 "aes192: RFC 8247 and RFC 8221 do not ask for it, and it is not here"},
	{IKE, "aes128ctr-sha256-x25519", "aes128ctr: is none of IKE"},
	{IKE, "aes128gcm16-prfsha256-x25519-esn", "esn: is none of IKE"},
	{IKE, "aes128gmc16-prfsha256-x25519",
	 "aes128gmc16: is not known (did you mean aes128gcm16?)"},
	{IKE, "aes128gcm16-prfsha256-x25519-", "nothing between two `-`, or in front or behind"},
	{IKE, "", "nothing between two `-`, or in front or behind"},
	{IKE, "aes128gcm16!", "aes128gcm16!: is not known (did you mean aes128gcm16?)"},
	{ESP, "aes128", "an integrity algorithm is missing: add sha256"},
	{ESP, "null", "an integrity algorithm is missing: add sha256"},
	{ESP, "sha256", "a cipher is missing: add aes128gcm16"},
	{ESP, "blowfish256-sha256", "blowfish256: RFC 8221 says MUST NOT"},
	{ESP, "aes128gcm16-prfsha256", "prfsha256: is none of ESP"},
	{AH, "aes128-sha256", "aes128: is none of AH"},
	{AH, "null-sha256", "null: is none of AH"},
	{AH, "esn", "an integrity algorithm is missing: add sha256"},
};

static void refuses_with_words(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct proposals list = {0}, before = {0};
		char why[200] = "";

		assert_int_equal(
			proposals_add(&list, bad[i].protocol, bad[i].word, why, sizeof(why)),
			-EINVAL);
		assert_string_equal(why, bad[i].why);
		assert_memory_equal(&list, &before, sizeof(list));
	}
}

/* What is offered without a wish: nothing that the RFCs forbid, and what they ask for (RFC 8247 2).
 */
static void defaults(void **state)
{
	struct proposals ike, esp, ah;
	char text[2000];
	__u16 groups[20];

	proposals_default(&ike, IKE);
	proposals_default(&esp, ESP);
	proposals_default(&ah, AH);
	assert_int_equal(ike.n, 2);
	assert_int_equal(esp.n, 2);
	assert_int_equal(ah.n, 1);
	assert_int_equal(ike.p[1].number, 2);
	proposals_print(&ike, text, sizeof(text));
	assert_non_null(strstr(text, "aes128gcm16"));
	assert_non_null(strstr(text, "aes128-aes256-sha256"));
	assert_non_null(strstr(text, "modp2048"));
	assert_null(strstr(text, "_")); /* all have names */
	assert_int_equal(proposals_groups(&ike, groups, 20), 10);
	assert_int_equal(groups[0], KE_X25519);
	assert_int_equal(proposals_groups(&ike, groups, 3), 3);
	assert_int_equal(proposals_groups(&esp, groups, 20), 0);
}

static void lists(void **state)
{
	struct proposals list = {0};
	char why[200], text[10];

	for (int i = 0; i < PROPOSALS_MAX; i++)
		assert_int_equal(proposals_add(&list, ESP, "aes128gcm16", why, sizeof(why)), 0);
	assert_int_equal(list.p[PROPOSALS_MAX - 1].number, PROPOSALS_MAX);
	assert_int_equal(proposals_add(&list, ESP, "aes128gcm16", why, sizeof(why)), -E2BIG);
	assert_string_equal(why, "more than 32 proposals");
	list.n--;
	assert_int_equal(proposals_add(&list, ESP, "default", why, sizeof(why)), -E2BIG);
	assert_int_equal(list.n, PROPOSALS_MAX - 1);
	list.n = 2;
	assert_int_equal(proposals_print(&list, text, sizeof(text)),
			 strlen("aes128gcm16-noesn, aes128gcm16-noesn"));
	assert_string_equal(text, "aes128gcm");
	assert_int_equal(proposals_print(&list, NULL, 0),
			 strlen("aes128gcm16-noesn, aes128gcm16-noesn"));
}

static void unknown_is_printed(void **state)
{
	const struct proposal p = {
		.protocol = IKE,
		.n = 5,
		.t = {{TRANSFORM_ENCR, 0, 3, 0},
		      {TRANSFORM_ENCR, 0, ENCR_AES_CBC, 192},
		      {TRANSFORM_INTEG, 0, 0, 0},
		      {9, 0, 1, 0},
		      {TRANSFORM_ENCR, 1, ENCR_AES_CBC, 128}},
	};
	struct proposal other = {.n = 1, .t = {{TRANSFORM_ENCR, 0, ENCR_AES_CBC, 128}}};
	char text[100];

	proposal_print(&p, text, sizeof(text));
	assert_string_equal(text, "encr_3-encr_12_192-integ_none-9_1-encr_12_128?");
	other.protocol = 40; /* a peer's may be any */
	proposal_print(&other, text, sizeof(text));
	assert_string_equal(text, "encr_12_128");
	assert_string_equal(ke_name(KE_X25519), "x25519");
	assert_string_equal(ke_name(5), "ke_5");
	assert_string_equal(ke_name(0), "modpnone");
}

/* ------------------------------------------------------------------ choice */

static struct proposals list_of(enum proposal_protocol protocol, const char *words)
{
	struct proposals list = {0};
	char copy[600], why[200], *rest = copy, *word;

	strcpy(copy, words);
	while ((word = strsep(&rest, " ")))
		if (proposals_add(&list, protocol, word, why, sizeof(why)))
			fail_msg("%s: %s", word, why);
	for (unsigned int i = 0; i < list.n; i++) {
		list.p[i].spi_len = protocol == IKE ? 0 : 4;
		memcpy(list.p[i].spi, "\1\2\3", 4);
		list.p[i].spi[3] = (__u8)(i + 1);
	}
	return list;
}

static const struct {
	enum proposal_protocol protocol;
	const char *ours, *theirs;
	__u16 group;
	bool no_ke;
	unsigned int number; /* 0: none fits */
	const char *chosen;
} choices[] = {
	{IKE, "aes128gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-x25519", 0, false, 1,
	 "aes128gcm16-prfsha256-x25519"},
	/* our order of proposals and of transforms wins */
	{IKE, "aes256-sha256-x25519 aes128-sha512-ecp256",
	 "aes128-sha512-ecp256 aes256-sha256-x25519", 0, false, 2,
	 "aes256-sha256-prfsha256-x25519"},
	{IKE, "aes256-aes128-sha512-sha256-ecp256-x25519",
	 "aes128-aes256-sha256-sha512-x25519-ecp256", 0, false, 1,
	 "aes256-sha512-prfsha512-ecp256"},
	/* the group of their KE payload wins over our order, if both have it there */
	{IKE, "aes128-sha256-ecp256-x25519", "aes128-sha256-x25519-ecp256", KE_X25519, false, 1,
	 "aes128-sha256-prfsha256-x25519"},
	{IKE, "aes128-sha256-ecp256", "aes128-sha256-x25519-ecp256", KE_X25519, false, 1,
	 "aes128-sha256-prfsha256-ecp256"},
	{IKE, "aes128-sha256-ecp256", "aes128-sha256-x25519", KE_X25519, false, 0, NULL},
	{IKE, "aes128-sha256-x25519", "aes256-sha256-x25519", 0, false, 0, NULL},
	{IKE, "aes128-sha256-x25519", "aes128-sha512-prfsha256-x25519", 0, false, 0, NULL},
	{IKE, "aes128-sha256-x25519", "aes128-sha256-prfsha384-x25519", 0, false, 0, NULL},
	{IKE, "aes128gcm16-prfsha256-x25519", "aes128-sha256-prfsha256-x25519", 0, false, 0, NULL},
	{ESP, "aes128gcm16", "aes256gcm16 aes128gcm16", 0, false, 2, "aes128gcm16-noesn"},
	{ESP, "aes128gcm16-esn-noesn", "aes128gcm16-noesn-esn", 0, false, 1, "aes128gcm16-esn"},
	{ESP, "aes128gcm16-esn", "aes128gcm16-noesn", 0, false, 0, NULL},
	/* PFS: one side insists, the other does not offer it */
	{ESP, "aes128gcm16-x25519", "aes128gcm16", 0, false, 0, NULL},
	{ESP, "aes128gcm16", "aes128gcm16-x25519", 0, false, 0, NULL},
	{ESP, "aes128gcm16", "aes128gcm16-x25519-modpnone", 0, false, 1, "aes128gcm16-noesn"},
	{ESP, "aes128gcm16-x25519-modpnone", "aes128gcm16", 0, false, 1, "aes128gcm16-noesn"},
	{ESP, "aes128gcm16-x25519-modpnone", "aes128gcm16-x25519", 0, false, 1,
	 "aes128gcm16-x25519-noesn"},
	/* in IKE_AUTH groups do not count */
	{ESP, "aes128gcm16-x25519", "aes128gcm16", 0, true, 1, "aes128gcm16-noesn"},
	{ESP, "aes128gcm16", "aes128gcm16-x25519", 0, true, 1, "aes128gcm16-noesn"},
	{ESP, "aes256-sha256 aes128gcm16", "aes128gcm16 aes256-sha256", 0, false, 2,
	 "aes256-sha256-noesn"},
	{AH, "sha512-sha256", "sha256-sha512", 0, false, 1, "sha512-noesn"},
};

static void chooses(void **state)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		struct proposals ours = list_of(choices[i].protocol, choices[i].ours);
		struct proposals theirs = list_of(choices[i].protocol, choices[i].theirs);
		struct proposal_choice how = {.ke_group = choices[i].group,
					      .no_ke = choices[i].no_ke};
		struct proposal out = {0}, before = {0};
		char text[200];
		int err = proposal_choose(&ours, &theirs, &how, &out);

		if (!choices[i].number) {
			assert_int_equal(err, -ENOENT);
			assert_memory_equal(&out, &before, sizeof(out));
			continue;
		}
		if (err)
			fail_msg("%s and %s have something in common", choices[i].ours,
				 choices[i].theirs);
		proposal_print(&out, text, sizeof(text));
		assert_string_equal(text, choices[i].chosen);
		assert_int_equal(out.number, choices[i].number);
		assert_int_equal(out.spi_len, choices[i].protocol == IKE ? 0 : 4);
		if (out.spi_len)
			assert_int_equal(out.spi[3], choices[i].number);
	}
}

/* RFC 7296 3.3.6: what is not understood is passed over, the rest counts as usual. */
static void passes_over(void **state)
{
	struct proposals ours = list_of(ESP, "aes128gcm16-esn"), theirs = ours;
	struct proposal_choice how = {0};
	struct proposal out;

	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), 0);
	theirs.p[0].t[0].odd = 1; /* an attribute that we do not know */
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), -ENOENT);
	theirs.p[0].t[theirs.p[0].n++] = ours.p[0].t[0]; /* another one of its type, as usual */
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), 0);
	theirs.p[0].t[theirs.p[0].n++] = (struct transform){.type = 6, .id = 1}; /* a type */
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), -ENOENT);
	theirs.p[1] = ours.p[0]; /* another proposal, as usual */
	theirs.p[1].number = 2;
	theirs.n = 2;
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), 0);
	assert_int_equal(out.number, 2);
	theirs.p[1].n--; /* no ESN, which is mandatory */
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), -ENOENT);
	theirs.p[1].n++;
	theirs.p[1].spi_len = 8;
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), -ENOENT);
	theirs.p[1].spi_len = 4;
	theirs.p[1].protocol = AH;
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), -ENOENT);
	theirs.p[1].protocol = ESP;
	theirs.p[1].t[0].key_bits = 0; /* RFC 7296 3.3.5: AES without a key length is rejected */
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), -ENOENT);
}

/* RFC 5282 8: an AEAD is offered with no integrity, or with NONE; not with an algorithm. */
static void aead_and_integrity(void **state)
{
	struct proposals ours = list_of(IKE, "aes128gcm16-prfsha256-x25519"), theirs = ours;
	struct proposal_choice how = {0};
	struct proposal *p = &theirs.p[0], out;

	p->t[p->n++] = (struct transform){.type = TRANSFORM_INTEG, .id = INTEG_HMAC_SHA2_256_128};
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), -ENOENT);
	p->t[p->n - 1].id = TRANSFORM_NONE;
	assert_int_equal(proposal_choose(&ours, &theirs, &how, &out), 0);
	assert_null(proposal_find(&out, TRANSFORM_INTEG));
	assert_int_equal(out.n, 3);
}

static void accepts(void **state)
{
	struct proposals offered = list_of(ESP, "aes256-sha256-esn-noesn aes128gcm16-x25519-noesn");
	struct proposals answer = {.n = 1};
	struct proposal *a = &answer.p[0], out;
	const struct transform encr = {TRANSFORM_ENCR, 0, ENCR_AES_GCM_16, 128};
	const struct transform ke = {TRANSFORM_KE, 0, KE_X25519, 0};
	const struct transform esn = {TRANSFORM_ESN, 0, ESN_NO, 0};
	const struct transform none = {TRANSFORM_INTEG, 0, TRANSFORM_NONE, 0};

	*a = (struct proposal){.number = 2, .protocol = ESP, .spi_len = 4, .n = 3};
	a->t[0] = ke; /* any order */
	a->t[1] = esn;
	a->t[2] = encr;
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), 0);
	assert_int_equal(out.number, 2);
	assert_int_equal(out.n, 3);
	a->t[a->n++] = none;
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), 0);
	assert_int_equal(out.n, 3);
	a->n--;

	a->number = 1; /* not what number 1 offered */
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), -EINVAL);
	a->number = 3;
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), -EINVAL);
	a->number = 2;
	answer.n = 2;
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), -EINVAL);
	answer.n = 0;
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), -EINVAL);
	answer.n = 1;
	a->t[a->n++] = ke; /* twice */
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), -EINVAL);
	a->n--;
	a->t[2].key_bits = 256; /* not offered */
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), -EINVAL);
	a->t[2].key_bits = 128;
	a->t[1].id = ESN_YES;
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), -EINVAL);
	a->t[1].id = ESN_NO;
	a->t[0] = encr; /* the group is missing */
	a->n = 2;
	assert_int_equal(proposal_accept(&offered, &answer, false, &out), -EINVAL);
	proposals_strip_ke(&offered);
	assert_int_equal(proposal_accept(&offered, &answer, true, &out), 0);
	a->spi_len = 0;
	assert_int_equal(proposal_accept(&offered, &answer, true, &out), -EINVAL);
}

/* ------------------------------------------------------------------ algorithms */

static void algorithms(void **state)
{
	for (unsigned int alg = 1; alg < XIPSEC_ALG_COUNT; alg++) {
		struct proposals list = {0};
		struct proposal p;
		char why[200], text[100], word[100];

		assert_int_equal(proposal_of_alg(ESP, alg, &p), 0);
		assert_int_equal(proposal_alg(&p), alg);
		proposal_print(&p, text, sizeof(text));
		snprintf(word, sizeof(word), "%s-noesn", alg_name(alg, 50));
		assert_string_equal(text, word);
		assert_int_equal(proposals_add(&list, ESP, alg_name(alg, 50), why, sizeof(why)), 0);
		assert_int_equal(proposal_alg(&list.p[0]), alg);

		assert_int_equal(proposal_of_alg(AH, alg, &p), alg_fits_ah(alg) ? 0 : -EINVAL);
		if (!alg_fits_ah(alg))
			continue;
		assert_int_equal(proposal_alg(&p), alg);
		proposal_print(&p, text, sizeof(text));
		snprintf(word, sizeof(word), "%s-noesn", alg_name(alg, 51));
		assert_string_equal(text, word);
		p.protocol = ESP; /* without a cipher: nothing */
		assert_int_equal(proposal_alg(&p), XIPSEC_ALG_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_prints),
		cmocka_unit_test(refuses_with_words),
		cmocka_unit_test(defaults),
		cmocka_unit_test(lists),
		cmocka_unit_test(unknown_is_printed),
		cmocka_unit_test(chooses),
		cmocka_unit_test(passes_over),
		cmocka_unit_test(aead_and_integrity),
		cmocka_unit_test(accepts),
		cmocka_unit_test(algorithms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
