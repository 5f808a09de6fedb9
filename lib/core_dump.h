/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For processes that will have keys in memory.
 */
#ifndef LIB_CORE_DUMP_H
#define LIB_CORE_DUMP_H

/* No core dump of this process and its children, and no ptrace by others without privilege; a dump
 * that somebody forces nevertheless has none of their memory. To be called before the first key is
 * read. 0, or -errno with an error line in the log. */
int core_dump_off(void);

/* The first two of these, which a change of uid undoes. 0, or -errno (logged). */
int core_dump_refuse(void);

/* The last of these alone: no page belongs into a dump, for keys lie in all kinds of memory, that
 * of libcrypto and the stack too. Children and what they execute inherit it. To be called before
 * the uid is changed: to who is not dumpable and not root, /proc/self is closed. 0 or -errno. */
int core_dump_leave_out(void);

#endif
