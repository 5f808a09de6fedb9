/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two engines and what is between them: a network that delays, drops, doubles and reorders, a NAT,
 * two xipsecds that record what they are told, two parents that know the secrets. Time is a number,
 * and all chance comes from one seed: the same seed does the same.
 *
 *	side 0, 192.0.2.1 ─ [NAT 203.0.113.9] ─ network ─ 192.0.2.2, side 1
 *
 * ESP packets are sent all the while over what each xipsecd would use, the newest outbound SA of a
 * child: one that finds no SA with the same key at the other end is a lost packet, and a moment
 * without outbound SA a hole. Both are failures, unless the test says otherwise. A key that xipsecd
 * is told twice is one whatever the test says.
 */
#ifndef TESTS_UNIT_IKE_SIM_H
#define TESTS_UNIT_IKE_SIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine.h"
#include "iked/engine_state.h"
#include "iked/ike_sa.h"
#include "iked/wire.h"
#include "lib/config.h"

/* A connection named c, with a pre-shared key: IKE proposals, more keys of it, children. */
#define SIM_CONN(ike, more, children)                                    \
	"c {\n%s\nproposals = " ike "\n" more "\nlocal { auth = psk }\n" \
	"remote { auth = psk }\nchildren {\n" children "\n} }"
#define SIM_CHILD(name, local, remote, more) \
	name " {\nlocal_ts = " local "\nremote_ts = " remote "\n" more "\n}\n"
#define SIM_FAST "aes128gcm16-prfsha256-x25519"
#define SIM_NET                                      \
	SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", \
		  "esp_proposals = aes128gcm16\nstart_action = trap")

#define SIM_SAS_MAX      256
#define SIM_CHILDREN_MAX 8
#define SIM_LOG_MAX      (64 * 1024)
#define SIM_DONE_MAX     64
#define SIM_PUSHED_MAX   1024

struct sim;

struct side {
	struct sim *sim;
	int n; /* 0 or 1 */
	struct engine *engine;
	struct config *config;
	struct xipsec_sa sa[SIM_SAS_MAX]; /* xipsecd: in the order of adds */
	unsigned int n_sas;
	bool used[SIM_SAS_MAX];
	char watched[SIM_CHILDREN_MAX][XIPSEC_NAME_LEN]; /* children that were up */
	unsigned int n_watched;
	__u64 sadb_busy; /* its answers come in order */
	bool sadb_gone;  /* it has ended, and the engine does not know the next one yet */
	__u64 pushed[SIM_PUSHED_MAX]; /* the last keys that it was told, their first octets */
	unsigned int n_pushed;
	unsigned int skip_adds;
	unsigned int refuse_adds; /* the next so many fail */
	const char *psk;          /* of everybody; NULL: there is none */
	bool forgetful;           /* its xipsecd says yes and keeps nothing */
	bool deaf;                /* nothing arrives */
	unsigned int events[IKE_EVENT_COUNT];
	struct {
		__u64 ref;
		int err;
	} done[SIM_DONE_MAX];
	unsigned int n_done;
	unsigned int keepalives;
	struct ike_path sent_by; /* its last message */
	bool lost_paths;         /* where the peer is, nobody ever says */
	__u64 dscps;             /* 1 << each that it sent by */
	char log[SIM_LOG_MAX];   /* lines, behind each other */
	size_t log_len;
	EVP_PKEY *key; /* signs */
};

/* What the network does, in permille; delays in ms. */
struct sim_net {
	unsigned int delay_min, delay_max;
	unsigned int drop, twice;
};

struct sim {
	__u64 now, seed, random, seq;
	struct sim_net net;
	struct side side[2];
	struct sim_event *heap;
	unsigned int n_events, size;
	bool nat;
	unsigned int nat_moved; /* it has ports so much higher for it than at first */
	bool float_anyway;      /* IKE_AUTH and later come by 4500, without a NAT */
	bool float_second;      /* … what side 1 began alone */
	bool traffic;           /* ESP flows */
	bool may_close;         /* children may go: holes and lost packets are no failure */
	bool talk;              /* logs to stderr as well */
	char fail[512];         /* the first failure; "": none */
	/* Looks at each message before the network does; true: it is lost. */
	bool (*lose)(struct sim *sim, int from, const __u8 *data, size_t len);
	unsigned int lost, script; /* of `lose` */
	unsigned int sent[64][2];  /* messages by exchange and response flag */
	unsigned int esp_sent, esp_lost;
	size_t longest; /* message */
};

/* `conn`: the text of both ends' connection, %s is replaced by "local_addrs = … remote_addrs = …"
 * of that end. A test's failure to make it is the end of the test. */
struct sim *sim_new(__u64 seed, const char *conn_0, const char *conn_1);
void sim_free(struct sim *sim);
/* Two sides whose first one has begun child "net" of connection "c"; it is up. */
struct sim *sim_begun(const char *conn_0, const char *conn_1);
/* One side's daemon dies and is started again: it knows nothing, xipsecd keeps what it had. */
void sim_crash(struct sim *sim, int side, const char *conn);
/* One side's xipsecd dies with all its SAs, and is there again after so many ms: what was asked and
 * not answered fails, what is asked meanwhile too, then the engine is told. */
void sim_lose_sadb(struct sim *sim, int side, __u64 ms);

__u64 sim_random(struct sim *sim);
/* 0 to n - 1 */
unsigned int sim_dice(struct sim *sim, unsigned int n);
void sim_fail(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Fails the running test, with both logs, if the sim has failed. */
#define sim_good(sim)                                                              \
	do {                                                                       \
		if (*(sim)->fail)                                                  \
			fail_msg("%s\n%s---\n%s", (sim)->fail, (sim)->side[0].log, \
				 (sim)->side[1].log);                              \
	} while (0)

/* Until nothing is to do before that time, or a failure. */
void sim_run(struct sim *sim, __u64 ms);
/* Until both have an IKE SA with a child, at most that long. */
bool sim_up(struct sim *sim, __u64 ms);

/* How many IKE SAs, of that state if it is not -1. */
unsigned int sim_ikes(const struct side *side, int state);
struct ike_sa *sim_ike(const struct side *side); /* the only one that is up, else NULL */
struct child_sa *sim_child(const struct side *side, const char *name); /* the only one, UP */
unsigned int sim_children(const struct side *side, int state);
/* What xipsecd sends by: the newest outbound SA of "c/net"; NULL: none. */
struct xipsec_sa *sim_newest_out(struct side *side, const char *child);

/* Both ends have `n_ikes` IKE SAs, up, pairwise the same, each with `n_children`, and xipsecd has
 * what they say and nothing else, with the same keys crosswise. Fails the sim else. */
void sim_same(struct sim *sim, unsigned int n_ikes, unsigned int n_children);

/* The end of a test: what is under way ends, so many are left, nothing was wrong; frees it. */
#define sim_end(sim, n_ikes, n_children)                 \
	do {                                             \
		(sim)->traffic = false;                  \
		sim_run((sim), 10000);                   \
		sim_same((sim), (n_ikes), (n_children)); \
		sim_good(sim);                           \
		sim_free(sim);                           \
	} while (0)

/* Was that said? */
bool sim_said(const struct side *side, const char *text);
/* How often? */
unsigned int sim_lines(const struct side *side, const char *text);
/* 1: no such command has ended; else its err. */
int sim_done(const struct side *side, __u64 ref);

/* Of a message: exchange type, response flag, message ID. */
static inline unsigned int msg_exchange(const __u8 *data)
{
	return data[18];
}
static inline bool msg_response(const __u8 *data)
{
	return data[19] & IKE_FLAG_RESPONSE;
}

/* A datagram by hand, to side `to`, from the other one's address. */
void sim_inject(struct sim *sim, int to, const __u8 *data, size_t len);
/* The path that side `to` sees of what the other sends from its port (host order). */
struct ike_path sim_path(const struct sim *sim, int to, __u16 from_port, __u16 to_port);

#endif
