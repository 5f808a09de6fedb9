/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration as a model: what /etc/xipsec/xipsec.conf says, checked, with defaults filled
 * in. config_load() reports every error of a file, not just the first, and gives no model then.
 */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include <stdbool.h>
#include <stdio.h>
#include "xipsec/sa.h"
#include "xipsec/ctl.h"
#include "lib/conn.h"
#include "lib/name_index.h"

#define CONFIG_DEFAULT_PATH "/etc/xipsec/xipsec.conf"

struct config_iface {
	char name[16];
	enum xipsec_role role;
};

/* An interface whose packets go through the SAs of its if_id, whatever the policies say. */
struct config_tunnel {
	char name[16];
	__u32 if_id;      /* unique, never 0 */
	unsigned int mtu; /* 0: xipsecd chooses */
	__u8 engine;      /* enum xipsec_engine of its SAs, never NONE */
};

struct config_policy {
	char name[XIPSEC_NAME_LEN];
	char child[XIPSEC_NAME_LEN]; /* with PROTECT */
	char dev[XIPSEC_IFNAME_LEN]; /* interface, "": any; then `dev` of its rules is not 0 */
	struct xipsec_spd_rule
		*rules; /* every local x remote pair of the lists; `child` index is 0 */
	unsigned int n_rules;
};

/* iked {} */
struct config_iked {
	unsigned int uid; /* of the process that reads the network; the resolver's is the next */
	char credentials[256]; /* x509ca/, x509crl/; names of certificates and keys start here */
	char vici_socket[108]; /* "": charon.vici in run_dir */
	char save_keys[256];   /* of IKE, for Wireshark; "": not written */
};

struct config_sa {
	struct xipsec_sa sa; /* selectors: filled from the policies of its child unless given */
	unsigned int line;
};

struct config {
	/* datapath {} */
	unsigned int workers; /* 0: one a core */
	enum xipsec_backend backend;
	bool audit;              /* drops are told as samples */
	unsigned int worker_uid; /* worker n runs as worker_uid + n */
	unsigned int max_sas;
	unsigned int max_rules;
	__u32 pmtu_age;      /* seconds that a path MTU told by ICMP is believed */
	char pin_dir[256];   /* default /sys/fs/bpf/xipsec */
	char run_dir[256];   /* default /run/xipsec */
	char state_dir[256]; /* default /var/lib/xipsec */
	__u32 allow;         /* XIPSEC_ALLOW_* */
	__u16 ethertypes[XIPSEC_ALLOW_ETHERTYPES];
	unsigned int n_ethertypes;
	struct config_iface *ifaces; /* interfaces { NAME { role = } } */
	unsigned int n_ifaces;
	struct config_tunnel *tunnels; /* tunnels { NAME { if_id = } } */
	unsigned int n_tunnels;
	char (*exempt)[16]; /* interfaces that need no role */
	unsigned int n_exempt;
	struct config_iked iked;
	/* policies {}, in file order */
	struct config_policy *policies;
	unsigned int n_policies;
	/* sas {}, in file order; holds keys */
	struct config_sa *sas;
	unsigned int n_sas;
	bool sas_xfrm; /* one of them has engine = xfrm; also when they are forgotten */
	/* connections {}, in file order, then those of clients in the order of their numbers; the
	 * rules of their children stand in policies, from conns_at on */
	struct conn *conns;
	unsigned int n_conns;
	struct name_index conn_index;
	unsigned int conns_at, n_conns_policies;
	bool no_policies; /* config_forget_policies() */
	/* secrets {}, in file order */
	struct conn_secret *secrets;
	unsigned int n_secrets;
};

/* Reads `path` and everything it includes. Returns 0 and gives *out a model that the caller frees
 * with config_free(), or -EINVAL after writing one line per error, "file:line:column: what:
 * expected", to `errors`; -errno if the file cannot be read. *out is untouched on failure. */
int config_load(const char *path, struct config **out, FILE *errors);

/* The same, and writes what is good but hardly meant so to `warnings`, unless it is NULL. */
int config_load_warn(const char *path, struct config **out, FILE *errors, FILE *warnings);

/* The defaults alone, as if the file were empty. Caller frees. NULL: no memory. */
struct config *config_defaults(void);

/* Wipes the keys, then frees. NULL is fine. */
void config_free(struct config *config);

/* Wipes the SAs with their keys, and secrets {}; policies and interfaces stay. For who lives on
 * without a need for them. */
void config_forget_sas(struct config *config);

/* Has an SA, a child or a tunnel engine = xfrm? Also when SAs are forgotten. */
bool config_names_xfrm(const struct config *config);

/* Frees the policies, for who lives on without a need for them: connections that change later bring
 * none. */
void config_forget_policies(struct config *config);

/* For its conn_index. */
const char *config_conn_name(const void *conns, __u32 i);

/* NULL: there is none. */
const struct conn *config_conn_find(const struct config *config, const char *name);

/* Is it what xipsecd knows a child of connections {} by (sadb_name), with SAs of its own? */
bool config_conn_child_known(const struct config *config, const char *sadb_name);

/* The tunnel of an if_id; NULL: there is none. */
const struct config_tunnel *config_tunnel_find(const struct config *config, __u32 if_id);

/* May an SA with that engine (enum xipsec_engine, NONE: left to xipsecd) be one of it? */
bool config_tunnel_takes(const struct config_tunnel *tunnel, __u8 engine);

/* For commands that must work beside a broken file (detach, status): takes only pin_dir, run_dir,
 * state_dir, vici_socket from `path` as far as they can be read, the defaults for the rest. Never
 * fails but for memory (NULL). */
struct config *config_paths(const char *path);

static inline void config_freep(struct config **config)
{
	config_free(*config);
}
#define _cleanup_config_ __attribute__((cleanup(config_freep)))

#endif
