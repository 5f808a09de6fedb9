// SPDX-License-Identifier: BSD-2-Clause
#include "loader/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <bpf/bpf.h>
#include <event2/event.h>
#include <openssl/crypto.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/attach.h"
#include "loader/datapath.h"
#include "loader/ike_ports.h"
#include "loader/ports.h"
#include "loader/route.h"
#include "loader/sa_maps.h"
#include "loader/sadb_server.h"
#include "loader/sas.h"
#include "loader/workers.h"

/* An outbound SA with a smaller window cannot be shared by workers: numbers leave out of order. */
#define SHARED_WINDOW_MIN 1024

#define PLAIN_MTU 1500 /* up to here a frame with its headroom fits 2048 bytes */

struct plan {
	unsigned int n; /* workers, 0: no interface yet */
	__u32 frame_size;
	unsigned int sockets; /* of one worker */
};

struct daemon {
	const struct daemon_options *options;
	struct config *config; /* without keys */
	int lock;
	struct event_base *base;
	struct reserve reserve;
	struct sas *sas;
	struct route *route;
	struct ports *ports;
	struct workers *workers;
	struct sadb_server *server;
	struct ike_ports ike;
	struct event *tick, *watch, *sync, *signals[3];
	__u64 epoch;
	int status; /* exit status */
	/* the generation that is open */
	bool open;
	bool loaded; /* sas {} was read in */
	bool said_waiting;
	bool repair_due;
	struct datapath dp;
	void *states, *stats;
	size_t states_size, states_stride, stats_size, stats_stride;
	struct plan plan;
};

/* ------------------------------------------------------------------ what the rooms call */

static int op_sad_set(void *ctx, const struct xipsec_sad_key *key,
		      const struct xipsec_sad_entry *entry)
{
	struct daemon *d = ctx;

	return sa_maps_sad_set(&d->dp, key, entry);
}

static int op_sad_delete(void *ctx, const struct xipsec_sad_key *key)
{
	struct daemon *d = ctx;

	return sa_maps_sad_delete(&d->dp, key);
}

static int op_child_id(void *ctx, const char *name)
{
	struct daemon *d = ctx;

	return datapath_child_id(&d->dp, name);
}

static int op_child_set(void *ctx, __u32 id, const struct xipsec_child *child)
{
	struct daemon *d = ctx;

	return sa_maps_child_set(&d->dp, id, child);
}

static void op_install(void *ctx, const struct ctl_sa *msg)
{
	struct daemon *d = ctx;

	workers_broadcast(d->workers, msg, sizeof(*msg));
}

static void op_forget(void *ctx, const struct ctl_sa_ref *refs, unsigned int n)
{
	struct daemon *d = ctx;

	workers_forget(d->workers, refs, n);
}

static void op_stopped(void *ctx, const struct xipsec_sa *sa, __u32 index)
{
	struct daemon *d = ctx;
	struct sadb_event event = {.event = XIPSEC_EVENT_EXPIRE_HARD,
				   .sa_index = index,
				   .dst = sa->dst,
				   .spi = sa->spi,
				   .family = sa->outer_family};

	memcpy(event.child, sa->child, sizeof(event.child));
	if (d->server)
		sadb_server_event(d->server, &event);
}

static unsigned int op_workers(void *ctx)
{
	struct daemon *d = ctx;

	return d->plan.n;
}

static const struct sas_ops sas_ops = {op_sad_set, op_sad_delete, op_child_id, op_child_set,
				       op_install, op_forget,     op_stopped,  op_workers};

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

static void on_ask(void *ctx, const struct xipsec_addr *dst, __u32 family)
{
	struct daemon *d = ctx;

	route_ask(d->route, dst, family);
}

static void on_sa_stopped(void *ctx, __u32 index, __u32 generation)
{
	struct daemon *d = ctx;

	/* sas_tick() reads it from the state itself; the message only makes it sooner. */
	sas_tick(d->sas);
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

static void on_fill(void *ctx, unsigned int worker)
{
	struct daemon *d = ctx;
	struct fill fill = {d, worker};
	struct ctl_sa msg;

	ports_fill(d->ports, worker);
	for (struct sa *sa = sas_next(d->sas, NULL); sa; sa = sas_next(d->sas, sa)) {
		sas_message(d->sas, sa, &msg);
		workers_send(d->workers, worker, &msg, sizeof(msg), NULL, 0);
		OPENSSL_cleanse(&msg, sizeof(msg));
	}
	route_each(d->route, fill_nexthop, &fill);
}

static int lend_memory(void *ctx, unsigned int i, int *umem, int *table, struct ctl_hello *hello)
{
	struct daemon *d = ctx;

	return ports_memory(d->ports, i, umem, table, hello);
}

static void on_mapped(void *ctx, unsigned int worker, __u32 slot, __u32 queue)
{
	struct daemon *d = ctx;

	ports_mapped(d->ports, &d->dp, worker, slot, queue);
}

static void on_died(void *ctx, unsigned int worker)
{
	struct daemon *d = ctx;

	ports_worker_died(d->ports, &d->dp, worker);
}

static const struct workers_hooks workers_hooks = {on_fill, on_ask, on_sa_stopped, on_mapped,
						   on_died};
static const struct ports_hooks ports_hooks = {ports_send};

/* ------------------------------------------------------------------ config */

static void forget_keys(struct config *config)
{
	for (unsigned int i = 0; i < config->n_sas; i++)
		OPENSSL_cleanse(config->sas[i].sa.key, sizeof(config->sas[i].sa.key));
}

/* With `text`, the first error goes there; else all go to the log. */
static int read_config(const struct daemon *d, const char *path, struct config **out, char *text)
{
	char *errors = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&errors, &len);
	int err;

	if (!file)
		return -ENOMEM;
	err = config_load(path && path[0] ? path : d->options->config_path, out, file);
	fclose(file);
	if (err && text)
		snprintf(text, XIPSEC_SADB_ERR_TEXT, "%.*s",
			 (int)strcspn(errors && errors[0] ? errors : strerror(-err), "\n"),
			 errors && errors[0] ? errors : strerror(-err));
	if (err && !text) {
		for (char *line = strtok(errors, "\n"); line; line = strtok(NULL, "\n"))
			log_error("%s", line);
		if (!len)
			log_error("%s: %s", d->options->config_path, strerror(-err));
	}
	free(errors);
	return err;
}

static int add_manual(struct daemon *d, struct xipsec_sa *sa, __u32 flags, char *text)
{
	int err;

	sa->flags |= XIPSEC_SA_MANUAL | flags;
	err = sas_add(d->sas, sa, text);
	if (err)
		log_error("%s", text);
	else
		log_info("SA %s: %s, child %s, is up", sa->name,
			 sa->dir == XIPSEC_DIR_OUT ? "outbound" : "inbound", sa->child);
	return err;
}

static const struct xipsec_sa *wanted(const struct config *config, const char *name)
{
	for (unsigned int i = 0; i < config->n_sas; i++)
		if (strcmp(config->sas[i].sa.name, name) == 0)
			return &config->sas[i].sa;
	return NULL;
}

/* Makes the manual SAs be those of `config`: what did not change does not notice. */
static int apply_sas(struct daemon *d, struct config *config, char *text)
{
	struct sa **gone = calloc(sas_count(d->sas) + 1, sizeof(*gone));
	char why[XIPSEC_SADB_ERR_TEXT];
	unsigned int n = 0;
	int err, first = 0;

	if (!gone)
		return -ENOMEM;
	for (struct sa *sa = sas_next(d->sas, NULL); sa; sa = sas_next(d->sas, sa)) {
		const struct xipsec_sa *want = wanted(config, sa->sa.name);

		if ((sa->sa.flags & XIPSEC_SA_MANUAL) && (!want || !sas_same(d->sas, sa, want)))
			gone[n++] = sa;
	}
	sas_delete(d->sas, gone, n);
	free(gone);
	for (unsigned int i = 0; i < config->n_sas; i++) {
		struct xipsec_sa *sa = &config->sas[i].sa;

		if (sas_by_name(d->sas, sa->name))
			continue;
		err = add_manual(d, sa, 0, why);
		if (err && !first) {
			first = err;
			memcpy(text, why, sizeof(why));
		}
	}
	return first;
}

/* ------------------------------------------------------------------ the plan */

static unsigned int cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned int)CPU_COUNT(&set) : 1;
}

static const char *small_window(const struct config *config)
{
	for (unsigned int i = 0; i < config->n_sas; i++)
		if (config->sas[i].sa.dir == XIPSEC_DIR_OUT &&
		    config->sas[i].sa.window < SHARED_WINDOW_MIN)
			return config->sas[i].sa.name;
	return NULL;
}

static struct plan make_plan(const struct daemon *d, const struct attach_iface *list,
			     unsigned int n, const char **why)
{
	unsigned int want = d->config->workers ? d->config->workers : cores();
	struct plan plan = {.frame_size = 2048};
	const char *small = small_window(d->config);

	*why = d->config->workers ? "as configured" : "one a core";
	if (small && want > 1) {
		want = 1;
		*why = "an outbound SA has replay_window below 1024, so it cannot be shared";
	}
	if (want > XIPSEC_WORKERS_MAX)
		want = XIPSEC_WORKERS_MAX;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int queues = list[i].queues ? list[i].queues : 1;

		if (!list[i].ifindex)
			continue;
		plan.n = want;
		if (queues < want) {
			want = plan.n = queues;
			*why = "an interface has no more queues";
		}
		if (list[i].mtu > PLAIN_MTU)
			plan.frame_size = 4096;
	}
	for (unsigned int i = 0; i < n && plan.n; i++)
		plan.sockets += (list[i].queues + plan.n - 1) / plan.n;
	return plan;
}

static void start_workers(struct daemon *d, const struct attach_iface *list, unsigned int n)
{
	struct workers_config config = {.n = d->plan.n,
					.uid = d->config->worker_uid,
					.backend = d->config->backend,
					.busy_poll = d->options->busy_poll,
					.hostile = d->options->hostile};
	struct workers_lend lend = {.sa_state = d->dp.sa_state,
				    .worker_stats = d->dp.worker_stats,
				    .globals = d->dp.globals,
				    .n_sas = d->dp.n_sas,
				    .sa_state_size = d->states_size,
				    .sa_state_stride = d->states_stride,
				    .stats_size = d->stats_size,
				    .stats_stride = d->stats_stride,
				    .stats = d->stats,
				    .memory = lend_memory};
	int err;

	err = ports_open(d->ports, d->plan.n, d->plan.frame_size, d->plan.sockets);
	if (err) {
		log_error("no memory for packets: %s", strerror(-err));
		d->plan.n = 0;
		return;
	}
	ports_sync(d->ports, &d->dp, d->route, list, n);
	workers_start(d->workers, &config, &lend);
}

/* Reads which interfaces there are and makes sockets and workers fit. */
static void sync_ports(struct daemon *d)
{
	_cleanup_free_ struct attach_iface *list = NULL;
	unsigned int n = 0;
	const char *why;
	struct plan plan;

	if (!d->open || attach_ifaces(d->config, &list, &n))
		return;
	plan = make_plan(d, list, n, &why);
	if (plan.n && (!d->plan.n || plan.n < d->plan.n || plan.frame_size > d->plan.frame_size)) {
		workers_stop(d->workers);
		ports_close(d->ports, &d->dp);
		d->plan = plan;
		log_info("%u worker%s (%s), frames of %u bytes", plan.n, plan.n == 1 ? "" : "s",
			 why, plan.frame_size);
		start_workers(d, list, n);
		route_renew(d->route);
		return;
	}
	ports_sync(d->ports, &d->dp, d->route, list, n);
}

/* ------------------------------------------------------------------ generations */

struct home {
	struct datapath dp;
	void *states, *stats;
	size_t states_size, states_stride, stats_size, stats_stride;
};

static void home_close(struct home *home)
{
	if (home->states)
		munmap(home->states, home->states_size);
	if (home->stats)
		munmap(home->stats, home->stats_size);
	datapath_close(&home->dp);
}

static int home_open(const struct daemon *d, struct home *out)
{
	struct home home = {0};
	int err = datapath_open(d->config->pin_dir, &home.dp);

	if (err)
		return err;
	home.states = datapath_mmap(home.dp.sa_state, &home.states_size, &home.states_stride);
	home.stats = datapath_mmap(home.dp.worker_stats, &home.stats_size, &home.stats_stride);
	if (!home.states || !home.stats)
		err = -errno;
	if (err) {
		home_close(&home);
		return err;
	}
	*out = home;
	return 0;
}

static struct home home_of(const struct daemon *d)
{
	return (struct home){d->dp,          d->states,        d->stats,
			     d->states_size, d->states_stride, d->stats_size,
			     d->stats_stride};
}

static void take_home(struct daemon *d, const struct home *home)
{
	d->dp = home->dp;
	d->states = home->states;
	d->states_size = home->states_size;
	d->states_stride = home->states_stride;
	d->stats = home->stats;
	d->stats_size = home->stats_size;
	d->stats_stride = home->stats_stride;
	d->open = true;
}

/* Moves into the current generation. From a predecessor's leavings or from an older generation, the
 * order is the same: nobody seals any more, nothing leads to an SA, then the states move. */
static int move_in(struct daemon *d)
{
	struct home old = home_of(d);
	char where[RESERVE_WHERE_LEN], text[XIPSEC_SADB_ERR_TEXT];
	struct config *config;
	bool moved = d->open;
	struct home home;
	int err;

	err = home_open(d, &home);
	if (err)
		return err;
	workers_stop(d->workers);
	ports_close(d->ports, moved ? &d->dp : NULL);
	d->plan.n = 0;
	workers_bury(home.stats, home.stats_stride);
	err = sa_maps_clear(&home.dp);
	if (!err)
		err = sa_maps_where(home.dp.sa_state, where, sizeof(where));
	if (err) {
		home_close(&home);
		return err;
	}
	take_home(d, &home);
	log_info("data path %s is open%s", d->dp.generation, moved ? ": its SAs move there" : "");
	/* Before the first SA, so that it is known how many share it. */
	sas_bind(d->sas, d->states, d->states_stride, d->dp.n_sas, where);
	if (moved)
		home_close(&old);
	if (!d->loaded && read_config(d, NULL, &config, NULL) == 0) {
		apply_sas(d, config, text);
		forget_keys(config);
		config_free(d->config);
		d->config = config;
		d->loaded = true;
	}
	sync_ports(d);
	return 0;
}

static void finish(struct daemon *d, int status)
{
	d->status = status;
	event_base_loopbreak(d->base);
}

/* Somebody attaches, detaches or upgrades right now. */
static bool loader_is_busy(const struct daemon *d)
{
	_cleanup_close_ int fd = -1;
	char path[300];

	snprintf(path, sizeof(path), "%s/loader.lock", d->config->run_dir);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

static bool other_release_rules(const struct daemon *d)
{
	struct datapath dp;
	int err = datapath_open(d->config->pin_dir, &dp);

	if (!err)
		datapath_close(&dp);
	return err == -EPROTO;
}

/* An upgrade raises link events too: repairing in the middle of it, or after it, would turn it
 * back. So never while the loader works (it is done again then), nor when another release rules. */
static void repair(struct daemon *d)
{
	int n;

	d->repair_due = loader_is_busy(d);
	if (d->repair_due || other_release_rules(d))
		return;
	n = attach_repair(d->config);
	if (n > 0)
		log_info("%d interface%s attached anew", n, n == 1 ? "" : "s");
}

static void on_watch(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	char name[32];
	int err;

	if (d->repair_due)
		repair(d);
	err = datapath_current(d->config->pin_dir, name);
	if (!err && d->open && strcmp(name, d->dp.generation) == 0)
		return;
	/* Pins that are gone take nothing away: the interfaces hold the programs, the programs hold
	 * the maps, and so do we. */
	if (err && d->open)
		return;
	if (!err)
		err = move_in(d);
	if (err == -EPROTO) {
		log_error("the data path in %s is of another release: start the xipsecd of that "
			  "release, or run `xipsec attach --all --upgrade` with this one",
			  d->config->pin_dir);
		finish(d, DAEMON_OTHER_ABI);
		return;
	}
	if (err == -ENOENT && !d->said_waiting)
		log_info("nothing is attached in %s: waiting for `xipsec attach`",
			 d->config->pin_dir);
	else if (err && err != -ENOENT && !d->said_waiting)
		log_error("the data path in %s cannot be opened: %s; it is tried again",
			  d->config->pin_dir, strerror(-err));
	d->said_waiting = err != 0;
}

/* ------------------------------------------------------------------ timers and events */

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	sas_tick(d->sas);
	if (d->open)
		ports_tick(d->ports, &d->dp);
}

static void on_sync(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	sync_ports(d);
	if (d->open && d->plan.n)
		ports_count(d->ports, d->stats, d->stats_stride);
}

static void on_links(void *ctx)
{
	struct daemon *d = ctx;
	int err;

	/* Closed first: an interface that was made anew gets its programs before its sockets. */
	repair(d);
	on_watch(-1, 0, d);
	err = route_links_read(d->route);
	if (err)
		log_warn("the interfaces cannot be read: %s", strerror(-err));
	sync_ports(d);
}

static const struct route_hooks route_hooks = {on_nexthop, on_links, on_slot};

/* ------------------------------------------------------------------ the sadb socket */

static int do_add_named(void *ctx, const char *name, __u32 flags, char *text)
{
	struct daemon *d = ctx;
	struct config *config;
	int err;

	err = read_config(d, NULL, &config, text);
	if (err)
		return err;
	err = -ENOENT;
	snprintf(text, XIPSEC_SADB_ERR_TEXT,
		 "sas {} of %.120s, which xipsecd reads, has no SA %.60s", d->options->config_path,
		 name);
	for (unsigned int i = 0; i < config->n_sas; i++)
		if (strcmp(config->sas[i].sa.name, name) == 0)
			err = add_manual(d, &config->sas[i].sa, flags, text);
	config_free(config);
	return err;
}

static void say_restart(const struct config *old, const struct config *new)
{
	if (old->workers != new->workers || old->backend != new->backend ||
	    old->worker_uid != new->worker_uid || old->max_sas != new->max_sas ||
	    strcmp(old->pin_dir, new->pin_dir) != 0 || strcmp(old->run_dir, new->run_dir) != 0 ||
	    strcmp(old->state_dir, new->state_dir) != 0)
		log_warn("workers, backend, worker_uid, max_sas and the directories of datapath {} "
			 "are read at start only: restart xipsecd");
}

/* Settings of the start stay as they are, whatever the new file says. */
static void keep_start_settings(const struct config *old, struct config *new)
{
	new->workers = old->workers;
	new->backend = old->backend;
	new->worker_uid = old->worker_uid;
	new->max_sas = old->max_sas;
	memcpy(new->pin_dir, old->pin_dir, sizeof(new->pin_dir));
	memcpy(new->run_dir, old->run_dir, sizeof(new->run_dir));
	memcpy(new->state_dir, old->state_dir, sizeof(new->state_dir));
}

static int do_reload(void *ctx, const char *path, char *text)
{
	struct daemon *d = ctx;
	struct config *config;
	const char *small;
	int err;

	err = read_config(d, path, &config, text);
	if (err) {
		log_error("reload: nothing changes: %s", text);
		return err;
	}
	say_restart(d->config, config);
	keep_start_settings(d->config, config);
	small = small_window(config);
	if (small && d->plan.n > 1) {
		/* One worker first, or the SA would be refused. */
		workers_stop(d->workers);
		ports_close(d->ports, &d->dp);
		d->plan.n = 0;
	}
	err = d->open ? apply_sas(d, config, text) : 0;
	forget_keys(config);
	config_free(d->config);
	d->config = config;
	sync_ports(d);
	log_info("reload: %u SAs", sas_count(d->sas));
	return err;
}

static const char *backend_name(enum xipsec_backend backend)
{
	return backend == XIPSEC_BACKEND_IPSEC_MB  ? "ipsec-mb"
	       : backend == XIPSEC_BACKEND_OPENSSL ? "openssl"
						   : "auto";
}

static void do_status(void *ctx, struct sadb_status *out)
{
	struct daemon *d = ctx;
	struct xipsec_globals globals = {0};
	__u32 zero = 0;

	out->epoch = d->epoch;
	out->pid = getpid();
	out->n_workers = workers_count(d->workers);
	out->n_sas = sas_count(d->sas);
	if (d->open && bpf_map_lookup_elem(d->dp.globals, &zero, &globals) == 0)
		out->spd_generation = globals.spd_generation;
	for (unsigned int i = 0; i < out->n_workers; i++) {
		out->worker_pid[i] = workers_pid(d->workers, i);
		out->worker_starts[i] = workers_starts(d->workers, i);
	}
	snprintf(out->backend, sizeof(out->backend), "%s", backend_name(d->config->backend));
}

static struct sas *do_sas(void *ctx)
{
	struct daemon *d = ctx;

	return d->sas;
}

static const struct config *do_config(void *ctx)
{
	struct daemon *d = ctx;

	return d->config;
}

static const struct sadb_hooks sadb_hooks = {do_add_named, do_reload, do_status, do_sas, do_config};

/* ------------------------------------------------------------------ start and stop */

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct daemon *d = ctx;
	char text[XIPSEC_SADB_ERR_TEXT];

	if (sig == SIGHUP) {
		do_reload(d, "", text);
		return;
	}
	log_info("stops on signal %d; the programs keep enforcing", (int)sig);
	finish(d, DAEMON_OK);
}

static int take_lock(const char *run_dir)
{
	_cleanup_close_ int fd = -1;
	char path[300];

	if (mkdir(run_dir, 0755) < 0 && errno != EEXIST) {
		log_error("%s: %s", run_dir, strerror(errno));
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/xipsecd.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			log_error("another xipsecd runs with run_dir %s: stop it first, or give "
				  "this one another run_dir, pin_dir and state_dir",
				  run_dir);
		else
			log_error("%s: %s", path, strerror(errno));
		return -EBUSY;
	}
	return take_fd(&fd);
}

static int make_timer(struct daemon *d, struct event **out, event_callback_fn fn, long us)
{
	struct timeval every = {.tv_usec = us};

	*out = event_new(d->base, -1, EV_PERSIST, fn, d);
	return *out && event_add(*out, &every) == 0 ? 0 : -ENOMEM;
}

static int make_events(struct daemon *d)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

	for (int i = 0; i < 3; i++) {
		d->signals[i] =
			event_new(d->base, signals[i], EV_SIGNAL | EV_PERSIST, on_signal, d);
		if (!d->signals[i] || event_add(d->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	if (make_timer(d, &d->tick, on_tick, 20000) || make_timer(d, &d->watch, on_watch, 200000) ||
	    make_timer(d, &d->sync, on_sync, 500000))
		return -ENOMEM;
	return 0;
}

/* Everything that needs no data path. Whatever was made is taken down by stop(). */
static int start(struct daemon *d)
{
	char text[RESERVE_TEXT_MAX];
	int err;

	if (getrandom(&d->epoch, sizeof(d->epoch), 0) != sizeof(d->epoch))
		return -EIO;
	d->lock = take_lock(d->config->run_dir);
	if (d->lock < 0)
		return d->lock;
	err = reserve_open(d->config->state_dir, &d->reserve, text);
	if (err) {
		log_error("%s", text);
		return err;
	}
	d->base = event_base_new();
	d->sas = sas_new(d->config->max_sas, &d->reserve, &sas_ops, d);
	d->ports = ports_new(&ports_hooks, d, d->options->no_remap);
	if (!d->base || !d->sas || !d->ports)
		return -ENOMEM;
	err = workers_new(d->base, &workers_hooks, d, &d->workers);
	if (err)
		return err;
	err = route_new(d->base, &route_hooks, d, &d->route);
	if (err) {
		log_error("rtnetlink: %s", strerror(-err));
		return err;
	}
	ike_ports_open(d->base, &d->ike);
	err = sadb_server_new(d->base, d->config->run_dir, &sadb_hooks, d, &d->server);
	return err ? err : make_events(d);
}

static void end_event(struct event *event)
{
	if (event)
		event_free(event);
}

/* Workers first: when they are dead, the numbers in the states are final. */
static void stop(struct daemon *d)
{
	if (d->workers)
		workers_stop(d->workers);
	if (d->open)
		sas_stop(d->sas);
	if (d->ports)
		ports_close(d->ports, d->open ? &d->dp : NULL);
	sadb_server_free(d->server);
	ike_ports_close(&d->ike);
	route_free(d->route);
	workers_free(d->workers);
	ports_free(d->ports);
	sas_free(d->sas);
	end_event(d->tick);
	end_event(d->watch);
	end_event(d->sync);
	for (int i = 0; i < 3; i++)
		end_event(d->signals[i]);
	if (d->base)
		event_base_free(d->base);
	if (d->open) {
		struct home home = home_of(d);

		home_close(&home);
	}
	reserve_close(&d->reserve);
	if (d->lock >= 0)
		close(d->lock);
	config_free(d->config);
}

int daemon_run(const struct daemon_options *options)
{
	struct daemon d = {.options = options,
			   .lock = -1,
			   .reserve = {.dir = -1, .lock = -1},
			   .status = DAEMON_FAILED};
	int err;

	ike_ports_init(&d.ike);
	err = read_config(&d, NULL, &d.config, NULL);
	if (err)
		return DAEMON_CONFIG;
	forget_keys(d.config);
	err = start(&d);
	if (!err) {
		repair(&d);
		on_watch(-1, 0, &d);
		if (d.status != DAEMON_OTHER_ABI)
			event_base_dispatch(d.base);
	}
	stop(&d);
	return d.status;
}
