/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/buf.h"
/* Moved to lib/: who talks VICI needs it too. */
