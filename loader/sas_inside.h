/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the SADB, for the files that make it up: sas.c (the table), sas_find.c (who is
 * found how), sa_check.c (what is refused), sa_place.c (where a state stands), sa_record.c (what is
 * on disk), sa_relist.c (another list), sa_limits.c (their ends), sa_peer.c (where their peers
 * are), sa_kernel.c (those of kernel XFRM), sa_wish.c (which change engines), sa_install.c and
 * sa_move.c. Everybody else includes sas.h.
 */
#ifndef LOADER_SAS_INSIDE_H
#define LOADER_SAS_INSIDE_H

#include "lib/siphash.h"
#include "loader/sas.h"

/* A key's room in the locked mapping, bytes. */
#define SAS_KEY_STRIDE 128

struct sas {
	unsigned int max;
	unsigned int count;
	struct sa **table;                /* by index into sa_state */
	__u8 *keys;                       /* by index, SAS_KEY_STRIDE apart */
	struct sa **find[SAS_FIND_COUNT]; /* buckets */
	unsigned int find_size;           /* a power of two */
	struct siphash_key find_key;
	struct reserve *reserve;
	const struct sas_ops *ops;
	void *ctx;
	/* where states stand */
	char *states;
	size_t stride;
	unsigned int n;
	char where[RESERVE_WHERE_LEN];
	__u32 cursor;
	__u64 serial; /* of the SA that was added last */
	struct sa_wish *wishes;
	unsigned int n_wishes;
	__u32 turn;     /* of the next inbound one of kernel XFRM */
	__u64 tops_at;  /* when replay tops were last written, seconds */
	bool unsettled; /* a list is on its way to the workers */
};

/* ------------------------------------------------------------------ sas.c */

__u64 sas_now(void); /* CLOCK_BOOTTIME, seconds */

/* The state and the key of a place: `index` is below sas->n and sas->max. */
struct xipsec_sa_state *sas_state(const struct sas *sas, __u32 index);
__u8 *sas_key(const struct sas *sas, __u32 index);

/* All of the key. In constant time. */
bool sas_same_key(const struct sas *sas, const struct sa *have, const struct xipsec_sa *want);

/* ------------------------------------------------------------------ sas_find.c */

/* Room for `max` SAs. 0, -ENOMEM, -EIO (no random bytes): sas_find_free() in every case. */
int sas_find_new(struct sas *sas, unsigned int max);
void sas_find_free(struct sas *sas);

/* Its index is set and its key stands there; before the key goes, it goes. */
void sas_find_put(struct sas *sas, struct sa *sa);
void sas_find_drop(struct sas *sas, struct sa *sa);

/* Its destination is another from now on. */
void sas_find_move(struct sas *sas, struct sa *sa, const struct xipsec_addr *dst);

/* The one that has in common with `want` what none may share (lib/alg.h:alg_nonces()), or NULL. */
struct sa *sas_by_key(struct sas *sas, const struct xipsec_sa *want);

/* ------------------------------------------------------------------ sa_check.c */

/* Refuses what stands in the way of `sa`: 0, or -errno with `text` (XIPSEC_SADB_ERR_TEXT). Two SAs
 * with one key, or one cipher key and salt, would have two counters for it. */
int sas_check(struct sas *sas, const struct xipsec_sa *sa, char *text);

/* Writes "SA NAME: WHY" to `text` (XIPSEC_SADB_ERR_TEXT) and returns `err`. */
int sas_refuse(char *text, int err, const char *name, const char *why);

/* ------------------------------------------------------------------ sa_place.c */

/* The place that the record names, when its window still stands there (*adopted); else a free one.
 * 0 or -ENOSPC. */
int sa_place_choose(struct sas *sas, const struct reserve_record *record, __u32 *index,
		    bool *adopted);

/* Generation grows in its place for as long as the place exists; 0 is never one. */
__u32 sa_generation_after(const struct xipsec_sa_state *state);

/* Makes the state ready for workers: its window is closed up to the record's top. */
void sa_place_prepare(struct sas *sas, const struct sa *sa, bool adopted);

/* The table owns the SA between these two; release wipes its key and frees it. A kept window is
 * found again by the record, as after the death of an xipsecd. */
void sa_place_put(struct sas *sas, struct sa *sa);
void sa_place_release(struct sas *sas, struct sa *sa, bool keep_window);

/* ------------------------------------------------------------------ sa_record.c */

/* Notes the highest number given out, as the state in the workers' hands says it. */
void sa_record_see(struct sas *sas, struct sa *sa);

/* Before the record names another place than `state`: should we die before that one is ready, the
 * record's top is all that is left of the window. */
void sa_record_keep_top(struct reserve_record *record, __u8 dir,
			const struct xipsec_sa_state *state);

/* What went by it, for its limits in its next life. */
void sa_record_count(struct reserve_record *record, const struct xipsec_sa_state *state);

/* Has stopped: so that it stays so, whatever dies. */
void sa_record_stopped(struct sas *sas, struct sa *sa);

/* Writes an inbound SA's replay top to its record when it has grown. */
void sa_record_top(struct sas *sas, struct sa *sa);

/* The last word on a key for now: nobody gives out its numbers any more. -errno: what was received
 * is not on record, so the window must stay where it is. */
int sa_record_close(struct sas *sas, struct sa *sa, enum reserve_state state);

/* ------------------------------------------------------------------ sa_limits.c */

/* Which SA an event is about: all of it that the SA knows. */
void sa_event_fill(const struct sa *sa, struct sadb_event *event);

void sa_event_tell(struct sas *sas, const struct sa *sa, enum xipsec_event what,
		   enum xipsec_limit limit);

/* What limits count: all that the key was used for, dummies and padding that hides lengths too, as
 * in worker/sa.h:sa_look_limits(). */
__u64 sa_limits_packets(const struct xipsec_sa_state *state);
__u64 sa_limits_bytes(const struct xipsec_sa_state *state);

/* The hard limit that a key of this age and use has reached, or XIPSEC_LIMIT_NONE. */
enum xipsec_limit sa_limits_hard(const struct xipsec_limits *limits, __u64 age, __u64 packets,
				 __u64 bytes);
const char *sa_limits_name(enum xipsec_limit limit);

/* Tells, once, that it has stopped. `now`: CLOCK_BOOTTIME, seconds. */
void sa_limits_stopped(struct sas *sas, struct sa *sa, __u64 now);

/* Tells, once, that a good packet came by an inbound SA: its peer has it too, and sends by it
 * (RFC 7296 2.8, for the responder of a rekey). */
void sa_limits_used(struct sas *sas, struct sa *sa);

/* ------------------------------------------------------------------ sa_kernel.c */

/* Of the engine xfrm? */
bool sa_is_kernel(const struct sa *sa);

/* Decides its engine, where that is left to us, and writes down why. 0; -EOPNOTSUPP with `text`: it
 * asks for the kernel where that would pass plaintext or lose it. */
int sa_kernel_choose(struct sas *sas, struct sa *sa, char *text);

/* Gives it to the kernel, with the number that its state says. 0, or -errno with `text`
 * (XIPSEC_SADB_ERR_TEXT). */
int sa_kernel_add(struct sas *sas, struct sa *sa, char *text);

/* What its child sends is sealed by it from now on. 0 or -errno. */
int sa_kernel_lead_out(struct sas *sas, const struct sa *sa);

/* Takes it from the kernel, when no packet is led to it any more, and its child's policies with the
 * last one. */
void sa_kernel_gone(struct sas *sas, struct sa *sa);

/* Copies the kernel's counters into its state where it is due. `now`: CLOCK_BOOTTIME, seconds;
 * `second`: another one has begun. */
void sa_kernel_tick(struct sas *sas, struct sa *sa, __u64 now, bool second);

/* ------------------------------------------------------------------ sa_wish.c */

/* An SA that comes: the engine that was wished for its child, if one was. */
void sa_wish_apply(const struct sas *sas, struct sa *sa);

/* It could not be had there: the next one goes by the old engine. */
void sa_wish_failed(struct sas *sas, const struct sa *sa);

/* ------------------------------------------------------------------ sa_install.c */

struct xipsec_sad_key sa_sad_key(const struct xipsec_sa *sa);

/* The way to the SA opens: from here on packets can meet it. 0 or -errno. */
int sas_publish(struct sas *sas, struct sa *sa);

/* Its entry in the SAD alone. */
int sas_publish_entry(struct sas *sas, const struct sa *sa);

/* Its peer may send in pieces from now on (`here`), or no more. Of an outbound SA: nothing. */
void sas_tell_peer(struct sas *sas, struct sa *sa, bool here);

/* Sends it with its key to every worker. */
void sas_give_to_workers(struct sas *sas, const struct sa *sa);

#endif
