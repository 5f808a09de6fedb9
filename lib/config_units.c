// SPDX-License-Identifier: BSD-2-Clause
#include "lib/config_units.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct unit {
	char letter; /* 0: none behind the number */
	__u64 factor;
};

/* All of `text`, a decimal number and one of `units`, which factor 0 ends. */
static bool text_units(const char *text, const struct unit *units, __u64 max, __u64 *out)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	while (*end == ' ')
		end++;
	for (; units->factor; units++) {
		if (tolower((unsigned char)*end) != units->letter || (*end && end[1]))
			continue;
		if (value > max / units->factor)
			return false;
		*out = value * units->factor;
		return true;
	}
	return false;
}

bool parse_time(struct config_diag *diag, const struct config_node *node, __u32 *out)
{
	static const struct unit units[] = {{0, 1},      {'s', 1},     {'m', 60},
					    {'h', 3600}, {'d', 86400}, {0, 0}};
	__u64 value;

	if (!text_units(node->value, units, 0xffffffff, &value)) {
		config_error(diag, &node->value_place,
			     "%s = %s: expected seconds below 2^32, or a number with s, m, h or d",
			     node->name, config_shown(node->value));
		return false;
	}
	*out = value;
	return true;
}

bool parse_bytes(struct config_diag *diag, const struct config_node *node, __u64 *out)
{
	static const struct unit units[] = {
		{0, 1}, {'k', 1 << 10}, {'m', 1 << 20}, {'g', 1 << 30}, {0, 0}};

	if (!text_units(node->value, units, ~0ULL, out)) {
		config_error(diag, &node->value_place,
			     "%s = %s: expected bytes below 2^64, or a number with k, m or g",
			     node->name, config_shown(node->value));
		return false;
	}
	return true;
}

bool parse_count(struct config_diag *diag, const struct config_node *node, __u64 *out)
{
	static const struct unit units[] = {{0, 1}, {0, 0}};

	if (!text_units(node->value, units, ~0ULL, out)) {
		config_error(diag, &node->value_place, "%s = %s: expected a number below 2^64",
			     node->name, config_shown(node->value));
		return false;
	}
	return true;
}
