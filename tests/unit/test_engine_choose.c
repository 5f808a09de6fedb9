// SPDX-License-Identifier: BSD-2-Clause
/* The rules of engine = auto: each alone, each against those behind it, and what is told of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/engine_why.h"
#include "loader/engine.h"
#include "tests/lib/sa_make.h"

#define WHY(symbol) XIPSEC_ENGINE_WHY_##symbol

/* One that nothing forbids the kernel: IKE's, AES-GCM, a tunnel. */
static struct xipsec_sa left_to_us(void)
{
	struct xipsec_sa sa = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);

	sa.engine = XIPSEC_ENGINE_NONE;
	return sa;
}

/* Each row's fact decides although every fact of the rows below says otherwise. */
static void each_rule_wins_over_those_behind_it(void **state)
{
	static const struct {
		struct engine_facts facts; /* esp, generic, offload, narrow, child, tunnel */
		enum xipsec_engine engine;
		enum xipsec_engine_why why;
	} rows[] = {
		{{0, 1, 1, 1, 1, 0}, XIPSEC_ENGINE_AFXDP, WHY(NO_ESP)},
		{{1, 1, 1, 1, 1, 0}, XIPSEC_ENGINE_AFXDP, WHY(GENERIC)},
		{{1, 0, 1, 1, 1, 0}, XIPSEC_ENGINE_AFXDP, WHY(OFFLOAD)},
		{{1, 0, 0, 1, 1, 0}, XIPSEC_ENGINE_AFXDP, WHY(NARROW)},
		{{1, 0, 0, 0, 1, 0}, XIPSEC_ENGINE_XFRM, WHY(CHILD)},
		{{1, 0, 0, 0, 0, 0}, XIPSEC_ENGINE_AFXDP, WHY(WORKERS)},
		{{0, 0, 0, 0, 0, 0}, XIPSEC_ENGINE_AFXDP, WHY(NO_ESP)},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct xipsec_sa sa = left_to_us();
		enum xipsec_engine_why why = WHY(NONE);

		assert_int_equal(engine_choose(&sa, &rows[i].facts, &why), rows[i].engine);
		assert_int_equal(why, rows[i].why);
	}
}

/* Routes lead to what the interface is, whatever speaks for the other engine. */
static void an_sa_has_the_engine_of_its_tunnel(void **state)
{
	struct engine_facts facts = {.generic = true, .tunnel = XIPSEC_ENGINE_XFRM};
	struct xipsec_sa sa = left_to_us();
	enum xipsec_engine_why why;

	assert_int_equal(engine_choose(&sa, &facts, &why), XIPSEC_ENGINE_XFRM);
	assert_int_equal(why, WHY(TUNNEL));
	facts = (struct engine_facts){.esp = true, .child = true, .tunnel = XIPSEC_ENGINE_AFXDP};
	assert_int_equal(engine_choose(&sa, &facts, &why), XIPSEC_ENGINE_AFXDP);
	assert_int_equal(why, WHY(TUNNEL));
	sa.engine = XIPSEC_ENGINE_XFRM;
	assert_int_equal(engine_choose(&sa, &facts, &why), XIPSEC_ENGINE_XFRM);
	assert_int_equal(why, WHY(ASKED));
	assert_true(engine_misses_tunnel(&sa, &facts));
	sa.engine = XIPSEC_ENGINE_AFXDP;
	assert_false(engine_misses_tunnel(&sa, &facts));
	facts.tunnel = XIPSEC_ENGINE_NONE;
	assert_false(engine_misses_tunnel(&sa, &facts));
}

/* With everything else in favour of the kernel. */
static void assert_lacks(const struct xipsec_sa *sa)
{
	const struct engine_facts facts = {.esp = true, .narrow = true, .child = true};
	enum xipsec_engine_why why = WHY(NONE);

	assert_int_equal(engine_choose(sa, &facts, &why), XIPSEC_ENGINE_AFXDP);
	assert_int_equal(why, WHY(LACKS));
}

static void what_the_kernel_lacks_is_for_workers(void **state)
{
	struct xipsec_sa sa = left_to_us();

	sa.flags |= XIPSEC_SA_MANUAL; /* an AEAD key that a restart would use again */
	assert_lacks(&sa);
	sa = left_to_us();
	sa.ttl = 9;
	assert_lacks(&sa);
	sa = left_to_us();
	sa.dir = XIPSEC_DIR_IN;
	sa.window = 8192;
	assert_lacks(&sa);
	sa = left_to_us();
	sa.if_id = 7;
	sa.mode = XIPSEC_MODE_TRANSPORT;
	assert_lacks(&sa);
}

/* A key with a hash may be the kernel's although it is manual; its bytes decide nothing. */
static void manual_keys_with_a_hash_are_not_lacking(void **state)
{
	struct xipsec_sa sa = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128CBC_SHA256, 0x1001);
	const struct engine_facts facts = {.esp = true, .child = true};
	enum xipsec_engine_why why;

	sa.engine = XIPSEC_ENGINE_NONE;
	sa.flags |= XIPSEC_SA_MANUAL;
	assert_int_equal(engine_choose(&sa, &facts, &why), XIPSEC_ENGINE_XFRM);
	assert_int_equal(why, WHY(CHILD));
}

static void what_is_asked_for_is_taken(void **state)
{
	const struct engine_facts facts[] = {{0}, {.esp = true}, {1, 1, 1, 1, 1, 0}};

	for (int engine = XIPSEC_ENGINE_AFXDP; engine <= XIPSEC_ENGINE_XFRM; engine++) {
		for (int i = 0; i < 3; i++) {
			struct xipsec_sa sa = left_to_us();
			enum xipsec_engine_why why;

			sa.engine = (__u8)engine;
			assert_int_equal(engine_choose(&sa, &facts[i], &why), engine);
			assert_int_equal(why, WHY(ASKED));
		}
	}
}

static void two_facts_forbid_the_kernel_to_everybody(void **state)
{
	assert_int_equal(engine_forbids(&(struct engine_facts){.generic = 1}), WHY(GENERIC));
	assert_int_equal(engine_forbids(&(struct engine_facts){.esp = 1, .offload = 1}),
			 WHY(OFFLOAD));
	assert_int_equal(engine_forbids(&(struct engine_facts){.narrow = 1, .child = 1}),
			 WHY(NONE));
	assert_int_equal(engine_forbids(&(struct engine_facts){.esp = 1}), WHY(NONE));
}

static void every_reason_has_a_name_and_a_text(void **state)
{
	for (unsigned int i = 0; i < XIPSEC_ENGINE_WHY_COUNT; i++) {
		assert_true(strlen(engine_why_text(i)) > 10);
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(engine_why_name(i), engine_why_name(k));
	}
	assert_string_equal(engine_why_name(WHY(GENERIC)), "generic_xdp");
	assert_string_equal(engine_why_name(XIPSEC_ENGINE_WHY_COUNT), "none");
	assert_string_equal(engine_why_name(~0U), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_wins_over_those_behind_it),
		cmocka_unit_test(an_sa_has_the_engine_of_its_tunnel),
		cmocka_unit_test(what_the_kernel_lacks_is_for_workers),
		cmocka_unit_test(manual_keys_with_a_hash_are_not_lacking),
		cmocka_unit_test(what_is_asked_for_is_taken),
		cmocka_unit_test(two_facts_forbid_the_kernel_to_everybody),
		cmocka_unit_test(every_reason_has_a_name_and_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
