/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_ENGINE_WHY_H
#define LIB_ENGINE_WHY_H

#include "xipsec/engine.h"

/* "generic_xdp", and what it means; those of NONE for a number that is not there. Constants. */
const char *engine_why_name(unsigned int why);
const char *engine_why_text(unsigned int why);

#endif
