/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of xipsecd, for the files that make it up: daemon.c (start, stop, timers), wiring.c
 * (who calls whom), follow.c (generations, interfaces, links as they change) and requests.c (what
 * clients ask). Everybody else includes daemon.h.
 */
#ifndef LOADER_DAEMON_INSIDE_H
#define LOADER_DAEMON_INSIDE_H

#include "loader/daemon.h"
#include "loader/home.h"
#include "loader/ike_ports.h"
#include "loader/metrics_server.h"
#include "loader/nft_watch.h"
#include "loader/plan.h"
#include "loader/ports.h"
#include "loader/route.h"
#include "loader/sadb_server.h"
#include "loader/samples.h"
#include "loader/sas.h"
#include "loader/slow_sockets.h"
#include "loader/standins.h"
#include "loader/taps.h"
#include "loader/workers.h"
#include "loader/xfrm.h"

struct daemon {
	const struct daemon_options *options;
	struct config *config; /* without keys */
	int lock;              /* of run_dir */
	int netns;             /* locked: kernel XFRM is ours */
	struct event_base *base;
	struct reserve reserve;
	struct sas *sas;
	struct route *route;
	struct nft_watch *nft;
	struct samples *samples;
	struct standins *standins;
	struct ports *ports;
	struct taps *taps;
	struct workers *workers;
	struct xfrm *xfrm; /* NULL: the kernel has none, or another xipsecd has it */
	struct sadb_server *server;
	struct metrics_server *metrics;
	struct ike_ports ike;
	struct slow_sockets slow;
	struct event *tick, *watch, *sync, *signals[3];
	__u64 epoch;
	__u32 told;                /* XIPSEC_TELL_* that the programs know */
	__u32 told_age;            /* and pmtu_age */
	char told_to[32];          /* the generation that knows it; "": none yet */
	int status;                /* exit status */
	bool generic;              /* an interface runs XDP in generic mode */
	bool offload;              /* one offers ESP offload */
	bool esp[2], esp_asked[2]; /* the kernel's, IPv4 and IPv6 */
	bool finished; /* it is the last word: before the loop runs, breaking it means nothing */
	bool open;     /* `home` is */
	bool loaded;   /* sas {} was read in */
	bool said_waiting;
	bool repair_due;
	struct home home;
	struct plan plan;
};

/* ------------------------------------------------------------------ daemon.c */

/* Ends the event loop; `status` is what daemon_run() returns. */
void daemon_finish(struct daemon *d, int status);

/* ------------------------------------------------------------------ wiring.c */

/* What the rooms call; `ctx` is the struct daemon. */
extern const struct sas_ops wiring_sas;
extern const struct workers_hooks wiring_workers;
extern const struct ports_hooks wiring_ports;
extern const struct route_hooks wiring_route;
extern const struct samples_hooks wiring_samples;

/* For xfrm_new(). */
void wiring_xfrm(void *ctx, const struct xfrm_news *news);

/* Tells the workers which SAs seal for tunnels. */
void wiring_tell_tunnels(struct daemon *d);

/* For struct workers_lend. */
int wiring_lend_memory(void *ctx, unsigned int i, int *umem, int *table, struct ctl_hello *hello);

/* ------------------------------------------------------------------ follow.c */

/* Reads which interfaces there are and makes sockets and workers fit. */
void follow_ports(struct daemon *d);

/* The interfaces of what is about to be the config: an SA of theirs is refused without. */
void follow_tunnels(struct daemon *d, const struct config *config);

/* Makes xipsec0 and the tunnels be what the config asks for, and tells programs and workers. */
void follow_taps(struct daemon *d);

/* Attaches what lost its programs. An upgrade raises link events too: repairing in the middle of
 * it, or after it, would turn it back. So never while the loader works (it is done again then), nor
 * when another release rules. */
void follow_repair(struct daemon *d);

/* Somebody attaches, detaches or upgrades right now. */
bool follow_loader_is_busy(const struct daemon *d);

/* Somebody touched our nftables table: the next follow_watch() repairs. */
void follow_nft(void *ctx);

/* Timer: moves into the current generation when it is another one. */
void follow_watch(evutil_socket_t fd, short what, void *ctx);

/* Links changed. */
void follow_links(void *ctx);

/* ------------------------------------------------------------------ requests.c */

extern const struct sadb_hooks requests_hooks;
extern const struct metrics_server_hooks requests_metrics;

/* What `config`, which is about to be taken over, does not allow any more goes. 0, or -errno with
 * `text` (XIPSEC_SADB_ERR_TEXT). */
int requests_withdraw(struct daemon *d, struct config *config, char *text);

/* Takes `config` over, unless it was before (with its keys, then), when its policies are in force.
 * Returns as above. */
int requests_apply(struct daemon *d, struct config *config, char *text);

/* Takes over a config: "" is the one of the start. 0, or -errno with `text`
 * (XIPSEC_SADB_ERR_TEXT). */
int request_reload(void *ctx, const char *path, char *text);

/* ------------------------------------------------------------------ connection.c */

/* The client's connection with that number (digits) has come, changed or gone. 0, or -errno with
 * `text` (XIPSEC_SADB_ERR_TEXT): the policies in force stay then. */
int request_connection(void *ctx, const char *number, char *text);

#endif
