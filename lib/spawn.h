/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process of ours in a fresh executable: a forked child would keep a copy of its parent's memory
 * with all keys; what was executed anew has what it is sent.
 */
#ifndef LIB_SPAWN_H
#define LIB_SPAWN_H

/* Opens an executable, closed on exec, high enough to be in nobody's way. Returns a descriptor or
 * -errno. */
int spawn_open(const char *path);

/* In a child of fork(): becomes `binary`, called argv0, with the one argument `arg`, descriptor
 * `channel` at number `at` (> 2), stderr, and nothing else open; signals as at the start of the
 * world, of the environment only what logs and sanitizers need. Does not return. */
void spawn_exec(int binary, const char *argv0, const char *arg, int channel, int at)
	__attribute__((noreturn));

#endif
