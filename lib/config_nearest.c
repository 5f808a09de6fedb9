// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <string.h>
#include "lib/config_key.h"

#define WORD_MAX 32

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other
 * (optimal string alignment). */
static unsigned int distance(const char *a, const char *b)
{
	size_t rows = strlen(a), columns = strlen(b);
	unsigned int d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= rows; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= columns; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= rows; i++) {
		for (size_t j = 1; j <= columns; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);

			d[i][j] =
				least(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (x != y));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[rows][columns];
}

const char *config_nearest(const char *word, const char *const *words, size_t n)
{
	unsigned int best = 4;
	const char *found = NULL;

	if (strlen(word) > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned int d;

		if (strlen(words[i]) > WORD_MAX)
			continue;
		d = distance(word, words[i]);
		/* a third of the letters may differ: `spy` is not `key` */
		if (d < best && d * 3 <= strlen(words[i]) + 1) {
			best = d;
			found = words[i];
		}
	}
	return found;
}
