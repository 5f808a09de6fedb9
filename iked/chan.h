/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the processes of xipsec-iked say to each other, over a SOCK_SEQPACKET pair: each message a
 * struct, checked as a whole (chan_check()) before anybody looks into it. Both ends are one build,
 * so numbers are the host's and structs are as the compiler makes them.
 *
 * The parent believes nothing that the child says: what is named must be in the config, what is
 * long must be as long as it says. Nobody waits for an answer; questions carry an id.
 */
#ifndef IKED_CHAN_H
#define IKED_CHAN_H

#include <event2/event.h>
#include "iked/bounds.h"
#include "iked/env.h"
#include "lib/buf.h"
#include "lib/conn.h"
#include "lib/fdpass.h"
#include "xipsec/sadb.h"

#define CHAN_FD          3     /* its number in child and resolver */
#define CHAN_MAX         49152 /* bytes of a message */
#define CHAN_ROOT_LEN    128
#define CHAN_HOST_LEN    256
#define CHAN_HASHES_MAX  16
#define CHAN_ANSWERS_MAX 16 /* addresses of one name */

enum chan_type {
	CHAN_SETUP = 1,   /* parent -> all: the first one; what to become */
	CHAN_READY,       /* -> parent: the sandbox is closed, send what is secret */
	CHAN_SADB,        /* parent -> child, a restricted connection to xipsecd */
	CHAN_SADB_GONE,   /* child -> parent: chan_gone */
	CHAN_SOCKETS,     /* parent -> child, the sockets of IKE */
	CHAN_CONN,        /* parent -> child, a memfd (conn_pack.h): load, or load anew */
	CHAN_CONN_GONE,   /* parent -> child: chan_name */
	CHAN_CONN_START,  /* parent -> child: chan_name: start_action is due */
	CHAN_TRUST_BEGIN, /* parent -> child: CAs and CRLs from here on make a new store */
	CHAN_CA,          /* parent -> child: chan_blob */
	CHAN_CRL, /* parent -> child, a file that was opened for reading; without: it cannot be */
	CHAN_TRUST_END, /* parent -> child: the new store counts */
	CHAN_KEYLOG, /* parent -> child, a file that was opened for appending; without: no more */
	CHAN_STOP,   /* parent -> child: chan_stop; then it ends */
	CHAN_PATHS,  /* child -> parent: chan_paths -> PATHS_ANSWER */
	CHAN_PATHS_ANSWER,
	CHAN_AUTH,        /* child -> parent: chan_auth -> AUTH_ANSWER */
	CHAN_AUTH_ANSWER, /* chan_auth_answer; to a PSK that was to be verified without data */
	CHAN_RESOLVE,     /* parent -> resolver: chan_resolve -> RESOLVED */
	CHAN_RESOLVED,
	CHAN_VICI, /* parent -> child: chan_vici, a client's command -> STREAM..., VICI_ANSWER */
	CHAN_VICI_STREAM, /* child -> parent: chan_vici, an event by which the answer comes */
	CHAN_VICI_MORE,   /* child -> parent: chan_vici without data: there is more to stream, when
			   * the client has read this. -> MORE: go on; with `more`: nobody reads,
			   * or waits for the answer to any command */
	CHAN_VICI_ANSWER, /* child -> parent: chan_vici */
	CHAN_VICI_EVENT,  /* child -> parent: chan_vici, for all clients that want it */
	CHAN_VICI_WANTED, /* parent -> child: chan_wanted */
	CHAN_TYPES
};

struct chan_hdr {
	__u16 type; /* enum chan_type */
	__u16 pad;
	__u32 len; /* bytes, header included */
};

struct chan_setup {
	struct chan_hdr hdr;
	__u32 uid;
	__u32 level;              /* enum log_level: lines above are not written */
	__u32 hostile;            /* debug builds: which attack to try */
	__u32 json;               /* 1: log lines are JSON */
	char root[CHAN_ROOT_LEN]; /* an empty directory */
};

struct chan_name {
	struct chan_hdr hdr;
	char name[CONN_NAME_LEN];
};

/* The sockets come in the order of their bits. */
struct chan_sockets {
	struct chan_hdr hdr;
	__u32 have; /* bit n: enum xipsec_ike_socket n */
	__u32 pad;
};

/* The connection to xipsecd has ended. */
struct chan_gone {
	struct chan_hdr hdr;
	__u32 number; /* 1: the first one that this process was lent */
	__u32 pad;
};

struct chan_blob {
	struct chan_hdr hdr;
	__u32 data_len;
	__u32 pad;
	__u8 data[];
};

struct chan_stop {
	struct chan_hdr hdr;
	__u32 leave; /* 1: SAs stay at xipsecd, peers hear nothing; 0: all is ended */
	__u32 pad;
};

struct chan_paths {
	struct chan_hdr hdr;
	__u64 id;
	char name[CONN_NAME_LEN];
};

struct chan_paths_answer {
	struct chan_hdr hdr;
	__u64 id;
	__s32 err;
	__u32 n;
	struct ike_path path[IKE_PATHS_MAX];
};

/* struct ike_auth_ask, flat: message, nonce, sk_p, id and auth stand behind each other in data. */
struct chan_auth {
	struct chan_hdr hdr;
	__u64 id;
	char name[CONN_NAME_LEN];
	struct ike_path path;
	__u8 verify; /* 1: is the peer's AUTH by this PSK right? 0: make ours */
	__u8 initiator;
	__u16 prf;
	__u16 hashes[CHAN_HASHES_MAX];
	__u32 n_hashes;
	__u32 message_len, nonce_len, sk_p_len, id_len, auth_len;
	__u8 data[];
};

struct chan_auth_answer {
	struct chan_hdr hdr;
	__u64 id;
	__s32 err;
	__u8 verify;
	__u8 method; /* enum ike_auth_method */
	__u16 pad;
	__u32 data_len;
	__u8 data[];
};

struct chan_resolve {
	struct chan_hdr hdr;
	__u64 id;
	__u32 family; /* XIPSEC_FAMILY_* */
	__u32 pad;
	char host[CHAN_HOST_LEN];
};

struct chan_address {
	struct xipsec_addr addr;
	__u32 family;
};

struct chan_resolved {
	struct chan_hdr hdr;
	__u64 id;
	__s32 err;
	__u32 n;
	struct chan_address address[CHAN_ANSWERS_MAX];
};

/* A VICI message (lib/vici_msg.h), or a part of one: the parts of a message follow each other
 * without another one between. The parent validates what the child wrote before clients see it. */
struct chan_vici {
	struct chan_hdr hdr;
	__u64 id;    /* of the request; 0: VICI_EVENT */
	__u32 event; /* enum vici_event, with STREAM and EVENT */
	__u32 more;  /* 1: another part follows */
	__u32 data_len;
	__u32 pad;
	char command[CONN_NAME_LEN]; /* with CHAN_VICI */
	__u8 data[];
};

#define CHAN_VICI_MAX (CHAN_MAX - sizeof(struct chan_vici)) /* bytes of a part */

/* Which events somebody wants: others need not be told. */
struct chan_wanted {
	struct chan_hdr hdr;
	__u32 events; /* 1 << enum vici_event */
	__u32 pad;
};

/* Is that a message, whole and of a form that its type has, with `n` descriptors? Texts have an
 * end, counts are within their arrays, parts add up to the length. Pure. */
bool chan_check(const void *data, size_t len, unsigned int n);

/* ------------------------------------------------------------------ an end of it */

struct chan;

/* `hdr` was checked. What is left in fds[] is closed afterwards: who keeps one puts -1 there. */
typedef void (*chan_fn)(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n);
/* The other end has gone, or has said what makes no sense. chan_free() may be called in it. */
typedef void (*chan_gone_fn)(void *ctx);

/* Owns `fd`. NULL: no memory; fd is closed then too. */
struct chan *chan_new(struct event_base *base, int fd, chan_fn on_message, chan_gone_fn on_gone,
		      void *ctx);
void chan_free(struct chan *chan);

/* Fills in the header and sends; what does not go at once waits (a copy, wiped later), with
 * duplicates of the descriptors. Direction of failure: without memory, or when too much waits, the
 * other end counts as gone (soon, never in this call). */
void chan_send(struct chan *chan, enum chan_type type, void *message, size_t len, const int *fds,
	       unsigned int n);

/* The plain ones. */
void chan_say(struct chan *chan, enum chan_type type, const int *fds, unsigned int n);
void chan_say_name(struct chan *chan, enum chan_type type, const char *name);
void chan_say_blob(struct chan *chan, enum chan_type type, const void *data, size_t len);

/* A VICI message, in as many parts as it takes. `command` may be NULL. */
void chan_say_vici(struct chan *chan, enum chan_type type, __u64 id, __u32 event,
		   const char *command, struct bytes message);

/* Writes what waits, blocking, two seconds at most: before the end of a process. */
void chan_flush(struct chan *chan);

#endif
