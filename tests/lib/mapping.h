/* SPDX-License-Identifier: BSD-2-Clause */
/* How a page of this process is mapped. */
#ifndef TESTS_LIB_MAPPING_H
#define TESTS_LIB_MAPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Has the mapping that it lies in that flag of smaps? */
static inline bool mapping_has(const void *at, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	bool here = false, has = false;
	char line[512];

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (unsigned long)at >= from && (unsigned long)at < to;
		else if (here && !strncmp(line, "VmFlags:", 8))
			has = strstr(line, flag);
	}
	fclose(smaps);
	return has;
}

#endif
