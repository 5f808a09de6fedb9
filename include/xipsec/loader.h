/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the client asks of the loader: change and describe the data path that is pinned and
 * attached, with or without a running xipsecd.
 *
 * Every function returns 0 or -errno and has told the user by log lines what went wrong and what to
 * do. `struct config` is lib/config.h's. Those that change something take the loader's lock.
 */
#ifndef XIPSEC_LOADER_H
#define XIPSEC_LOADER_H

#include <linux/types.h>
#include "xipsec/explain.h"
#include "xipsec/maps.h"

struct config;

#define LOADER_UPGRADE 1 /* build a new generation even where the pinned one is of our ABI */
#define LOADER_GENERIC 2 /* XDP in generic mode, without trying the driver first */
/* Whether XDP goes into libxdp's dispatcher, where programs of others can join. Neither: as it was
 * said for this interface before, or yes. Where that cannot be, ours is alone, which is told. */
#define LOADER_DISPATCHER    4
#define LOADER_NO_DISPATCHER 8

struct loader_attach {
	const char *ifname;    /* NULL: all of interfaces {} in the config */
	enum xipsec_role role; /* with ifname */
	unsigned int flags;    /* LOADER_* */
	unsigned int confirm;  /* seconds; 0: no confirmation is needed */
};

/* 0; -EALREADY: it is attached so already; else -errno, and everything that this call did has been
 * undone. With `confirm`, a process is left behind that undoes it after that many seconds. */
int loader_attach(const struct config *config, const struct loader_attach *what);

/* Keeps what the last attach with `confirm` did. -ENOENT: nothing waits. */
int loader_confirm(const struct config *config);

/* ifname NULL: all. -ENOENT: it is not attached. */
int loader_detach(const struct config *config, const char *ifname);

/* Compiles the policies of `config` and makes them current in one step. Just before it, when
 * everything is built, `ready` (NULL: nothing) may do what has to be done first; it must not take
 * the loader's lock. Not 0: the policies in force stay, and that is returned. */
int loader_reload(const struct config *config, int (*ready)(void *ctx), void *ctx,
		  __u32 *spd_generation);

/* Waits until no attach, detach or reload is under way. 0 or -errno. */
int loader_wait(const struct config *config);

/* ------------------------------------------------------------------ description */

struct loader_hook {
	__u32 prog_id; /* 0: nothing of ours is there */
	char kind[16]; /* "native", "generic", "dispatcher", "tcx", "clsact", "none" */
	__u32 current; /* 1: the program of the current generation */
};

struct loader_iface {
	char name[16];
	char driver[32];
	__u32 ifindex; /* 0: recorded, but there is no such interface now */
	__u32 role;    /* enum xipsec_role; NONE: it has none */
	__u32 slot;
	__u32 up;
	__u32 exempt; /* named in `exempt`, or the loopback */
	__u32 mtu;
	__u32 queues;
	struct loader_hook xdp;
	struct loader_hook tc;    /* egress of black, ingress of red */
	struct loader_hook tc_in; /* behind XDP; on red the same as tc */
	char fault[160];          /* what makes it unsafe, empty: nothing */
	char note[160];           /* what should be mended but lets nothing pass, empty: nothing */
};

/* What became of `attach --confirm`. */
enum loader_confirm_state {
	LOADER_CONFIRM_NONE,
	LOADER_CONFIRM_WAITS,
	LOADER_CONFIRM_ORPHANED, /* who waited was killed: nothing is taken back any more */
};

/* The nftables table that closes black interfaces which are made anew. */
struct loader_nft {
	char state[16]; /* "whole", "absent", "changed", "unavailable" */
	__u64 packets;  /* that it dropped since it was made */
	__u64 bytes;
};

/* How much there is of what has a limit. */
struct loader_room {
	__u32 used, max;
};

/* Of the rules in force. */
struct loader_special {
	__u32 waiting; /* ask for an interface which is not attached, and so match nothing */
	__u32 standin; /* discard until an SA makes an address known */
	__u32 of_sas;  /* came with such SAs */
};

struct loader_status {
	__u32 attached; /* 0: there is no generation of our ABI, the fields up to workers are empty
			 */
	__u32 abi;      /* of the pins, 0: none */
	char release[32];
	char generation[32];
	__u32 spd_generation;
	__u32 n_rules;
	__u32 max_rules; /* that the generation has room for */
	__u32 n_tables;  /* of the classifier */
	struct loader_special special;
	__u64 spd_bytes;                /* of the SPD's maps */
	struct loader_room sas;         /* that lead somewhere: entries of the map sad */
	struct loader_room children;    /* names with a number: those of this generation's life */
	struct loader_room devs;        /* the same of interfaces, for `dev` of policies */
	struct loader_room slots;       /* interfaces with a role */
	struct loader_room links;       /* those and VLANs on them */
	struct xipsec_flow_stats flows; /* of all CPUs */
	struct xipsec_counter programs[XIPSEC_REASON_MAX];
	struct xipsec_counter workers[XIPSEC_REASON_MAX]; /* all workers together */
	struct xipsec_worker_stats *worker;               /* of n_workers */
	unsigned int n_workers;
	struct loader_iface *iface;
	unsigned int n_ifaces;
	unsigned int unsafe; /* interfaces with a fault */
	struct loader_nft nft;
	enum loader_confirm_state confirm;
	__u32 confirm_seconds; /* WAITS: until the attach is taken back */
};

/* Gives *out a description that the caller ends with loader_status_free(). */
int loader_status(const struct config *config, struct loader_status **out);
void loader_status_free(struct loader_status *status);

/* ------------------------------------------------------------------ the kernel */

enum loader_feature_state {
	LOADER_FEATURE_UNKNOWN, /* it could not be asked; `note` says why */
	LOADER_FEATURE_NO,
	LOADER_FEATURE_PARTLY, /* `note` says what is missing, or wanted */
	LOADER_FEATURE_YES,
};

struct loader_feature {
	const char *name; /* never changes */
	const char *use;  /* what xipsec does with it */
	enum loader_feature_state state;
	char note[192];
};

#define LOADER_FEATURES_MAX 32

/* What this kernel has, each tried for real. Loads programs, makes sockets, links and SAs, in a
 * network namespace that is gone when it returns. *n of `out` are filled. 0 or -errno. */
int loader_features(struct loader_feature out[LOADER_FEATURES_MAX], unsigned int *n);

/* What the driver of an interface says that its XDP can. */
struct loader_nic {
	enum loader_feature_state zerocopy;  /* AF_XDP without a copy */
	enum loader_feature_state redirect;  /* takes frames that XDP redirects to it */
	enum loader_feature_state fragments; /* packets in several frames, both ways */
	char note[96];
};

/* 0, or -errno: there is no such interface. */
int loader_nic(const char *ifname, struct loader_nic *out);

struct loader_rule {
	struct xipsec_spd_rule rule;
	__u32 number;                 /* its place in spd_rules and spd_hits */
	struct xipsec_counter hits;   /* since the rule came */
	char policy[XIPSEC_NAME_LEN]; /* that it came from, "" unknown */
	char dev[XIPSEC_IFNAME_LEN];  /* interface that it asks for, "": any */
	__u32 dev_attached;           /* 0: there is none of that name, and the rule cannot match */
};

struct loader_policy {
	__u32 generation;
	__u32 allow; /* XIPSEC_ALLOW_* */
	__u32 n_ethertypes;
	__u16 ethertype[XIPSEC_ALLOW_ETHERTYPES];
	__u32 n_rules;
	struct loader_rule *rule;       /* in order: first match wins */
	char (*child)[XIPSEC_NAME_LEN]; /* XIPSEC_CHILDREN_MAX names by id */
};

/* A rule, counted from 0 in the order of the config. */
struct loader_rule_at {
	__u32 rule, line;
	const char *policy;
	__u32 standin; /* it discards until an SA of a dynamic child makes an address known, and is
			  PROTECT for that then */
};

/* `rule` stands behind `by`. */
struct loader_overlap {
	struct loader_rule_at rule;
	const struct loader_rule_at
		*by; /* of n_by; more than one: together, and none of them alone */
	__u32 n_by;
	__u32 never; /* they take all of it: it can never match. Else only a part */
	__u32 same;  /* all do the same with a packet; of a stand-in, when its SA is there */
};

/* More rules are not compared pair by pair: only those that never match are found then. */
#define LOADER_OVERLAPS_MAX 4096

/* Do the policies fit into tables, as attach and reload put them there? 0, or -errno after a
 * message. Reads no kernel. */
int loader_policy_fits(const struct config *config);

typedef void (*loader_overlap_fn)(void *arg, const struct loader_overlap *overlap);

/* Calls `fn` for each rule of the config that can never match because of one earlier rule or of
 * several together, and for each of which an earlier one takes a part and does something else with
 * it: the first such. Not of one stand-in behind another: what SAs make known stands before both.
 * Reads no kernel. -errno; else how many rules it would have cost too much to tell of whether
 * several together take them. */
int loader_policy_check(const struct config *config, loader_overlap_fn fn, void *arg);

/* The policies in force, read from the kernel. Caller ends it with loader_policy_free(). */
int loader_policy(const struct config *config, struct loader_policy **out);
void loader_policy_free(struct loader_policy *policy);

/* ------------------------------------------------------------------ metrics */

struct sadb_sa_info;

/* What xipsecd knows and the maps do not. All zero: it does not run. */
struct loader_metrics_daemon {
	__u32 runs;
	__u32 n_workers;
	__u32 n_sas;
	const __u32 *worker_pid; /* of n_workers; 0: down */
	/* Gives the SA after *at (NULL: the first) and moves *at; 0: there is no other. */
	int (*next_sa)(void *ctx, void **at, struct sadb_sa_info *out);
	void *ctx;
};

/* All counters as OpenMetrics text, "# EOF" included, that the caller frees. `daemon` may be NULL.
 * Nothing attached is no error: xipsec_attached is 0 then. */
int loader_metrics(const struct config *config, const struct loader_metrics_daemon *daemon,
		   char **text);

/* ------------------------------------------------------------------ explanation */

/* One frame, as an interface with a role would see it. */
struct loader_frame {
	const char *ifname;
	__u32 dir; /* XIPSEC_DIR_OUT or XIPSEC_DIR_IN; IN: of an unprotected interface alone */
	const char *from; /* OUT of an unprotected one: forwarded, came in by this; NULL: our own */
	__u32 queue;      /* receive queue that it comes by, XDP */
	__u32 mark;       /* of a socket of our own */
	const void *data; /* Ethernet frame */
	__u32 len;        /* at least 14, at most LOADER_FRAME_MAX; at TC the kernel takes a page */
};

#define LOADER_FRAME_MAX 15894 /* XIPSEC_MTU_MAX, an Ethernet header, two VLAN tags */

struct loader_explanation {
	char program[16]; /* whose twin ran */
	struct xipsec_explain answer;
	__u32 rule_known;         /* 0: no rule decided */
	__u32 maybe_known;        /* 0: the packet hides nothing that counts */
	struct loader_rule rule;  /* that decided */
	struct loader_rule maybe; /* the first that might, if it were known what is hidden */
	char child[XIPSEC_NAME_LEN];
	struct xipsec_sad_key sa; /* spi 0: the SAD has no SA of that index and generation */
	char egress[16];          /* "": none */
	__u32 egress_role;        /* enum xipsec_role */
};

struct loader_explainer;

/* Opens the programs' twin for any number of frames; the caller ends it with
 * loader_explain_close(). Nothing that it does changes the data path. */
int loader_explain_open(const struct config *config, struct loader_explainer **out);
void loader_explain_close(struct loader_explainer *explainer);

/* What would become of the frame now. */
int loader_explain(struct loader_explainer *explainer, const struct loader_frame *frame,
		   struct loader_explanation *out);

#endif
