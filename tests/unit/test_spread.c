// SPDX-License-Identifier: BSD-2-Clause
/* Lists of CPUs as /sys/devices/system/cpu/online has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loader/spread.h"

static void is(const char *list, unsigned int n, unsigned int place, __u32 want)
{
	__u32 cpu = 4711;

	assert_int_equal(spread_list(list, place, &cpu), n);
	assert_int_equal(cpu, want);
}

static void lists(void **state)
{
	is("0\n", 1, 0, 0);
	is("0-1\n", 2, 1, 1);
	is("0-3,8,10-11\n", 7, 3, 3);
	is("0-3,8,10-11\n", 7, 4, 8);
	is("0-3,8,10-11\n", 7, 6, 11);
	is("0-3,8,10-11\n", 7, 7, 4711); /* there is none */
}

static void nonsense(void **state)
{
	is("", 0, 0, 4711);
	is("\n", 0, 0, 4711);
	is("3-1\n", 0, 0, 4711);
	is("0-99999999999999999999\n", 0, 0, 4711);
	is("-5\n", 0, 0, 4711);
	is("2,x\n", 1, 0, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
