/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * connections {} and secrets {} as a model, in strongSwan's words (swanctl.conf). One interpreter
 * (config_conn*.c) makes it from a tree, whether that came from a file or from a VICI message.
 *
 * Times are seconds, sizes bytes; 0 means none. Addresses are in network byte order, ports in host
 * byte order. Texts are never NULL unless a comment says so.
 */
#ifndef LIB_CONN_H
#define LIB_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include "xipsec/maps.h"
#include "xipsec/sa.h"

struct config;
struct config_diag;
struct config_node;

/* A connection's name, and of a child what its connection calls it, final 0 included. At xipsecd a
 * child is called "CONN/CHILD": no name holds a slash, and that fits into XIPSEC_NAME_LEN. */
#define CONN_NAME_LEN 32

#define CONN_HOSTS_MAX     16 /* of each of local_addrs, remote_addrs */
#define CONN_TS_MAX        64 /* of each of local_ts, remote_ts */
#define CONN_PROPOSALS_MAX 16
#define CONN_CERTS_MAX     16 /* of each of certs, cacerts */

/* SHA-256 over what a section says, whatever the order of its keys. */
#define CONN_DIGEST_LEN 32

struct conn_texts {
	unsigned int n;
	char **text;
};

/* A certificate: a file's name, or its bytes (DER or PEM) when a client brought them. */
struct conn_blob {
	char *file; /* NULL: the bytes are there */
	__u8 *data; /* NULL: not read yet */
	size_t len;
};

struct conn_blobs {
	unsigned int n;
	struct conn_blob *blob;
};

enum conn_host_kind {
	CONN_HOST_ANY,   /* %any, %any4, %any6: `family` tells */
	CONN_HOST_RANGE, /* lo to hi; an address is a range of one */
	CONN_HOST_NAME,  /* of the DNS */
};

struct conn_host {
	enum conn_host_kind kind;
	__u8 family; /* XIPSEC_FAMILY_*; of a name: ANY */
	struct xipsec_addr lo, hi;
	char *name; /* NULL unless a name */
};

struct conn_hosts {
	unsigned int n; /* 0: %any */
	struct conn_host *host;
};

enum conn_auth_kind { CONN_AUTH_PUBKEY, CONN_AUTH_PSK };

/* What a signature or a key may be; 0: anything that is allowed at all. */
#define CONN_KEY_RSA     1 /* PKCS#1 v1.5 */
#define CONN_KEY_RSA_PSS 2
#define CONN_KEY_ECDSA   4
#define CONN_KEY_ED25519 8
#define CONN_KEY_ED448   16

#define CONN_HASH_SHA256 1
#define CONN_HASH_SHA384 2
#define CONN_HASH_SHA512 4

enum conn_revocation { CONN_REVOCATION_RELAXED, CONN_REVOCATION_IFURI, CONN_REVOCATION_STRICT };

/* local {} or remote {}: who one end is, and how it proves that. */
struct conn_auth {
	enum conn_auth_kind kind;
	unsigned int keys;   /* CONN_KEY_* */
	unsigned int hashes; /* CONN_HASH_* of signatures */
	/* Of the chain of a remote end: what its signatures may be, and bits that its keys have at
	 * least. With one of both numbers a key of the other type is refused if that has none. */
	unsigned int chain_hashes, min_rsa, min_ecdsa;
	char *id; /* as strongSwan writes identities; NULL: not given (%any) */
	struct conn_blobs certs;
	struct conn_blobs cacerts; /* remote: the chain must end in one of these; none: in any */
	char *ca_id; /* remote: identity of a CA in the chain, subject or name; NULL: any */
	enum conn_revocation revocation; /* remote */
};

/* A traffic selector (RFC 7296 3.13.1). */
struct conn_ts {
	bool dynamic; /* the IKE SA's own address on that side: no address is given here */
	__u8 family;  /* ANY with dynamic */
	struct xipsec_addr lo, hi;
	bool any_proto;
	__u8 l4_proto;
	bool opaque;            /* ports are OPAQUE (RFC 4301 4.4.1.1) */
	__u16 port_lo, port_hi; /* ICMP: type << 8 | code */
};

struct conn_ts_list {
	unsigned int n; /* never 0: one dynamic selector is the default */
	struct conn_ts *ts;
};

enum conn_action { CONN_ACTION_NONE, CONN_ACTION_TRAP, CONN_ACTION_START };

enum conn_mode {
	CONN_MODE_TUNNEL,
	CONN_MODE_TRANSPORT,
	CONN_MODE_PASS, /* a policy alone: BYPASS */
	CONN_MODE_DROP, /* a policy alone: DISCARD */
};

enum conn_dscp_copy { CONN_DSCP_OUT, CONN_DSCP_IN, CONN_DSCP_YES, CONN_DSCP_NO };

struct conn_child {
	char name[CONN_NAME_LEN];
	char sadb_name[XIPSEC_NAME_LEN]; /* what xipsecd calls it: CONN/CHILD, or its tunnel's name
					  */
	__u8 l4_proto;                   /* IPPROTO_ESP or IPPROTO_AH */
	struct conn_texts proposals;     /* ESP's or AH's; empty: the default ones */
	struct conn_ts_list local_ts, remote_ts;
	enum conn_mode mode;
	__u32 rekey_time, life_time, rand_time;
	__u64 rekey_bytes, life_bytes, rand_bytes;
	__u64 rekey_packets, life_packets, rand_packets;
	__u32 inactivity;
	enum conn_action start_action, close_action;
	enum conn_action dpd_action; /* NONE: clear */
	__u32 if_id;                 /* of a tunnel in datapath {}; 0: policies lead into it */
	__u32 replay_window;         /* packets */
	__u32 tfc_size;              /* as in struct xipsec_sa */
	enum xipsec_df df;
	bool copy_ecn;
	bool flow_copy; /* IPv6 in IPv6: the outer flow label is the inner one; else 0 */
	enum conn_dscp_copy copy_dscp;
	__u8 dscp;                 /* 0 to 63, of the outer header where it is not copied out */
	__u8 ttl;                  /* of the outer header, 0: 64 */
	__u32 dummies;             /* dummy packets a second while idle */
	enum xipsec_engine engine; /* NONE: auto */
	__u8 digest[CONN_DIGEST_LEN];
	unsigned int line; /* of the config file; 0: a client brought it */
};

enum conn_unique { CONN_UNIQUE_NO, CONN_UNIQUE_NEVER, CONN_UNIQUE_KEEP, CONN_UNIQUE_REPLACE };
enum conn_frag { CONN_FRAG_YES, CONN_FRAG_ACCEPT, CONN_FRAG_FORCE, CONN_FRAG_NO };
enum conn_send_cert { CONN_SEND_CERT_IFASKED, CONN_SEND_CERT_ALWAYS, CONN_SEND_CERT_NEVER };

struct conn {
	char name[CONN_NAME_LEN];
	struct conn_hosts local_addrs, remote_addrs;
	__u16 local_port, remote_port; /* 500 unless given */
	struct conn_texts proposals;   /* empty: the default ones */
	__u8 dscp;                     /* of IKE packets */
	bool encap;                    /* ask for ESP in UDP, whatever NAT detection says */
	bool mobike;                   /* asked for; not there yet */
	bool send_certreq;
	enum conn_send_cert send_cert;
	enum conn_frag fragmentation;
	enum conn_unique unique;
	__u32 dpd_delay;
	unsigned int keyingtries; /* 0: without end */
	__u32 rekey_time, reauth_time;
	__u32 over_time; /* after rekey_time or reauth_time the IKE SA ends */
	__u32 rand_time; /* up to this is taken off rekey_time and reauth_time */
	struct conn_auth local, remote;
	struct conn_child *children;
	unsigned int n_children;
	__u8 digest[CONN_DIGEST_LEN]; /* children left out */
	unsigned int line;            /* of the config file; 0: a client brought it */
	__u32 client; /* a client of xipsec-iked brought it: its number (lib/config_clients.h); 0:
			 the file */
};

enum conn_secret_kind {
	CONN_SECRET_IKE,     /* a PSK for `owners`; none: for everybody */
	CONN_SECRET_PRIVATE, /* a private key in `file`, `data` is its passphrase, if any */
};

/* Wiped when it goes. */
struct conn_secret {
	enum conn_secret_kind kind;
	char name[CONN_NAME_LEN]; /* the section's; of a client: its id of the secret */
	struct conn_texts owners; /* identities */
	char *file;               /* NULL: `data` is the secret itself */
	__u8 *data;               /* NULL: none */
	size_t len;
	unsigned int line;
};

/* ------------------------------------------------------------------ from a tree */

/*
 * One section `NAME { ... }` of connections {}: understands it into *out, which is zero before,
 * with strongSwan's defaults where nothing is said. false: `diag` was told every error, *out is
 * freed and zero (or diag->nomem). Proposals, hosts, selectors and identities are checked.
 */
bool config_conn(struct config_diag *diag, const struct config_node *node, struct conn *out);

/* One section of secrets {}, in the same way. */
bool config_secret(struct config_diag *diag, const struct config_node *node,
		   struct conn_secret *out);

/* ------------------------------------------------------------------ the model */

/* Frees what it holds, not the struct itself; it is zero afterwards. */
void conn_clear(struct conn *conn);
/* The same, and wipes the secret. */
void conn_secret_clear(struct conn_secret *secret);

/* NULL: there is none. */
const struct conn_child *conn_child_find(const struct conn *conn, const char *name);

/* Do both say the same (a connection: children left out)? For reloads: what is the same stays up.
 * Of certificates the names of the files are compared, or the bytes that a client brought. */
bool conn_same(const struct conn *a, const struct conn *b);
bool conn_child_same(const struct conn_child *a, const struct conn_child *b);
/* With their children, in the same order, called the same here and at xipsecd. */
bool conn_same_all(const struct conn *a, const struct conn *b);

/* May a peer with this address use these hosts? Names are for who resolves them: they match none.
 */
bool conn_hosts_match(const struct conn_hosts *hosts, const struct xipsec_addr *addr, __u8 family);

/*
 * The rules that stand for a child in the SPD, whatever its start_action: PROTECT (BYPASS, DISCARD
 * by its mode) for each pair of its selectors. A dynamic selector is the one address that the
 * connection names on that side; where it names none, the pair is DISCARD for every address: what
 * it will be comes with the SA (lib/standin.h). Nothing for a child with an if_id. *out is for
 * free(). Returns 0 or -ENOMEM; *out and *n are untouched then.
 */
int conn_child_rules(const struct conn *conn, const struct conn_child *child,
		     struct xipsec_spd_rule **out, unsigned int *n);

#endif
