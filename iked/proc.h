/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processes of xipsec-iked, one table: what each is for and what it keeps. The parent starts
 * the others, each a fresh executable with one channel to the parent and nothing else, and starts
 * them again when they die.
 */
#ifndef IKED_PROC_H
#define IKED_PROC_H

#include "iked/chan.h"

enum proc_id { PROC_PARENT, PROC_CHILD, PROC_RESOLVER, PROC_COUNT };

struct proc {
	const char *name; /* in logs, and as argv[0] "xipsec-iked: NAME" */
	/* Of others than the parent: from the first message on. Returns the exit status. */
	int (*run)(int channel, const struct chan_setup *setup);
};

extern const struct proc procs[PROC_COUNT];

/* Which of them `argv` names; PROC_PARENT: a user started it. */
enum proc_id proc_of(int argc, char **argv);

/* In child and resolver: checks what they were born with, waits for SETUP, and runs. */
int proc_main(enum proc_id id);

/* ------------------------------------------------------------------ in the parent */

/* One that the parent keeps alive. */
struct proc_slot;

struct proc_hooks {
	/* A new one runs, and SETUP is on its way: send what it needs. */
	void (*started)(void *ctx, struct chan *chan);
	/* It is dead; another is started soon. */
	void (*died)(void *ctx);
	chan_fn message;
	/* Fills in what it shall become; hdr is not. */
	void (*setup)(void *ctx, struct chan_setup *out);
};

/* Starts the process and keeps it alive. `binary` is our own executable. NULL: no memory. */
struct proc_slot *proc_start(struct event_base *base, enum proc_id id, int binary,
			     const struct proc_hooks *hooks, void *ctx);
/* NULL while it is dead. */
struct chan *proc_chan(struct proc_slot *slot);
pid_t proc_pid(const struct proc_slot *slot);
/* Ends it, with SIGKILL if it does not end in `patience` ms after its channel closed; blocks. */
void proc_stop(struct proc_slot *slot, int patience);
/* Ends this one and starts another: at once, unless it is young. Those that end young come ever
 * more rarely, wanted or not. */
void proc_renew(struct proc_slot *slot);
/* After SIGCHLD. */
void proc_reap(struct proc_slot *slot);

#endif
