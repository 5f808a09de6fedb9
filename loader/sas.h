/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SADB: which SAs there are, where their state stands, and in which order the world learns of
 * them.
 *
 * Install: state (a generation never used in that place), workers get the key, then the entries
 * that send packets there. Delete: those entries, then the workers forget and say so, then the
 * place is free. So a packet never meets a half of an SA, and a number is never given out from a
 * place that belongs to another key.
 *
 * Keys stand in one locked mapping that no core dump and no child process has.
 */
#ifndef LOADER_SAS_H
#define LOADER_SAS_H

#include "lib/sa_list.h"
#include "loader/engine.h"
#include "loader/reserve.h"
#include "xipsec/ctl.h"
#include "xipsec/sadb.h"

/* Narrowest window of an outbound SA that workers may share. They send up to so far out of order:
 * the peer's window must be as wide (the peer's is taken to be like ours). */
#define SAS_SHARED_WINDOW_MIN 1024

struct xfrm_count;
struct xfrm_news;

/* How the SADB reaches kernel XFRM (loader/xfrm.h). 0 or -errno. */
struct sas_kernel {
	/* `sa` with its key; `seq`: the last number used or received. -EXDEV: its selectors are
	 * not what the policies of its child say. -EDOM: they are nothing that the kernel can
	 * compare, and in transport mode or out of a tunnel it must. -EADDRINUSE: its tunnel has
	 * an SA with others. -ENODEV: its tunnel is not there. */
	int (*add)(void *ctx, const struct xipsec_sa *sa, __u32 index, __u32 child, __u64 seq);
	/* *last: what the kernel counted at its end; untouched where it does not tell. */
	int (*gone)(void *ctx, const struct xipsec_sa *sa, struct xfrm_count *last);
	/* What `child` sends goes to that SA; what its SAs opened goes on. NULL: neither. */
	int (*lead)(void *ctx, __u8 dir, const struct xipsec_sa *sa, __u32 index, __u32 child);
	int (*ask)(void *ctx, const struct xipsec_sa *sa, struct xfrm_count *out);
	/* All but `child`, which the SADB knows. NULL: all false. */
	void (*facts)(void *ctx, const struct xipsec_sa *sa, struct engine_facts *out);
	/* The CPU that opens what comes by the inbound SA of that turn, plus 1; 0: whichever
	 * receives it. */
	__u32 (*cpu)(void *ctx, __u32 turn);
};

/* How the SADB reaches the maps and the workers. 0 or -errno. */
struct sas_ops {
	int (*sad_set)(void *ctx, const struct xipsec_sad_key *key,
		       const struct xipsec_sad_entry *entry);
	int (*sad_delete)(void *ctx, const struct xipsec_sad_key *key);
	int (*child_id)(void *ctx, const struct xipsec_sa *sa);
	int (*child_set)(void *ctx, __u32 id, const struct xipsec_child *child);
	void (*install)(void *ctx, const struct ctl_sa *msg); /* to every worker */
	/* Returns when no worker can send a packet of any of them: each said so, or is dead. */
	void (*forget)(void *ctx, const struct ctl_sa_ref *refs, unsigned int n);
	void (*event)(void *ctx, struct sadb_event *event); /* hdr and time are not filled in */
	unsigned int (*workers)(void *ctx);                 /* how many share an SA */
	const struct sas_kernel *kernel;                    /* NULL: there is none */
	/* One inbound SA more or less from there: its pieces may come in any order. NULL: who asks
	 * has no use for it. */
	int (*peer)(void *ctx, const struct xipsec_peer_key *key, bool more);
	/* Returns when every worker has read all that it was sent, or is dead. */
	void (*settle)(void *ctx);
};

/* By what an SA is found. */
enum sas_find_by { SAS_FIND_NAME, SAS_FIND_SPI, SAS_FIND_KEY, SAS_FIND_COUNT };

struct sa {
	struct sa *find_next[SAS_FIND_COUNT];
	__u32 find_hash[SAS_FIND_COUNT];
	__u32 index;
	__u32 generation;
	__u32 child;    /* id */
	__u64 born;     /* CLOCK_BOOTTIME, seconds */
	__u64 aged;     /* seconds that its key was in use before, XIPSEC_SA_MANUAL */
	__u64 serial;   /* grows with each SA that is added: the newest has the highest */
	__u64 seq_seen; /* highest ever read from the state: the state is in the workers' hands */
	__u64 top_written;
	__u8 backend;     /* enum xipsec_backend, as a worker said; AUTO: none has yet */
	__u64 refused_by; /* bit n: worker n cannot run it */
	__u8 engine_why;  /* enum xipsec_engine_why */
	__u32 turn;       /* inbound of kernel XFRM: 0, 1, ... in the order they come */
	__u64 before_packets, before_bytes; /* that the kernel has not counted: before it had it */
	bool in_kernel;                     /* kernel XFRM has it from us */
	bool taken;                         /* ... and somebody else has taken it away */
	bool announced;                     /* hard expire was told */
	bool soft_told;                     /* soft expire was */
	bool added_told;                    /* and that it goes will be */
	bool used_told;                     /* inbound: that a packet came by it */
	bool peer_told;                     /* inbound: ops->peer() knows it */
	__u64 idle_told;                    /* for the silence after that last packet, seconds */
	/* As it was asked for; the peer may have moved since (RFC 3948). */
	struct xipsec_addr given_src, given_dst;
	__be16 given_src_port, given_dst_port;
	bool write_failed;            /* said once */
	struct reserve_record record; /* with XIPSEC_SA_MANUAL */
	/* Last, for its memory ends with its last selector: copy it with xipsec_sa_copy(). Its key
	 * is zero: it stands in the locked mapping. */
	struct xipsec_sa sa;
};

struct sas;

/* `max` SAs at most. `reserve` may be NULL: then manual SAs are refused. NULL: no memory. */
struct sas *sas_new(unsigned int max, struct reserve *reserve, const struct sas_ops *ops,
		    void *ctx);

/* Wipes the keys. Says nothing to anybody: sas_stop() first. */
void sas_free(struct sas *sas);

/* Names the memory where states stand: `n` entries `stride` bytes apart, and `where` (boot id and
 * map id) for the records. SAs that exist move there with their counters. 0 or -errno of the first
 * that could not; the others are there. */
int sas_bind(struct sas *sas, void *states, size_t stride, unsigned int n, const char *where);

/* 0, or -errno with `text` (XIPSEC_SADB_ERR_TEXT). The caller wipes *sa. */
int sas_add(struct sas *sas, const struct xipsec_sa *sa, char *text);

/* Removes `n` of them at once; they must be of this SADB. They are gone in any case. 0, or -errno
 * of the first of which the record could not be written: its window is kept while the maps live. */
int sas_delete(struct sas *sas, struct sa **list, unsigned int n);

/* Has the child of the SA `name`, or of that name, rekeyed onto `engine` (enum xipsec_engine). 0:
 * it was asked for; or -errno with `text` (XIPSEC_SADB_ERR_TEXT): manual keys never, what the
 * kernel has not by name, -EALREADY. */
int sas_wish(struct sas *sas, const char *name, __u8 engine, char *text);

/* What was wished for so far counts no longer. */
void sas_wishes_forget(struct sas *sas);

/* With every worker dead: writes exact numbers back and empties SAD and children. */
void sas_stop(struct sas *sas);

/* Tells who listens that it goes because its policies changed (XIPSEC_EVENT_EXPIRE_HARD). */
void sas_expire(struct sas *sas, const struct sa *sa);

/* Every 20 ms: reserves ahead, notices SAs that stopped, and once a second writes replay tops and
 * looks at limits. */
void sas_tick(struct sas *sas);

/* Stops SAs at their limit of time, and tells of limits reached and of silence. `now`:
 * CLOCK_BOOTTIME, seconds. */
void sas_limits(struct sas *sas, __u64 now);

/* A worker says that the peer of an inbound SA comes from elsewhere now: it may say anything. If
 * it is one in UDP, that SA and its child's outbound ones that led to the old place follow, and
 * XIPSEC_EVENT_MAPPING tells. */
void sas_peer(struct sas *sas, const struct ctl_peer *peer);

/* Policies are others now: what the kernel has of them for this host's own packets follows. */
void sas_kernel_policies(struct sas *sas);

/* The kernel tells of an SA or policy of ours. */
void sas_kernel_news(struct sas *sas, const struct xfrm_news *news);

/* The same for a sample's SA: names and addresses of the SA it is about, if there is one. */
void sas_describe(struct sas *sas, const struct xipsec_sample *sample, struct sadb_event *event);

struct sa *sas_by_name(struct sas *sas, const char *name);
/* The three that name an SA (RFC 4301 4.1): ESP and AH have SPIs of their own. */
struct sa *sas_by_spi(struct sas *sas, const struct xipsec_addr *dst, __u8 family, __be32 spi,
		      __u8 l4_proto);
struct sa *sas_by_index(struct sas *sas, __u32 index);
/* Walks: start with NULL; NULL ends. */
struct sa *sas_next(struct sas *sas, const struct sa *after);
/* The first at that place or behind it: for a walk that is interrupted. */
struct sa *sas_from(struct sas *sas, __u32 index);
unsigned int sas_count(const struct sas *sas);

/* Is it the same SA with the same key, and has it the same list? */
enum sa_list sas_compare(const struct sas *sas, const struct sa *have,
			 const struct xipsec_sa *want);

/* Gives it the selectors of `with`, which differ by refusals alone; key, numbers and window stay.
 * Workers read it when they come to it: sas_settle(). The SA as it stands now, in other memory:
 * `sa` is none any more. Or NULL, and nothing has changed: no memory, or the kernel compares them,
 * policy by policy. */
struct sa *sas_relist(struct sas *sas, struct sa *sa, const struct xipsec_sa *with);

/* Returns when every worker goes by the lists that SAs were given, or is dead. */
void sas_settle(struct sas *sas);

/* A worker says which backend runs an SA, or that it cannot run it. It may say anything. */
void sas_runs(struct sas *sas, unsigned int worker, const struct ctl_sa_runs *runs);

/* What listings show; the key is zero. */
void sas_info(const struct sas *sas, const struct sa *sa, struct sadb_sa_info *out);

/* The message that gives it to a worker: the caller wipes it. */
void sas_message(const struct sas *sas, const struct sa *sa, struct ctl_sa *out);

#endif
