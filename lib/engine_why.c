// SPDX-License-Identifier: BSD-2-Clause
#include "lib/engine_why.h"

static const struct {
	const char *name, *text;
} whys[XIPSEC_ENGINE_WHY_COUNT] = {
#define WHY_ROW(symbol, name, text) {#name, text},
	XIPSEC_ENGINE_WHYS(WHY_ROW)
#undef WHY_ROW
};

static unsigned int known(unsigned int why)
{
	return why < XIPSEC_ENGINE_WHY_COUNT ? why : XIPSEC_ENGINE_WHY_NONE;
}

const char *engine_why_name(unsigned int why)
{
	return whys[known(why)].name;
}

const char *engine_why_text(unsigned int why)
{
	return whys[known(why)].text;
}
