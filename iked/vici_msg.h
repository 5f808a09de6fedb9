/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/vici_msg.h"
/* Moved to lib/: who talks VICI needs it too. */
