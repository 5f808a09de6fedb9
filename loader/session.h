/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One change to the data path under the loader's lock: targets are collected, checked, then
 * switched in an order in which every intermediate state is closed:
 *
 *	1. the generation is loaded, its SPD full (no hook runs it yet)
 *	2. every target stands in its `ifaces`: programs that run already apply the SPD to what
 *	   leaves by a new black interface
 *	3. black interfaces before red ones; on each, TC before XDP: first nothing leaves, then
 *	   nothing enters
 *	4. `current`, then the record, then nftables (hook_nft.h), then the older generations go
 *
 * Replacing is hook by hook. While old and new are mixed each program still acts by its own maps,
 * which hold the same policies; a frame for a worker that is not there yet is dropped.
 */
#ifndef LOADER_SESSION_H
#define LOADER_SESSION_H

#include "loader/generation.h"
#include "loader/iflist.h"
#include "loader/record.h"
#include "loader/undo.h"

struct target {
	struct iflist_entry link;
	enum xipsec_role role;
	bool registered; /* its entry in `ifaces` is of this session */
	bool adopted;    /* found with a program of ours: must succeed, or nothing is changed */
	int err;         /* what became of it */
};

#define TARGETS_MAX (2 * XIPSEC_SLOTS_MAX)

struct session {
	const struct config *config;
	unsigned int flags; /* LOADER_* */
	int lock;
	bool open;  /* gen is open */
	bool built; /* gen was built by this session and is not current yet */
	struct generation gen;
	struct record record;
	struct record before; /* as it stood at the start */
	struct undo undo;
	struct iflist_entry *links;
	unsigned int n_links;
	struct target target[TARGETS_MAX];
	unsigned int n_targets;
};

/* Checks rights and bpffs, takes the lock, opens the current generation if it is of our ABI. Ended
 * by session_end() in any case. */
int session_begin(struct session *s, const struct config *config, unsigned int flags);

/* Frees; takes nothing back (undo_run() does). */
void session_end(struct session *s);

const struct iflist_entry *session_link(const struct session *s, const char *name);

/* Adds a target, or gives back the one that there is; NULL: too many, which is logged. */
struct target *session_target(struct session *s, const struct iflist_entry *link,
			      enum xipsec_role role);

/* Is it attached, with these very programs, in the current generation? */
bool session_is_attached(struct session *s, const struct iflist_entry *link, enum xipsec_role role);

/* Steps 1 to 4 without the removal of older generations. A target that fails is undone alone and
 * has its err set, adopted ones fail the whole. Returns 0 when at least one target stands and no
 * adopted one failed, else -errno with everything undone. */
int session_apply(struct session *s);

/* The older generations go. */
void session_commit(struct session *s);

/* record_set(), and says what is full. */
int session_note(struct session *s, const char *name, enum xipsec_role role);

/* Role of the programs of ours on an interface, whatever their generation; NONE: there are none. */
enum xipsec_role session_role_of(const struct iflist_entry *link);

/* libbpf's own lines become debug lines of the log. */
void session_quiet(void);

__u32 session_prog_id(int fd);

#endif
