// SPDX-License-Identifier: BSD-2-Clause
#include "loader/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/daemon_inside.h"
#include "loader/settings.h"

#define NETNS_LOCKS "/run/xipsec-netns"

void daemon_finish(struct daemon *d, int status)
{
	d->status = status;
	d->finished = true;
	event_base_loopbreak(d->base);
}

/* ------------------------------------------------------------------ timers and signals */

/* Subscribers come and go, and so do generations and configs. One of a dead xipsecd may want what
 * nobody reads any more. */
static void publish(struct daemon *d)
{
	__u32 tell = sadb_server_tell(d->server), age = d->config->pmtu_age;

	if (tell == d->told && age == d->told_age && !strcmp(d->told_to, d->home.dp.generation))
		return;
	if (datapath_publish(&d->home.dp, tell, age))
		return;
	d->told = tell;
	d->told_age = age;
	memcpy(d->told_to, d->home.dp.generation, sizeof(d->told_to));
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	sas_tick(d->sas);
	if (!d->open)
		return;
	ports_tick(d->ports, &d->home.dp);
	publish(d);
}

static void on_sync(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	follow_ports(d);
	ports_count(d->ports);
	standins_again(d);
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct daemon *d = ctx;
	char text[XIPSEC_SADB_ERR_TEXT];

	if (sig == SIGHUP) {
		if (!d->open)
			request_reload(d, "", text);
		else if (requests_hooks.policies(d, "", text))
			log_error("reload: %s", text);
		return;
	}
	log_info("stops on signal %d; the programs keep enforcing", (int)sig);
	daemon_finish(d, DAEMON_OK);
}

/* A worker that was just forked has its copy until it execs: one whose xipsecd was killed in that
 * very moment ends on its own, soon. */
static int lock_within_a_second(int fd)
{
	const struct timespec a_while = {.tv_nsec = 50000000};

	for (int tried = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tried++) {
		if (errno != EWOULDBLOCK || tried == 20)
			return -errno;
		nanosleep(&a_while, NULL);
	}
	return 0;
}

static int take_lock(const char *run_dir)
{
	_cleanup_close_ int fd = -1;
	char path[300];
	int err;

	if (mkdir(run_dir, 0755) < 0 && errno != EEXIST) {
		log_error("%s: %s", run_dir, strerror(errno));
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/xipsecd.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	err = fd < 0 ? -errno : lock_within_a_second(fd);
	if (err) {
		if (err == -EWOULDBLOCK)
			log_error("another xipsecd runs with run_dir %s: stop it first, or give "
				  "this one another run_dir, pin_dir and state_dir",
				  run_dir);
		else
			log_error("%s: %s", path, strerror(-err));
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
	if (make_timer(d, &d->tick, on_tick, 20000) ||
	    make_timer(d, &d->watch, follow_watch, 200000) ||
	    make_timer(d, &d->sync, on_sync, 500000))
		return -ENOMEM;
	return 0;
}

static int on_left(void *ctx, const struct xfrm_state *list, unsigned int n)
{
	struct daemon *d = ctx;
	int err = reserve_settle_kernel(&d->reserve, list, n);

	if (err)
		log_error(
			"state_dir does not take what SAs have counted that a dead xipsecd left in "
			"the kernel: make room there and start again");
	return err;
}

/* Of this network namespace, by its inode, in a folder of root's whatever the config says: its own
 * file anybody could lock and keep from us. It stays: who waits for it has it open. */
static int lock_netns(void)
{
	_cleanup_close_ int fd = -1;
	struct stat netns;
	char path[80];
	int err;

	if (stat("/proc/self/ns/net", &netns) < 0 ||
	    (mkdir(NETNS_LOCKS, 0700) < 0 && errno != EEXIST))
		return -errno;
	snprintf(path, sizeof(path), NETNS_LOCKS "/%lu", (unsigned long)netns.st_ino);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	err = fd < 0 ? -errno : lock_within_a_second(fd);
	return err ? err : take_fd(&fd);
}

/* The kernel has one list of SAs for a network namespace: one xipsecd there has it. */
static int open_xfrm(struct daemon *d)
{
	int err;

	d->netns = lock_netns();
	if (d->netns == -EWOULDBLOCK) {
		log_warn("another xipsecd has kernel XFRM in this network namespace: this one does "
			 "without engine xfrm");
		return 0;
	}
	if (d->netns < 0)
		return d->netns;
	err = xfrm_new(d->base, wiring_xfrm, d, &d->xfrm);
	if (err || !d->xfrm)
		return err;
	err = xfrm_clear(d->xfrm, on_left, d);
	if (!err) {
		taps_sweep(d->taps, d->config);
		return 0;
	}
	/* The other engine's SAs need none of it. */
	log_error("kernel XFRM: what a dead xipsecd left stays there (%s): this one does without "
		  "engine xfrm",
		  strerror(-err));
	xfrm_free(d->xfrm);
	d->xfrm = NULL;
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
	d->sas = sas_new(d->config->max_sas, &d->reserve, &wiring_sas, d);
	d->ports = ports_new(&wiring_ports, d, d->options->no_remap);
	d->standins = standins_new();
	d->samples = d->base ? samples_new(d->base, &wiring_samples, d) : NULL;
	d->taps = taps_new(&wiring_ports, d);
	if (!d->base || !d->sas || !d->ports || !d->samples || !d->taps || !d->standins)
		return -ENOMEM;
	err = workers_new(d->base, &wiring_workers, d, &d->workers);
	if (err)
		return err;
	err = route_new(d->base, &wiring_route, d, &d->route);
	if (err) {
		log_error("rtnetlink: %s", strerror(-err));
		return err;
	}
	err = nft_watch_new(d->base, follow_nft, d, &d->nft);
	if (err) {
		log_error("nftables: %s", strerror(-err));
		return err;
	}
	err = open_xfrm(d);
	if (err) {
		log_error("kernel XFRM: %s", strerror(-err));
		return err;
	}
	ike_ports_open(d->base, &d->ike);
	slow_sockets_open(&d->slow);
	err = sadb_server_new(d->base, d->config->run_dir, &requests_hooks, d, &d->server);
	if (!err && d->options->metrics)
		err = metrics_server_new(d->base, d->options->metrics, &requests_metrics, d,
					 &d->metrics);
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
	if (d->open)
		taps_unpublish(&d->home.dp);
	taps_free(d->taps);
	if (d->ports)
		ports_close(d->ports, d->open ? &d->home.dp : NULL);
	metrics_server_free(d->metrics);
	sadb_server_free(d->server);
	d->server = NULL;
	ike_ports_close(&d->ike);
	slow_sockets_close(&d->slow);
	nft_watch_free(d->nft);
	samples_free(d->samples);
	route_free(d->route);
	xfrm_free(d->xfrm);
	workers_free(d->workers);
	ports_free(d->ports);
	sas_free(d->sas);
	standins_free(d->standins);
	end_event(d->tick);
	end_event(d->watch);
	end_event(d->sync);
	for (int i = 0; i < 3; i++)
		end_event(d->signals[i]);
	if (d->base)
		event_base_free(d->base);
	if (d->open)
		home_close(&d->home);
	reserve_close(&d->reserve);
	if (d->lock >= 0)
		close(d->lock);
	if (d->netns >= 0)
		close(d->netns);
	config_free(d->config);
}

int daemon_run(const struct daemon_options *options)
{
	struct daemon d = {.options = options,
			   .lock = -1,
			   .netns = -1,
			   .reserve = {.dir = -1, .lock = -1},
			   .status = DAEMON_FAILED};
	int err;

	ike_ports_init(&d.ike);
	slow_sockets_init(&d.slow);
	err = settings_read(options->config_path, &d.config, NULL);
	if (err)
		return DAEMON_CONFIG;
	settings_forget_keys(d.config);
	err = start(&d);
	if (!err) {
		follow_repair(&d);
		follow_watch(-1, 0, &d);
		if (!d.finished)
			event_base_dispatch(d.base);
	}
	stop(&d);
	return d.status;
}
