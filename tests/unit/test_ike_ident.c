// SPDX-License-Identifier: BSD-2-Clause
/* Identities: text, payloads, and the table of what matches what. */
#include "tests/unit/ike_fixture.h"

#include <errno.h>

static struct ident *parse(const char *text)
{
	struct ident *id = NULL;
	char why[200];

	if (ident_parse(text, &id, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	return id;
}

static const struct {
	const char *text;
	__u8 type;
	const char *printed; /* NULL: the same */
} good[] = {
	{"192.0.2.1", IKE_ID_IPV4, NULL},
	{"ipv4:192.0.2.1", IKE_ID_IPV4, "192.0.2.1"},
	{"2001:db8::1", IKE_ID_IPV6, NULL},
	{"ipv6:#20010db8000000000000000000000001", IKE_ID_IPV6, "2001:db8::1"},
	{"moon.example.org", IKE_ID_FQDN, NULL},
	{"@moon.example.org", IKE_ID_FQDN, "moon.example.org"},
	{"dns:*.example.org", IKE_ID_FQDN, "*.example.org"},
	{"fqdn:#6d6f6f6e", IKE_ID_FQDN, "moon"},
	{"carol@example.org", IKE_ID_RFC822, NULL},
	{"@@carol@example.org", IKE_ID_RFC822, "carol@example.org"},
	{"email:*@example.org", IKE_ID_RFC822, "*@example.org"},
	{"C=CH, O=strongSwan, CN=moon", IKE_ID_DN, NULL},
	{"c=CH,o=strongSwan ,  cn=moon", IKE_ID_DN, "C=CH, O=strongSwan, CN=moon"},
	{"/C=CH/O=strong, Swan/CN=moon", IKE_ID_DN, "C=CH, O=\"strong, Swan\", CN=moon"},
	{"C=CH, O=\"strong, Swan\", CN=*", IKE_ID_DN, NULL},
	{"asn1dn:CN=moon, E=moon@example.org", IKE_ID_DN, "CN=moon, E=moon@example.org"},
	{"asn1dn:#300f310d300b06035504030c046d6f6f6e", IKE_ID_DN, "CN=moon"},
	{"@#00ff10", IKE_ID_KEY_ID, "00:ff:10"},
	{"keyid:0x00FF10", IKE_ID_KEY_ID, "00:ff:10"},
	{"keyid:gateway 1", IKE_ID_KEY_ID, "gateway 1"},
	{"%any", IDENT_ANY, NULL},
	{"*", IDENT_ANY, "%any"},
	{"0.0.0.0", IDENT_ANY, "%any"},
	{"::", IDENT_ANY, "%any"},
	{"", IDENT_ANY, "%any"},
};

static void reads_and_prints(void **state)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct ident *id = parse(good[i].text);
		const char *want = good[i].printed ? good[i].printed : good[i].text;
		char text[IDENT_TEXT_MAX];

		assert_int_equal(id->type, good[i].type);
		assert_int_equal(ident_print(id, text, sizeof(text)), strlen(want));
		assert_string_equal(text, want);
		assert_int_equal(ident_print(id, text, 3), strlen(want));
		assert_int_equal(strlen(text), strlen(want) < 2 ? strlen(want) : 2);
		free(id);
	}
}

static const char *const bad[] = {
	"ipv4:300.1.1.1", "ipv4:#0102", "ipv6:1.2.3.4", "email:carol",  "CN=",    "X=y",
	"CN=moon, moon",  "asn1dn:",    "asn1dn:#30",   "asn1dn:#3000", "keyid:", "keyid:0x0",
	"@#xy",           "@",          "foo:bar",      "name\nline",   "dns:",
};

static void refuses(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ident *id = NULL;
		char why[200] = "";

		if (ident_parse(bad[i], &id, why, sizeof(why)) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
		assert_null(id);
		assert_true(*why);
		assert_null(strchr(why, '\n') && bad[i][0] != 'n' ? why : NULL);
	}
}

/* pattern, id, and 0: no, 1: yes, 2: the same. */
static const struct {
	const char *pattern, *id;
	int match;
} table[] = {
	{"%any", "moon.example.org", 1},
	{"%any", "C=CH, CN=moon", 1},
	{"%any", "192.0.2.1", 1},
	{"192.0.2.1", "192.0.2.1", 2},
	{"192.0.2.1", "192.0.2.2", 0},
	{"192.0.2.1", "fqdn:192.0.2.1", 0},
	{"2001:db8::1", "2001:db8:0::1", 2},
	{"moon.example.org", "MOON.example.ORG", 2},
	{"moon.example.org", "moon.example.org.", 0},
	{"moon.example.org", "rfc822:x@moon.example.org", 0},
	{"*.example.org", "moon.example.org", 1},
	{"*.example.org", "a.moon.EXAMPLE.org", 1},
	{"*.example.org", "example.org", 0},
	{"*.example.org", "moonexample.org", 0},
	{"*.example.org", "moon.example.org.evil.net", 0},
	{"*example.org", "example.org", 1},
	{"*example.org", "evilexample.org", 1},
	{"*@example.org", "carol@example.org", 1},
	{"*@example.org", "rfc822:@example.org", 0},
	{"*@example.org", "carol@sub.example.org", 0},
	{"*@example.org", "fqdn:carol@example.org", 0},
	{"carol@example.org", "Carol@Example.org", 2},
	/* a star of the peer's is just a letter */
	{"moon.example.org", "dns:*.example.org", 0},
	{"*.example.org", "dns:*.example.org", 2},
	{"C=CH, CN=moon", "C=CH, CN=*", 0},
	{"C=CH, O=x, CN=moon", "C=CH, O=x, CN=moon", 2},
	{"C=CH, O=X, CN=Moon", "C=ch, O=x, CN=moon", 2},
	{"C=CH, O=x, CN=moon", "C=CH, CN=moon, O=x", 0},
	{"C=CH, O=x, CN=*", "C=CH, O=x, CN=moon", 1},
	{"C=*, O=*, CN=*", "C=CH, O=x, CN=moon", 1},
	{"C=CH, O=x, CN=*", "C=CH, O=x", 0},
	{"C=CH, O=x", "C=CH, O=x, CN=moon", 0}, /* not its beginning either */
	{"C=*", "C=CH, O=x, CN=moon", 0},
	{"C=CH, O=x, CN=*", "C=CH, O=x, OU=y, CN=moon", 0},
	{"C=CH, O=x, CN=*", "C=CH, O=y, CN=moon", 0},
	{"C=CH, O=x, CN=m*", "C=CH, O=x, CN=moon", 0}, /* a whole value or nothing */
	/* string types do not count: UTF8String here, PrintableString there */
	{"CN=moon", "asn1dn:#300f310d300b06035504030c046d6f6f6e", 2},
	{"CN=moon", "asn1dn:#300f310d300b060355040313046d6f6f6e", 2},
	/* a NUL inside is a letter as well */
	{"CN=moon", "asn1dn:#3011310f300d06035504030c066d6f6f6e0061", 0},
	/* CN and OU of one RDN are not two RDNs */
	{"CN=a, OU=b",
	 "asn1dn:#3016311430080603550403"
	 "0c01613008060355040b"
	 "0c0162",
	 0},
	{"keyid:abc", "keyid:abc", 2},
	{"keyid:abc", "keyid:ABC", 0},
	{"keyid:0x616263", "keyid:abc", 2},
};

static void matches(void **state)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct ident *pattern = parse(table[i].pattern), *id;
		int score;

		/* some of them no payload would bear, so as bytes */
		id = parse(table[i].id);
		score = ident_match(pattern, id);
		if ((score == 0) != (table[i].match == 0) ||
		    (score == IDENT_MATCH_EXACT) != (table[i].match == 2))
			fail_msg("%s and %s: %d", table[i].pattern, table[i].id, score);
		if (table[i].match == 2 && !ident_is_pattern(pattern))
			assert_true(ident_equal(pattern, id));
		if (table[i].match == 0)
			assert_false(ident_equal(pattern, id));
		free(pattern);
		free(id);
	}
}

static void specific_first(void **state)
{
	static const char *const order[][4] = {
		{"%any", "*example.org", "*.example.org", "moon.example.org"},
		{"%any", "C=*, O=*, CN=*", "C=CH, O=*, CN=*", "C=CH, O=x, CN=*"},
	};
	static const char *const ids[] = {"moon.example.org", "C=CH, O=x, CN=moon"};

	for (int row = 0; row < 2; row++) {
		struct ident *id = parse(ids[row]);
		int last = 0;

		for (int i = 0; i < 4; i++) {
			struct ident *pattern = parse(order[row][i]);
			int score = ident_match(pattern, id);

			assert_true(score > last);
			last = score;
			free(pattern);
		}
		free(id);
	}
}

static void patterns(void **state)
{
	static const char *const yes[] = {"%any", "*.a", "*@a", "CN=*, O=x"};
	static const char *const no[] = {"a", "a@b", "CN=a*", "1.2.3.4", "keyid:*"};

	for (int i = 0; i < 4; i++) {
		struct ident *id = parse(yes[i]);

		assert_true(ident_is_pattern(id));
		free(id);
	}
	for (int i = 0; i < 5; i++) {
		struct ident *id = parse(no[i]);

		assert_false(ident_is_pattern(id));
		free(id);
	}
}

static void payloads(void **state)
{
	static const struct {
		__u8 type;
		const char *data;
		size_t len;
		bool fine;
	} rows[] = {
		{IKE_ID_IPV4, "\1\2\3\4", 4, true},
		{IKE_ID_IPV4, "\1\2\3", 3, false},
		{IKE_ID_IPV6, "0123456789abcdef", 16, true},
		{IKE_ID_IPV6, "\1\2\3\4", 4, false},
		{IKE_ID_FQDN, "a", 1, true},
		{IKE_ID_FQDN, "", 0, false},
		{IKE_ID_FQDN, "a\0b", 3, false},
		{IKE_ID_FQDN, "a\nb", 3, false},
		{IKE_ID_RFC822, "a@b", 3, true},
		{IKE_ID_RFC822, "a\x7f", 2, false},
		{IKE_ID_DN, "\x30\0", 2, false},
		{IKE_ID_DN, "0", 1, false},
		{IKE_ID_KEY_ID, "\0", 1, true},
		{IKE_ID_KEY_ID, "", 0, false},
		{IKE_ID_GN, "abc", 3, false},
		{0, "abc", 3, false},
		{201, "abc", 3, false},
	};
	static const __u8 long_one[IDENT_LEN_MAX + 1] = {1};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ike_id payload = {.type = rows[i].type,
					 .data = BYTES(rows[i].data, rows[i].len)};
		struct ident *id = NULL;
		char why[120] = "";
		int err = ident_of_payload(&payload, &id, why, sizeof(why));

		assert_int_equal(err, rows[i].fine ? 0 : -EBADMSG);
		assert_int_equal(!*why, rows[i].fine);
		free(id);
	}
	{
		struct ike_id payload = {.type = IKE_ID_KEY_ID, .data = BYTES_OF(long_one)};
		struct ident *id = NULL;
		char why[120];

		assert_int_equal(ident_of_payload(&payload, &id, why, sizeof(why)), -EBADMSG);
		assert_null(ident_new(IKE_ID_KEY_ID, BYTES_OF(long_one)));
	}
}

/* A DN cut at each byte, and with each byte changed: valid or not, never a fault of memory. */
static void dn_is_robust(void **state)
{
	struct ident *dn = parse("C=CH, O=strongSwan, OU=Gateways, CN=moon, E=moon@example.org");

	for (size_t i = 0; i < dn->len; i++) {
		for (int turn = 0; turn < 8; turn++) {
			__u8 *copy = exact_copy(dn->data, dn->len);
			struct ike_id payload = {.type = IKE_ID_DN, .data = BYTES(copy, dn->len)};
			struct ident *id = NULL;
			char why[120], text[IDENT_TEXT_MAX];

			copy[i] ^= (__u8)(1 << turn);
			if (!ident_of_payload(&payload, &id, why, sizeof(why))) {
				ident_print(id, text, sizeof(text));
				assert_true(ident_equal(id, id) && ident_match(id, id));
			}
			free(id);
			free(copy);
		}
		{
			__u8 *copy = exact_copy(dn->data, i);
			struct ike_id payload = {.type = IKE_ID_DN, .data = BYTES(copy, i)};
			struct ident *id = NULL;
			char why[120];

			assert_int_equal(ident_of_payload(&payload, &id, why, sizeof(why)),
					 -EBADMSG);
			free(copy);
		}
	}
	free(dn);
}

static void copies(void **state)
{
	struct ident *id = ident_of_addr(XIPSEC_FAMILY_IP4, (const __u8 *)"\xc0\0\2\1");
	struct ident *copy = ident_copy(id), *want = parse("192.0.2.1");

	assert_true(ident_equal(copy, want));
	assert_null(ident_copy(NULL));
	free(id);
	free(copy);
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_prints), cmocka_unit_test(refuses),
		cmocka_unit_test(matches),          cmocka_unit_test(specific_first),
		cmocka_unit_test(patterns),         cmocka_unit_test(payloads),
		cmocka_unit_test(dn_is_robust),     cmocka_unit_test(copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
