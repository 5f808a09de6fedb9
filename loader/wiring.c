// SPDX-License-Identifier: BSD-2-Clause
#include "loader/daemon_inside.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <openssl/crypto.h>

#include "lib/log.h"
#include "lib/sa_selectors.h"
#include "loader/sa_maps.h"
#include "loader/spread.h"

static int op_sad_set(void *ctx, const struct xipsec_sad_key *key,
		      const struct xipsec_sad_entry *entry)
{
	struct daemon *d = ctx;

	return sa_maps_sad_set(&d->home.dp, key, entry);
}

static int op_sad_delete(void *ctx, const struct xipsec_sad_key *key)
{
	struct daemon *d = ctx;

	return sa_maps_sad_delete(&d->home.dp, key);
}

static int op_peer(void *ctx, const struct xipsec_peer_key *key, bool more)
{
	struct daemon *d = ctx;

	return sa_maps_peer(&d->home.dp, key, more);
}

static int op_child_id(void *ctx, const struct xipsec_sa *sa)
{
	return standins_child_id(ctx, sa);
}

static bool is_going(const struct sa *sa, const struct ctl_sa_ref *refs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (refs[i].index == sa->index && refs[i].generation == sa->generation)
			return true;
	return false;
}

/* The newest outbound SA of a tunnel is what seals, as with children; those of `refs` are no more.
 * NULL: none. */
static const struct sa *tunnel_sa(struct daemon *d, __u32 if_id, const struct ctl_sa_ref *refs,
				  unsigned int n)
{
	const struct sa *best = NULL;

	for (struct sa *sa = sas_next(d->sas, NULL); sa; sa = sas_next(d->sas, sa))
		if (sa->sa.if_id == if_id && sa->sa.dir == XIPSEC_DIR_OUT &&
		    !is_going(sa, refs, n) && (!best || sa->serial > best->serial))
			best = sa;
	return best;
}

static struct ctl_tap_sa tunnel_message(struct daemon *d, __u32 if_id,
					const struct ctl_sa_ref *refs, unsigned int n)
{
	const struct sa *sa = tunnel_sa(d, if_id, refs, n);

	return (struct ctl_tap_sa){
		.hdr = {XIPSEC_CTL_TAP_SA, XIPSEC_ABI, sizeof(struct ctl_tap_sa)},
		.if_id = if_id,
		.index = sa ? sa->index : 0,
		.generation = sa ? sa->generation : 0};
}

static void tell_tunnels(struct daemon *d, const struct ctl_sa_ref *refs, unsigned int n)
{
	for (unsigned int i = 0; i < d->config->n_tunnels; i++) {
		const __u32 if_id = d->config->tunnels[i].if_id;
		struct ctl_tap_sa msg = tunnel_message(d, if_id, refs, n);

		if (taps_has(d->taps, if_id))
			workers_broadcast(d->workers, &msg, sizeof(msg));
	}
}

void wiring_tell_tunnels(struct daemon *d)
{
	tell_tunnels(d, NULL, 0);
}

static int op_child_set(void *ctx, __u32 id, const struct xipsec_child *child)
{
	struct daemon *d = ctx;
	int err = sa_maps_child_set(&d->home.dp, id, child);

	if (err)
		return err;
	standins_child_up(d, id, child->sa_generation != 0);
	tell_tunnels(d, NULL, 0);
	return 0;
}

static void op_install(void *ctx, const struct ctl_sa *msg)
{
	struct daemon *d = ctx;

	workers_broadcast(d->workers, msg, msg->hdr.len);
}

static void op_forget(void *ctx, const struct ctl_sa_ref *refs, unsigned int n)
{
	struct daemon *d = ctx;

	workers_forget(d->workers, refs, n);
	tell_tunnels(d, refs, n);
}

static void op_settle(void *ctx)
{
	struct daemon *d = ctx;

	workers_settle(d->workers);
}

static void op_event(void *ctx, struct sadb_event *event)
{
	struct daemon *d = ctx;

	if (d->server)
		sadb_server_event(d->server, event);
}

static unsigned int op_workers(void *ctx)
{
	struct daemon *d = ctx;

	return d->plan.n;
}

/* The programs compare what the kernel has opened with the policies of the SA's child. A tunnel has
 * none. */
static bool is_whole_child(const struct config *config, const struct xipsec_sa *sa)
{
	struct xipsec_sa all;
	bool same;

	if (sa->if_id)
		return true;
	memcpy(&all, sa, XIPSEC_SA_SIZE(0));
	OPENSSL_cleanse(all.key, sizeof(all.key));
	all.n_selectors = 0;
	same = !sa_selectors_narrow(config, &all) && all.n_selectors == sa->n_selectors;
	for (unsigned int i = 0; same && i < all.n_selectors; i++)
		same = all.refuse[i] == sa->refuse[i] &&
		       memcmp(&all.selector[i], &sa->selector[i], sizeof(all.selector[i])) == 0;
	return same;
}

/* Do packets of that SA meet policies with selectors? What this host sends does, what it gets in
 * transport mode, and what comes out of a tunnel; all else a program has compared. NULL with *fault
 * NULL: no. */
static const struct xfrm_sels *compared(const struct config *config, const struct xipsec_sa *sa,
					struct xfrm_sels *into, const char **fault)
{
	static struct xipsec_sa leaving;

	*fault = NULL;
	if (sa->dir == XIPSEC_DIR_IN) {
		if (sa->mode != XIPSEC_MODE_TRANSPORT && !sa->if_id)
			return NULL;
		*fault = xfrm_sels_make(sa, into);
		return *fault ? NULL : into;
	}
	if (sa->if_id)
		return NULL;
	*fault = sa_selectors_leaving(config, sa, &leaving);
	if (!*fault)
		*fault = xfrm_sels_make(&leaving, into);
	for (unsigned int i = 0; !*fault && i < into->n; i++)
		if (into->refuse[i])
			*fault = "an earlier policy takes something from its child";
	return *fault ? NULL : into;
}

/* What is opened out of UDP comes by a socket of ours; of all else such a socket gets a copy. */
static int kernel_socket(struct daemon *d, const struct xipsec_sa *sa, bool more)
{
	if (sa->dir != XIPSEC_DIR_IN)
		return 0;
	if (!(sa->flags & XIPSEC_SA_UDP)) {
		slow_sockets_spare(&d->slow, sa, more);
		return 0;
	}
	return ike_ports_kernel(&d->ike, sa->outer_family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET,
				more);
}

static int kernel_add(void *ctx, const struct xipsec_sa *sa, __u32 index, __u32 child, __u64 seq)
{
	struct daemon *d = ctx;
	const struct xfrm_sels *sels;
	struct xfrm_sels room;
	const char *fault;
	int err;

	if (!d->xfrm)
		return -EPROTONOSUPPORT;
	if (sa->if_id && !taps_has_kernel(d->taps, sa->if_id))
		return -ENODEV;
	if (sa->dir == XIPSEC_DIR_IN && !is_whole_child(d->config, sa))
		return -EXDEV;
	sels = compared(d->config, sa, &room, &fault);
	if (fault && (sa->mode == XIPSEC_MODE_TRANSPORT || sa->if_id)) {
		log_error("SA %s: its selectors for the kernel: %s", sa->name, fault);
		return -EDOM;
	}
	if (sels && sa->if_id && !xfrm_tunnel_takes(d->xfrm, child, sels))
		return -EADDRINUSE;
	if (fault)
		log_info("SA %s: this host's own packets do not go by it: %s", sa->name, fault);
	err = kernel_socket(d, sa, true);
	if (err)
		return err;
	if (sa->dir == XIPSEC_DIR_OUT || sa->if_id)
		sels = NULL;
	err = xfrm_add(d->xfrm, sa, sels, index, child, seq);
	if (err)
		kernel_socket(d, sa, false);
	return err;
}

static int kernel_gone(void *ctx, const struct xipsec_sa *sa, struct xfrm_count *last)
{
	struct daemon *d = ctx;
	int err = xfrm_delete(d->xfrm, sa, last);

	kernel_socket(d, sa, false);
	return err;
}

static int kernel_lead(void *ctx, __u8 dir, const struct xipsec_sa *sa, __u32 index, __u32 child)
{
	struct daemon *d = ctx;
	const struct xfrm_sels *sels;
	struct xfrm_sels room;
	const char *fault;

	if (!sa)
		return xfrm_lead_nowhere(d->xfrm, dir, child);
	sels = compared(d->config, sa, &room, &fault);
	return dir == XIPSEC_DIR_OUT ? xfrm_lead_out(d->xfrm, sa, sels, index, child)
				     : xfrm_lead_in(d->xfrm, sa, sels, child);
}

static int kernel_ask(void *ctx, const struct xipsec_sa *sa, struct xfrm_count *out)
{
	struct daemon *d = ctx;

	return xfrm_ask(d->xfrm, sa, out);
}

/* The kernel is asked for ESP once, for that loads modules. */
static bool kernel_has_esp(struct daemon *d, __u8 family)
{
	bool *asked = &d->esp_asked[family == XIPSEC_FAMILY_IP6];
	bool *has = &d->esp[family == XIPSEC_FAMILY_IP6];

	if (!*asked && d->xfrm)
		*has = xfrm_has_esp(d->xfrm, family);
	*asked = true;
	return *has;
}

static void kernel_facts(void *ctx, const struct xipsec_sa *sa, struct engine_facts *out)
{
	struct daemon *d = ctx;
	const struct config_tunnel *tunnel = config_tunnel_find(d->config, sa->if_id);

	*out = (struct engine_facts){
		.generic = d->generic,
		.offload = d->offload,
		.esp = kernel_has_esp(d, sa->outer_family),
		.narrow = sa->dir == XIPSEC_DIR_IN && !is_whole_child(d->config, sa),
		.tunnel = taps_has_kernel(d->taps, sa->if_id) ? XIPSEC_ENGINE_XFRM
			  : taps_has(d->taps, sa->if_id)      ? XIPSEC_ENGINE_AFXDP
			  : tunnel                            ? tunnel->engine
							      : XIPSEC_ENGINE_NONE,
	};
}

static __u32 kernel_cpu(void *ctx, __u32 turn)
{
	struct daemon *d = ctx;

	return spread_cpu(&d->home.dp, turn);
}

void wiring_xfrm(void *ctx, const struct xfrm_news *news)
{
	struct daemon *d = ctx;

	sas_kernel_news(d->sas, news);
}

static const struct sas_kernel kernel = {kernel_add, kernel_gone,  kernel_lead,
					 kernel_ask, kernel_facts, kernel_cpu};
const struct sas_ops wiring_sas = {op_sad_set, op_sad_delete, op_child_id, op_child_set,
				   op_install, op_forget,     op_event,    op_workers,
				   &kernel,    op_peer,       op_settle};

static void on_nexthop(void *ctx, const struct ctl_nexthop *msg)
{
	struct daemon *d = ctx;

	workers_broadcast(d->workers, msg, sizeof(*msg));
}

static int on_slot(void *ctx, unsigned int ifindex)
{
	struct daemon *d = ctx;

	return ports_slot(d->ports, ifindex);
}

static void ports_send(void *ctx, unsigned int worker, const void *msg, size_t len, const int *fds,
		       unsigned int n_fds)
{
	struct daemon *d = ctx;

	workers_send(d->workers, worker, msg, len, fds, n_fds);
}

static void on_ask(void *ctx, const struct ctl_nexthop *question)
{
	struct daemon *d = ctx;

	route_ask(d->route, &question->dst, question->family, question->share);
}

static void on_sa_stopped(void *ctx, __u32 index, __u32 generation)
{
	struct daemon *d = ctx;

	/* sas_tick() reads it from the state itself; the message only makes it sooner. */
	sas_tick(d->sas);
}

static void on_sa_runs(void *ctx, unsigned int worker, const struct ctl_sa_runs *runs)
{
	struct daemon *d = ctx;

	sas_runs(d->sas, worker, runs);
}

static void on_peer(void *ctx, const struct ctl_peer *peer)
{
	struct daemon *d = ctx;

	sas_peer(d->sas, peer);
}

/* A worker names the tunnel; who waits for it and how often, is not its to say. */
static void on_sample(void *ctx, const struct ctl_sample *msg)
{
	struct daemon *d = ctx;
	const struct config_tunnel *tunnel = NULL;

	if (msg->if_id && msg->sample.reason == XIPSEC_REASON_NO_SA_OUT)
		tunnel = config_tunnel_find(d->config, msg->if_id);
	if (tunnel)
		samples_tunnel(d->samples, &msg->sample, tunnel->name,
			       taps_acquire(d->taps, msg->if_id));
	else
		samples_tell(d->samples, &msg->sample);
}

struct fill {
	struct daemon *d;
	unsigned int worker;
};

static void fill_nexthop(void *ctx, const struct ctl_nexthop *msg)
{
	struct fill *fill = ctx;

	workers_send(fill->d->workers, fill->worker, msg, sizeof(*msg), NULL, 0);
}

static void fill_taps(struct daemon *d, unsigned int worker)
{
	taps_fill(d->taps, worker);
	for (unsigned int i = 0; i < d->config->n_tunnels; i++) {
		const __u32 if_id = d->config->tunnels[i].if_id;
		struct ctl_tap_sa msg = tunnel_message(d, if_id, NULL, 0);

		if (taps_has(d->taps, if_id))
			workers_send(d->workers, worker, &msg, sizeof(msg), NULL, 0);
	}
}

static void on_fill(void *ctx, unsigned int worker)
{
	struct daemon *d = ctx;
	struct fill fill = {d, worker};
	struct ctl_sa msg;

	ports_fill(d->ports, worker);
	if (worker == 0)
		slow_sockets_lend(&d->slow, ike_ports_natt(&d->ike, AF_INET),
				  ike_ports_natt(&d->ike, AF_INET6), d->workers, worker);
	for (struct sa *sa = sas_next(d->sas, NULL); sa; sa = sas_next(d->sas, sa)) {
		if (sa->sa.engine != XIPSEC_ENGINE_AFXDP)
			continue;
		sas_message(d->sas, sa, &msg);
		workers_send(d->workers, worker, &msg, msg.hdr.len, NULL, 0);
		OPENSSL_cleanse(&msg, sizeof(msg));
	}
	fill_taps(d, worker);
	route_each(d->route, fill_nexthop, &fill);
}

int wiring_lend_memory(void *ctx, unsigned int i, int *umem, int *table, struct ctl_hello *hello)
{
	struct daemon *d = ctx;

	return ports_memory(d->ports, i, umem, table, hello);
}

static void on_mapped(void *ctx, unsigned int worker, __u32 slot, __u32 queue)
{
	struct daemon *d = ctx;

	ports_mapped(d->ports, &d->home.dp, worker, slot, queue);
}

static void on_died(void *ctx, unsigned int worker)
{
	struct daemon *d = ctx;

	ports_worker_died(d->ports, &d->home.dp, worker);
}

const struct workers_hooks wiring_workers = {on_fill, on_ask,    on_sa_stopped, on_sa_runs,
					     on_peer, on_sample, on_mapped,     on_died};

/* It came before the maps of a new generation knew its SA: the peer is right. */
static bool has_one(const struct daemon *d, const struct sadb_event *event)
{
	return sas_by_spi(d->sas, &event->dst, event->family, event->spi, IPPROTO_ESP) ||
	       sas_by_spi(d->sas, &event->dst, event->family, event->spi, IPPROTO_AH);
}

static void samples_event(void *ctx, struct sadb_event *event)
{
	struct daemon *d = ctx;

	if (event->event == XIPSEC_EVENT_NO_SA && has_one(d, event))
		return;
	if (event->event != XIPSEC_EVENT_NO_SA)
		sas_describe(d->sas, &event->sample, event);
	if (d->server)
		sadb_server_event(d->server, event);
}

static bool samples_wanted(void *ctx, enum xipsec_event event)
{
	struct daemon *d = ctx;

	return d->config->audit && d->server && sadb_server_wanted(d->server, event);
}

const struct samples_hooks wiring_samples = {samples_event, samples_wanted};
const struct ports_hooks wiring_ports = {ports_send};
const struct route_hooks wiring_route = {on_nexthop, follow_links, on_slot};
