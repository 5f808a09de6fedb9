// SPDX-License-Identifier: BSD-2-Clause
/* SipHash-2-4 by the vectors of its authors: key 00 to 0f, text 00, 01, 02, ... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/siphash.h"

static void published_vectors(void **state)
{
	static const struct {
		size_t len;
		__u64 hash;
	} vectors[] = {
		{0, 0x726fdb47dd0e0e31ULL},
		{1, 0x74f839c593dc67fdULL},
		{8, 0x93f5f5799a932462ULL},
		{15, 0xa129ca6149be45e5ULL}, /* appendix A of the paper */
	};
	struct siphash_key key = {{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}};
	__u8 text[15];

	for (unsigned int i = 0; i < sizeof(text); i++)
		text[i] = i;
	for (unsigned int i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(siphash(&key, text, vectors[i].len) == vectors[i].hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
