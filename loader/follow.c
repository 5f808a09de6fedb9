// SPDX-License-Identifier: BSD-2-Clause
#include "loader/daemon_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "lib/cleanup.h"
#include "lib/ethtool.h"
#include "lib/log.h"
#include "loader/attach.h"
#include "loader/manual.h"
#include "loader/sa_maps.h"
#include "loader/settings.h"
#include "loader/spd_change.h"

/* ------------------------------------------------------------------ interfaces and workers */

static void publish_tap(struct daemon *d)
{
	int err = taps_publish(d->taps, &d->home.dp);

	if (err)
		log_error("the programs cannot be told of the TAP: %s; this host's own traffic "
			  "stays closed",
			  strerror(-err));
}

void follow_tunnels(struct daemon *d, const struct config *config)
{
	if (d->open)
		taps_sync(d->taps, config);
}

void follow_taps(struct daemon *d)
{
	if (!d->open || !d->plan.n)
		return;
	taps_sync(d->taps, d->config);
	publish_tap(d);
	wiring_tell_tunnels(d);
}

static void start_workers(struct daemon *d, const struct attach_iface *list, unsigned int n)
{
	struct workers_config config = {.n = d->plan.n,
					.uid = d->config->worker_uid,
					.backend = d->config->backend,
					.busy_poll = d->options->busy_poll,
					.hostile = d->options->hostile};
	struct workers_lend lend = {.sa_state = d->home.dp.sa_state,
				    .worker_stats = d->home.dp.worker_stats,
				    .globals = d->home.dp.globals,
				    .n_sas = d->home.dp.n_sas,
				    .sa_state_size = d->home.states_size,
				    .sa_state_stride = d->home.states_stride,
				    .stats_size = d->home.stats_size,
				    .stats_stride = d->home.stats_stride,
				    .stats = d->home.stats,
				    .memory = wiring_lend_memory};
	int err;

	err = ports_open(d->ports, d->plan.n, d->plan.frame_size, d->plan.multi, d->plan.sockets,
			 d->home.stats, d->home.stats_stride);
	if (err) {
		log_error("no memory for packets: %s", strerror(-err));
		d->plan.n = 0;
		return;
	}
	ports_sync(d->ports, &d->home.dp, d->route, list, n);
	taps_open(d->taps, d->config, d->plan.n);
	publish_tap(d);
	workers_start(d->workers, &config, &lend);
}

/* Does what there is not do any more? */
static bool outgrown(const struct plan *old, const struct plan *plan)
{
	return plan->n && (!old->n || plan->n < old->n || plan->frame_size > old->frame_size ||
			   plan->multi > old->multi);
}

/* What decides about engines. */
static void judge_ifaces(struct daemon *d, const struct attach_iface *list, unsigned int n)
{
	d->generic = d->offload = false;
	for (unsigned int i = 0; i < n; i++) {
		bool on = false;

		if (!list[i].ifindex)
			continue;
		d->generic = d->generic || list[i].generic;
		if (!ethtool_esp_offload(list[i].name, &on))
			d->offload = d->offload || on;
	}
}

void follow_ports(struct daemon *d)
{
	_cleanup_free_ struct attach_iface *list = NULL;
	unsigned int n = 0;
	const char *why;
	struct plan plan;

	if (!d->open || attach_ifaces(d->config, &list, &n))
		return;
	judge_ifaces(d, list, n);
	plan = plan_make(d->config, list, n, &why);
	if (outgrown(&d->plan, &plan)) {
		workers_stop(d->workers);
		ports_close(d->ports, &d->home.dp);
		d->plan = plan;
		log_info("%u worker%s (%s), frames of %u bytes%s", plan.n, plan.n == 1 ? "" : "s",
			 why, plan.frame_size, plan.multi ? ", several a packet" : "");
		start_workers(d, list, n);
		route_renew(d->route);
		return;
	}
	ports_sync(d->ports, &d->home.dp, d->route, list, n);
}

/* ------------------------------------------------------------------ generations */

/* Whoever made the generation filled its policies from the file as it is now, which may say
 * something else than when we read it. NULL: what we have is in force, or nothing that we know. */
static struct config *other_in_force(const struct daemon *d, const struct datapath *dp)
{
	struct config *config;

	if (spd_is_of(dp, d->config))
		return NULL;
	if (settings_read(d->options->config_path, &config, NULL) == 0) {
		settings_keep(d->config, config);
		if (spd_is_of(dp, config))
			return config;
		config_free(config);
	}
	log_warn("the policies in force are neither those that SAs go by nor those of %s: `xipsec "
		 "reload`",
		 d->options->config_path);
	return NULL;
}

/* Moves into the current generation. From a predecessor's leavings or from an older generation, the
 * order is the same: nobody seals any more, nothing leads to an SA, then the states move. */
static int move_in(struct daemon *d)
{
	_cleanup_free_ struct attach_iface *list = NULL;
	struct home old = d->home;
	unsigned int n = 0;
	char where[RESERVE_WHERE_LEN], text[XIPSEC_SADB_ERR_TEXT];
	struct config *config, *other;
	bool moved = d->open;
	struct home home;
	int err;

	err = home_open(d->config->pin_dir, &home);
	if (err)
		return err;
	workers_stop(d->workers);
	ports_close(d->ports, moved ? &d->home.dp : NULL);
	d->plan.n = 0;
	workers_bury(home.stats, home.stats_stride);
	err = sa_maps_clear(&home.dp);
	if (!err)
		err = sa_maps_where(home.dp.sa_state, where, sizeof(where));
	if (err) {
		home_close(&home);
		return err;
	}
	/* No SA is there yet: none lets out by its old list what is refused there. */
	other = d->loaded ? other_in_force(d, &home.dp) : NULL;
	if (other)
		requests_withdraw(d, other, text);
	d->home = home;
	d->open = true;
	log_info("data path %s is open%s", d->home.dp.generation,
		 moved ? ": its SAs move there" : "");
	err = samples_open(d->samples, &d->home.dp);
	if (err)
		log_warn("drops of the programs cannot be told: %s", strerror(-err));
	standins_move(d);
	/* Before the first SA, so that it is known how many share it. */
	sas_bind(d->sas, d->home.states, d->home.states_stride, d->home.dp.n_sas, where);
	if (moved)
		home_close(&old);
	/* And what they may not use. */
	if (!attach_ifaces(d->config, &list, &n))
		judge_ifaces(d, list, n);
	if (!d->loaded && settings_read(d->options->config_path, &config, NULL) == 0) {
		follow_tunnels(d, config);
		manual_apply(d->sas, config, text);
		settings_forget_keys(config);
		config_free(d->config);
		d->config = config;
		d->loaded = true;
	}
	if (other)
		requests_apply(d, other, text);
	else
		follow_ports(d);
	return 0;
}

bool follow_loader_is_busy(const struct daemon *d)
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

void follow_repair(struct daemon *d)
{
	int n;

	d->repair_due = follow_loader_is_busy(d);
	if (d->repair_due || other_release_rules(d))
		return;
	n = attach_repair(d->config);
	if (n > 0)
		log_info("%d interface%s attached anew", n, n == 1 ? "" : "s");
}

void follow_nft(void *ctx)
{
	struct daemon *d = ctx;

	d->repair_due = true;
}

void follow_watch(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	char name[32];
	int err;

	if (d->repair_due)
		follow_repair(d);
	err = datapath_current(d->config->pin_dir, name);
	if (!err && d->open && strcmp(name, d->home.dp.generation) == 0)
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
		daemon_finish(d, DAEMON_OTHER_ABI);
		return;
	}
	if (err == -EBUSY) {
		daemon_finish(d, DAEMON_FAILED);
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

void follow_links(void *ctx)
{
	struct daemon *d = ctx;
	int err;

	/* Closed first: an interface that was made anew gets its programs before its sockets. */
	follow_repair(d);
	follow_watch(-1, 0, d);
	err = route_links_read(d->route);
	if (err)
		log_warn("the interfaces cannot be read: %s", strerror(-err));
	follow_ports(d);
	follow_taps(d);
}
