// SPDX-License-Identifier: BSD-2-Clause
#include "lib/reason.h"

#include <string.h>
#include "xipsec/advice.h"

static const struct {
	const char *name;
	const char *text;
	enum xipsec_reason_kind kind;
} reasons[XIPSEC_REASON_COUNT] = {
#define REASON_ROW(sym, name, kind, text) {#name, text, XIPSEC_KIND_##kind},
	XIPSEC_REASONS(REASON_ROW)
#undef REASON_ROW
};

static unsigned int known(unsigned int reason)
{
	return reason < XIPSEC_REASON_COUNT ? reason : XIPSEC_REASON_UNSPEC;
}

const char *reason_name(unsigned int reason)
{
	return reasons[known(reason)].name;
}

const char *reason_text(unsigned int reason)
{
	return reasons[known(reason)].text;
}

enum xipsec_reason_kind reason_kind(unsigned int reason)
{
	return reasons[known(reason)].kind;
}

const char *reason_advice(unsigned int reason)
{
	switch (reason) {
#define REASON_ADVICE(sym, text) \
	case XIPSEC_REASON_##sym: return text;
		XIPSEC_ADVICE(REASON_ADVICE)
#undef REASON_ADVICE
	default: return "";
	}
}

const char *reason_kind_name(unsigned int reason)
{
	static const char *const names[] = {"pass", "steer", "done", "drop"};

	return names[reason_kind(reason)];
}

bool reason_is_told(unsigned int reason)
{
	switch (reason) {
	case XIPSEC_REASON_BYPASS_IN:
	case XIPSEC_REASON_BYPASS_OUT:
	case XIPSEC_REASON_OPENED_ECN: return true;
	case XIPSEC_REASON_DUMMY:
	case XIPSEC_REASON_NAT_KEEPALIVE: return false;
	default: return reason_kind(reason) == XIPSEC_KIND_DROP;
	}
}

int reason_from_name(const char *name)
{
	for (int i = 0; i < XIPSEC_REASON_COUNT; i++)
		if (strcmp(reasons[i].name, name) == 0)
			return i;
	return -1;
}
