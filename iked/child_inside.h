/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the child, for the files that make it up (child.h tells which). */
#ifndef IKED_CHILD_INSIDE_H
#define IKED_CHILD_INSIDE_H

#include "iked/cert.h"
#include "iked/chan.h"
#include "iked/engine.h"
#include "iked/sadb_link.h"
#include "iked/table.h"
#include "lib/vici_msg.h"

struct orphan;

struct child {
	struct event_base *base;
	struct chan *chan;
	struct engine *engine;
	struct event *due;     /* engine_run() */
	struct event *linger;  /* orphans whose time is over */
	struct event *restart; /* connections of orphans begin again */
	/* xipsecd */
	struct sadb_link *link; /* NULL: it does not run, or the parent has not lent one yet */
	__u32 n_links;          /* that it has lent */
	__u64 epoch;            /* 0: not known yet */
	bool greeted;           /* `epoch` is that of the link */
	struct refusal *refusals;
	struct late *lates; /* outbound SAs that go in a moment */
	struct event *refuse;
	struct orphan *orphans;
	struct table orphans_by_child, orphans_by_peer, orphans_alive;
	__u64 linger_at;               /* ms: when orphans are looked through next; 0: not */
	bool listed;                   /* what was there when we began is known */
	char (*starts)[CONN_NAME_LEN]; /* connections that begin then */
	unsigned int n_starts;
	/* the network */
	int fd[XIPSEC_IKE_SOCKETS]; /* -1: none */
	struct event *readable[XIPSEC_IKE_SOCKETS];
	/* certificates of peers */
	struct cert_store *trust, *next_trust;
	bool crl_missing; /* in next_trust: one cannot be read */
	int keylog;       /* -1: none */
	/* clients of VICI */
	__u32 vici_wanted; /* events: 1 << enum vici_event */
	struct vici_wait *vici_waits;
	unsigned int n_vici_waits;
	struct sas_list *lists; /* list-sas */
	unsigned int n_lists;
	__u32 hostile;
	bool hostile_done;
	int status;
	bool stopping; /* what is deleted is deleted at once; nothing begins */
	bool finished; /* it is the last word */
};

/* ------------------------------------------------------------------ child.c */

/* Ends the loop; `status` is what the process returns. */
void child_finish(struct child *c, int status);
/* After each call into the engine: the next engine_run() may be due at another time. */
void child_plan(struct child *c);
/* CLOCK_BOOTTIME, ms. */
__u64 child_now(void);
/* Somebody may have set the time of day: certificates have dates. */
void child_set_clock(struct child *c);

/* ------------------------------------------------------------------ child_sandbox.c */

int child_sandbox(const struct chan_setup *setup);

/* ------------------------------------------------------------------ child_udp.c */

/* Takes the descriptors over (each -1 afterwards), in the order of the bits; what was there goes.
 */
void child_udp_sockets(struct child *c, __u32 have, int *fds, unsigned int n);
/* What has come waits there until it is known which SAs there are. */
void child_udp_listen(struct child *c);
void child_udp_close(struct child *c);
void child_udp_send(void *ctx, const struct ike_path *path, __u8 dscp, const __u8 *data,
		    size_t len);
void child_udp_keepalive(void *ctx, const struct ike_path *path);

/* ------------------------------------------------------------------ child_sadb.c */

/* Owns `fd`; of the one before, if there is one still, every question is over. */
void child_sadb_link(struct child *c, int fd);
/* The connection's start_action is due: now, or when it is known what was there before. */
void child_sadb_start(struct child *c, const char *conn);
void child_sadb_add(void *ctx, __u64 id, const struct xipsec_sa *sa);
void child_sadb_delete(void *ctx, const char *name);
/* Those that were to go in a moment go now. */
void child_sadb_delete_late(struct child *c);
/* child_finish(), when xipsecd has done all that it was asked. */
void child_sadb_finish(struct child *c);
void child_sadb_free(struct child *c);

/* ------------------------------------------------------------------ child_orphans.c */

/* One SA that is there (`stopped`: a limit is reached, it drops); the list has ended. */
void child_orphans_see(struct child *c, const struct xipsec_sa *sa, bool stopped);
void child_orphans_seen(struct child *c);
/* Does the connection begin with orphans of its children, a little later? */
bool child_orphans_start(const struct child *c, const char *conn);
/* That SA has reached a limit or is idle: it goes. `again`: its child begins. Names that are no
 * orphan's are ignored. */
void child_orphans_over(struct child *c, const char *sa, const char *sadb_child, bool again);
/* Its child (as xipsecd calls it) is up with that peer, by SAs of this process. */
void child_orphans_replaced(struct child *c, const char *sadb_child,
			    const struct xipsec_addr *peer);
/* The first packet has come by that SA, from there: if it is one of this process, the peer sends by
 * it from now on. Names of others are ignored. */
void child_orphans_used(struct child *c, const char *sa, const char *sadb_child,
			const struct xipsec_addr *peer);
/* The connection is (there again): has it some? */
void child_orphans_tell(struct child *c, const char *conn);
/* All of them, at xipsecd. */
void child_orphans_delete(struct child *c);
/* xipsecd has a new epoch: they are gone with the old one. */
void child_orphans_lost(struct child *c);
/* They are nobody's business any more. */
void child_orphans_free(struct child *c);
void child_orphans_linger(evutil_socket_t fd, short what, void *ctx);
void child_orphans_restart(evutil_socket_t fd, short what, void *ctx);

/* ------------------------------------------------------------------ child_vici.c */

/* A client's command, which the parent passed on. */
void child_vici_command(struct child *c, const struct chan_vici *m);
/* The client has read what it was sent, or (`more`) is gone: nobody waits for its command. */
void child_vici_more(struct child *c, const struct chan_vici *m);
/* The end of one that the engine was given. */
void child_vici_done(struct child *c, __u64 ref, int err, const char *text);
/* What the engine tells, to who wants to hear it. */
void child_vici_event(struct child *c, const struct ike_event *event);
void child_vici_log(struct child *c, const struct ike_log *line);
void child_vici_answer(struct child *c, __u64 id, const struct vici_writer *w);
void child_vici_refuse(struct child *c, __u64 id, const char *text);
void child_vici_free(struct child *c);

/* ------------------------------------------------------------------ child_list.c */

void child_list_begin(struct child *c, __u64 id, struct bytes message);
/* child_vici_more(), of a list. */
void child_list_more(struct child *c, const struct chan_vici *m);
void child_list_free(struct child *c);

/* ------------------------------------------------------------------ child_parent.c */

void child_parent_message(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n);
/* The connection to xipsecd has ended. */
void child_parent_sadb_gone(struct child *c);
void child_parent_paths(void *ctx, __u64 id, const char *conn);
void child_parent_auth_make(void *ctx, __u64 id, const struct ike_auth_ask *ask);
void child_parent_psk_verify(void *ctx, __u64 id, const struct ike_auth_ask *ask);
void child_parent_keylog(void *ctx, const struct ike_keylog *line);
void child_parent_free(struct child *c);

#endif
