/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For processes that will have keys in memory.
 */
#ifndef LIB_CORE_DUMP_H
#define LIB_CORE_DUMP_H

/* No core dump of this process and its children, and no ptrace by others without privilege. To be
 * called before the first key is read. 0, or -errno with an error line in the log. */
int core_dump_off(void);

#endif
