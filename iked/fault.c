// SPDX-License-Identifier: BSD-2-Clause
#include "iked/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int ike_fault_set(struct ike_fault *fault, enum ike_notify_type notify, const char *fmt, ...)
{
	va_list args;

	if (!fault)
		return -EBADMSG;
	*fault = (struct ike_fault){.notify = (__u16)notify};
	va_start(args, fmt);
	vsnprintf(fault->what, sizeof(fault->what), fmt, args);
	va_end(args);
	return -EBADMSG;
}
