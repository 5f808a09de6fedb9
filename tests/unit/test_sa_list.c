// SPDX-License-Identifier: BSD-2-Clause
/* Two lists of selectors of one SA: what is the same, and what both together refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/sa_list.h"
#include "tests/lib/sa_make.h"

/* Selectors are letters, those that are accepted are large. */
static struct xipsec_sa list(const char *letters)
{
	struct xipsec_sa sa = sa_make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16, 0x1001);

	for (; *letters; letters++, sa.n_selectors++) {
		sa.refuse[sa.n_selectors] = *letters >= 'a';
		sa.selector[sa.n_selectors] = (struct xipsec_selector){
			.local_port_lo = (__u8)*letters, .local_port_hi = (__u8)*letters};
	}
	return sa;
}

static enum sa_list compared(const char *a, const char *b)
{
	const struct xipsec_sa one = list(a), two = list(b);

	assert_int_equal(sa_list_compare(&one, &two), sa_list_compare(&two, &one));
	return sa_list_compare(&one, &two);
}

static void lists_are_compared(void **state)
{
	static const struct {
		const char *a, *b;
		enum sa_list is;
	} cases[] = {
		{"", "", SA_LIST_SAME},           {"A", "A", SA_LIST_SAME},
		{"aB", "aB", SA_LIST_SAME},       {"A", "aA", SA_LIST_REFUSALS},
		{"AB", "AaB", SA_LIST_REFUSALS},  {"aAB", "AaB", SA_LIST_REFUSALS},
		{"abA", "baA", SA_LIST_REFUSALS}, {"aA", "bA", SA_LIST_REFUSALS},
		{"A", "Aa", SA_LIST_REFUSALS},    {"aA", "bcdA", SA_LIST_REFUSALS},
		{"A", "B", SA_LIST_OTHER},        {"AB", "BA", SA_LIST_OTHER},
		{"A", "AB", SA_LIST_OTHER},       {"aAB", "aA", SA_LIST_OTHER},
		{"aA", "A", SA_LIST_REFUSALS},    {"A", "", SA_LIST_OTHER},
		{"a", "", SA_LIST_REFUSALS},
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (compared(cases[i].a, cases[i].b) != cases[i].is)
			fail_msg("\"%s\" and \"%s\"", cases[i].a, cases[i].b);
}

/* Any byte of the SA in front of its key makes it another one, but for flags that follow from the
 * list. */
static void all_else_is_compared(void **state)
{
	const struct xipsec_sa one = list("aA");

	for (size_t at = 0; at < offsetof(struct xipsec_sa, key); at++) {
		const size_t n = offsetof(struct xipsec_sa, n_selectors);
		struct xipsec_sa two = list("aA");

		if (at >= n && at < n + sizeof(two.n_selectors))
			continue;
		((__u8 *)&two)[at] ^= 0x80; /* is no flag */
		assert_int_equal(sa_list_compare(&one, &two), SA_LIST_OTHER);
	}
	for (unsigned int bit = 0; bit < 16; bit++) {
		const __u16 flag = (__u16)(1 << bit);
		struct xipsec_sa two = list("aA");

		two.flags ^= flag;
		assert_int_equal(sa_list_compare(&one, &two),
				 flag == XIPSEC_SA_WHOLE || flag == XIPSEC_SA_APART
					 ? SA_LIST_REFUSALS
					 : SA_LIST_OTHER);
	}
}

/* ------------------------------------------------------------------ both at once */

/* A packet that these selectors match: a set of letters, `a` for A and `z` is another. */
static bool accepts(const struct xipsec_sa *sa, __u32 packet)
{
	for (__u32 i = 0; i < sa->n_selectors; i++)
		if (packet & 1u << (sa->selector[i].local_port_lo & 31))
			return !sa->refuse[i];
	return false;
}

/* Letters of which A to D, in order, are accepted in both lists; e to p may be refused. */
static void some_list(char *out)
{
	for (char accepted = 'A'; accepted <= 'E'; accepted++) {
		for (unsigned int n = (unsigned int)rand() % 4; n; n--)
			*out++ = (char)('e' + rand() % 12);
		if (accepted < 'E')
			*out++ = accepted;
	}
	*out = 0;
}

static void both_refuse(void **state)
{
	unsigned int refused = 0, accepted = 0;
	char a[32], b[32];

	srand(7);
	for (int round = 0; round < 2000; round++) {
		some_list(a);
		some_list(b);
		const struct xipsec_sa one = list(a), two = list(b);
		struct xipsec_sa both = one;

		assert_int_not_equal(sa_list_compare(&one, &two), SA_LIST_OTHER);
		assert_true(sa_list_join(&both, &two));
		assert_int_not_equal(sa_list_compare(&one, &both), SA_LIST_OTHER);
		for (int i = 0; i < 100; i++) {
			__u32 packet = (__u32)rand() & (__u32)rand() & (__u32)rand() & 0x1ffff;
			bool want = accepts(&one, packet) && accepts(&two, packet);

			if (accepts(&both, packet) != want)
				fail_msg("%s and %s: packet %x", a, b, packet);
			accepted += want;
			refused += accepts(&one, packet) != accepts(&two, packet);
		}
	}
	assert_true(accepted > 1000 && refused > 1000);
}

static void what_is_there_is_enough(void **state)
{
	struct xipsec_sa one = list("abAcB"), two = list("bAB"), was = one;

	two.flags |= XIPSEC_SA_APART;
	assert_true(sa_list_join(&one, &two));
	assert_int_equal(one.flags, XIPSEC_SA_APART);
	one.flags = 0;
	assert_int_equal(sa_list_compare(&one, &was), SA_LIST_SAME);
	assert_true(sa_list_join(&two, &one));
	assert_int_equal(two.n_selectors, 5);
}

static void no_more_than_fit(void **state)
{
	struct xipsec_sa one = list("A"), two = list("A"), was;

	one.n_selectors = two.n_selectors = 0;
	for (__u32 i = 0; i < XIPSEC_SELECTORS_MAX; i++) {
		struct xipsec_sa *to = i % 2 ? &one : &two;

		to->refuse[to->n_selectors] = 1;
		to->selector[to->n_selectors++].remote_port_lo = (__u16)i;
	}
	was = one;
	assert_true(sa_list_join(&one, &two));
	assert_int_equal(one.n_selectors, XIPSEC_SELECTORS_MAX);
	one = was;
	two.refuse[two.n_selectors] = 1;
	two.selector[two.n_selectors++].remote_port_lo = 7777;
	assert_false(sa_list_join(&one, &two));
	assert_memory_equal(&one, &was, sizeof(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_compared), cmocka_unit_test(all_else_is_compared),
		cmocka_unit_test(both_refuse),        cmocka_unit_test(what_is_there_is_enough),
		cmocka_unit_test(no_more_than_fit),
	};

	return cmocka_run_group_tests_name("sa_list", tests, NULL, NULL);
}
