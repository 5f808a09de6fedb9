/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `attach --confirm SECONDS`: a process stays behind that takes the attach back unless it is
 * confirmed in time. It is a session of its own and holds no terminal, so it outlives the SSH
 * connection that the attach may have cut. It holds the old programs by descriptor.
 *
 * A hangup means nothing to it. SIGTERM and SIGINT end the wait and take the attach back at once:
 * the end of a login session may bring them (systemd's KillUserProcesses), and nobody could be let
 * in again by a process that is gone. Only SIGKILL leaves the attach standing.
 *
 * RUN_DIR/confirm exists while it waits, locked by it, and says "pid N" and "deadline N" (seconds
 * of CLOCK_BOOTTIME). A file without that lock is left from a process that was killed: nothing will
 * be taken back any more.
 */
#ifndef LOADER_CONFIRM_H
#define LOADER_CONFIRM_H

#include <stdbool.h>
#include "loader/session.h"
#include "xipsec/loader.h"

/* What became of the last `attach --confirm`. *seconds: until it is taken back, else 0; 0 also
 * while the process has not yet written it down. */
enum loader_confirm_state confirm_read(const char *run_dir, unsigned int *seconds);

/* Does an attach wait for its confirmation? */
bool confirm_pending(const char *run_dir);

/* Leaves the process behind. Returns in the caller only: 0 or -errno. The caller ends its session
 * without committing; what the session did is the process's from then on. */
int confirm_wait(struct session *s, unsigned int seconds);

#endif
