/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that the engine asks of the world. It reads no clock, opens nothing and waits for nothing:
 * the processes (or a test) fill in this struct, the engine calls it, and what takes time comes
 * back later through engine.h, by the id of the question, even if who asked is gone by then.
 *
 * What a pointer points at lives for the call alone: who needs it longer copies it (and wipes the
 * copy where it is a key). No callback may call the engine back; answers come from the loop.
 */
#ifndef IKED_ENV_H
#define IKED_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/log.h"
#include "xipsec/sa.h"

struct ike_sa;
struct child_sa;
struct ike_keys;

/* Between which two ends an IKE SA speaks. Addresses and ports in network byte order. */
struct ike_path {
	struct xipsec_addr local, remote;
	__be16 local_port, remote_port;
	__u8 family; /* XIPSEC_FAMILY_IP4 or IP6 */
	/* By the socket of UDP 4500: env puts the non-ESP marker (RFC 3948 2.2) before the message
	 * and takes it off. */
	bool natt;
};

#define IKE_PATHS_MAX 8 /* addresses of one peer that are tried */

/* The inputs of AUTH (RFC 7296 2.15), of the end whose AUTH it is. */
struct ike_auth_ask {
	const char *
		conn; /* whose identity and credential: local ones to make, remote ones to verify */
	/* Of the IKE SA: whose connection names no identity for us is the local address. */
	const struct ike_path *path;
	bool initiator;      /* that end is the original initiator of the IKE SA */
	__u16 prf;           /* IANA transform ID */
	const __u8 *message; /* its IKE_SA_INIT message, from the IKE header on, cookies and all */
	size_t message_len;
	const __u8 *nonce; /* the other end's, without the payload header */
	size_t nonce_len;
	const __u8 *sk_p;
	size_t sk_p_len;
	/* To make: which hashes the peer takes (RFC 7427 4), IANA numbers; none: it said nothing.
	 */
	const __u16 *hashes;
	size_t n_hashes;
	/* The peer's ID payload without its header: it chooses the PSK. To make, where it is known
	 * (the responder knows it); to verify, always. And what the peer sent as AUTH data. */
	const __u8 *id;
	size_t id_len;
	const __u8 *auth;
	size_t auth_len;
};

enum ike_event_kind {
	IKE_EVENT_IKE_UP,
	IKE_EVENT_IKE_DOWN,
	IKE_EVENT_IKE_REKEYED, /* `old` gave its children to `ike` */
	IKE_EVENT_CHILD_UP,
	IKE_EVENT_CHILD_DOWN,
	IKE_EVENT_CHILD_REKEYED, /* `old_child` is replaced by `child` */
	IKE_EVENT_COUNT
};

struct ike_event {
	enum ike_event_kind kind;
	const struct ike_sa *ike, *old;
	const struct child_sa *child, *old_child;
};

/* One line of log. `text` holds peer, connection and reason already; the rest is for JSON. */
struct ike_log {
	enum log_level level;
	const char *conn;            /* "": not known yet */
	__u32 ike_id;                /* unique id; 0: no IKE SA */
	const struct ike_path *path; /* NULL: none */
	const char *text;
};

/* For Wireshark's ikev2_decryption_table; only called for connections while save_keys is set. */
struct ike_keylog {
	__u64 spi_i, spi_r;
	const struct ike_keys *keys;
};

struct ike_env {
	void *ctx;

	__u64 (*now)(void *ctx); /* ms, CLOCK_BOOTTIME */
	void (*random)(void *ctx, void *out, size_t len);

	/* A whole IKE message, without the non-ESP marker; `dscp`: 0 to 63. A loss is a loss:
	 * nothing is returned. */
	void (*send)(void *ctx, const struct ike_path *path, __u8 dscp, const __u8 *data,
		     size_t len);
	/* One octet 0xff (RFC 3948 2.3). */
	void (*keepalive)(void *ctx, const struct ike_path *path);

	/* Questions. Each is answered once, by engine_answer_*() with the id. */

	/* Where the peer of a connection is and from which of our addresses it is reached: names
	 * resolved, the local address as the kernel would choose it. -> engine_answer_paths() */
	void (*find_paths)(void *ctx, __u64 id, const char *conn);
	/* The parent makes AUTH for the local end. -> engine_answer_auth() */
	void (*auth_make)(void *ctx, __u64 id, const struct ike_auth_ask *ask);
	/* The parent compares the peer's PSK AUTH. -> engine_answer_psk() */
	void (*psk_verify)(void *ctx, __u64 id, const struct ike_auth_ask *ask);
	/* xipsecd installs. Requests keep their order; so do adds and deletes among each other.
	 * -> engine_answer_sa() */
	void (*sa_add)(void *ctx, __u64 id, const struct xipsec_sa *sa);

	/* No answer: what is not there any more is deleted. */
	void (*sa_delete)(void *ctx, const char *name);

	void (*event)(void *ctx, const struct ike_event *event);
	void (*log)(void *ctx, const struct ike_log *line);
	void (*keylog)(void *ctx, const struct ike_keylog *line);
	/* The end of a command that was given a `ref` other than 0: err 0 or -errno with a text. */
	void (*done)(void *ctx, __u64 ref, int err, const char *text);
};

#endif
