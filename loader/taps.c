// SPDX-License-Identifier: BSD-2-Clause
#include "loader/taps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/tap_dev.h"
#include "loader/xfrm_dev.h"

/* Fits what ESP adds into 1500 bytes, whatever the algorithm, over IPv6 and UDP too. */
#define TUNNEL_MTU 1400

struct tap {
	__u32 if_id;
	bool kernel;        /* an xfrm interface: no queues, no worker knows it */
	struct tap_dev dev; /* of that, its name and index alone */
	__u64 acquired;     /* CLOCK_BOOTTIME, ns: an SA was asked for; 0: never */
};

struct taps {
	const struct ports_hooks *hooks;
	void *ctx;
	struct netlink nl;
	unsigned int n_workers;
	struct tap *tap; /* those that could be made */
	unsigned int n;
	bool said_filter;
	int said_err;
};

struct taps *taps_new(const struct ports_hooks *hooks, void *ctx)
{
	struct taps *taps = calloc(1, sizeof(*taps));
	int err = taps ? netlink_open(NETLINK_ROUTE, &taps->nl) : -ENOMEM;

	if (err) {
		log_error("rtnetlink: %s", strerror(-err));
		free(taps);
		return NULL;
	}
	taps->hooks = hooks;
	taps->ctx = ctx;
	return taps;
}

static void close_tap(struct taps *taps, struct tap *tap, bool remove)
{
	int err = 0;

	if (!tap->kernel)
		tap_dev_close(&tap->dev, remove);
	else if (remove)
		err = xfrm_dev_remove(&taps->nl, tap->dev.name, true);
	if (err)
		log_error("the interface %s stays: %s", tap->dev.name, strerror(-err));
}

void taps_free(struct taps *taps)
{
	if (!taps)
		return;
	for (unsigned int i = 0; i < taps->n; i++)
		close_tap(taps, &taps->tap[i], !taps->tap[i].if_id);
	netlink_close(&taps->nl);
	free(taps->tap);
	free(taps);
}

bool taps_is_ours(const struct config *config, const char *name)
{
	if (strcmp(name, TAP_NAME) == 0)
		return true;
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		if (strcmp(config->tunnels[i].name, name) == 0)
			return true;
	return false;
}

/* ------------------------------------------------------------------ telling */

static void tell(const struct taps *taps, const struct tap *tap, unsigned int worker)
{
	const struct ctl_tap msg = {.hdr = {XIPSEC_CTL_TAP, XIPSEC_ABI, sizeof(msg)},
				    .if_id = tap->if_id,
				    .mac = TAP_MAC};

	if (worker < tap->dev.n)
		taps->hooks->send(taps->ctx, worker, &msg, sizeof(msg), &tap->dev.fd[worker], 1);
}

void taps_fill(const struct taps *taps, unsigned int worker)
{
	for (unsigned int i = 0; i < taps->n; i++)
		tell(taps, &taps->tap[i], worker);
}

static void tell_gone(const struct taps *taps, __u32 if_id)
{
	const struct ctl_tap msg = {.hdr = {XIPSEC_CTL_TAP_GONE, XIPSEC_ABI, sizeof(msg)},
				    .if_id = if_id};

	for (unsigned int i = 0; i < taps->n_workers; i++)
		taps->hooks->send(taps->ctx, i, &msg, sizeof(msg), NULL, 0);
}

static int store_ifindex(const struct datapath *dp, __u32 ifindex)
{
	size_t size = 0, stride = 0;
	struct xipsec_globals *globals = datapath_mmap(dp->globals, &size, &stride);

	if (!globals)
		return -errno;
	__atomic_store_n(&globals->tap_ifindex, ifindex, __ATOMIC_RELEASE);
	munmap(globals, size);
	return 0;
}

int taps_publish(const struct taps *taps, const struct datapath *dp)
{
	__u32 ifindex = 0;

	for (unsigned int i = 0; i < taps->n; i++)
		if (!taps->tap[i].if_id)
			ifindex = taps->tap[i].dev.ifindex;
	return store_ifindex(dp, ifindex);
}

void taps_unpublish(const struct datapath *dp)
{
	int err = store_ifindex(dp, 0);

	if (err)
		log_warn("the programs still name %s: %s", TAP_NAME, strerror(-err));
}

/* ------------------------------------------------------------------ making */

/* The stricter of `all` and the interface's own counts, and `all` is the user's. */
static void look_at_filter(struct taps *taps)
{
	static const char path[] = "/proc/sys/net/ipv4/conf/all/rp_filter";
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	int mode = 0;

	if (taps->said_filter || !file || fscanf(file, "%d", &mode) != 1 || mode != 1)
		return;
	taps->said_filter = true;
	log_warn("net.ipv4.conf.all.rp_filter is 1: the kernel will drop what is decrypted for "
		 "this host, for it arrives by %s and the way back leads by another interface; "
		 "set it to 2 (loose) or 0",
		 TAP_NAME);
}

static struct tap *tap_find(const struct taps *taps, __u32 if_id)
{
	for (unsigned int i = 0; i < taps->n; i++)
		if (taps->tap[i].if_id == if_id)
			return &taps->tap[i];
	return NULL;
}

/* Once: it is tried again at every change of links. */
static void say_failed(struct taps *taps, const char *name, int err)
{
	if (err == taps->said_err)
		return;
	taps->said_err = err;
	log_error("the interface %s cannot be made: %s%s; what goes by it stays closed", name,
		  strerror(-err),
		  err == -ENOENT || err == -ENODEV  ? " (no /dev/net/tun: modprobe tun)"
		  : err == -EINVAL || err == -EBUSY ? " (another interface has that name)"
		  : err == -EEXIST     ? " (another interface has that name, or that if_id)"
		  : err == -EOPNOTSUPP ? " (this kernel has no xfrm interfaces: engine = afxdp)"
				       : "");
}

bool taps_has(const struct taps *taps, __u32 if_id)
{
	const struct tap *tap = if_id ? tap_find(taps, if_id) : NULL;

	return tap && !tap->kernel;
}

bool taps_has_kernel(const struct taps *taps, __u32 if_id)
{
	const struct tap *tap = if_id ? tap_find(taps, if_id) : NULL;

	return tap && tap->kernel;
}

/* Half the gap: a worker that keeps to it is not refused for some milliseconds. */
bool taps_acquire(struct taps *taps, __u32 if_id)
{
	struct tap *tap = if_id ? tap_find(taps, if_id) : NULL;
	struct timespec ts;
	__u64 now;

	if (!tap)
		return false;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	now = (__u64)ts.tv_sec * 1000000000 + ts.tv_nsec;
	if (tap->acquired && now < tap->acquired + XIPSEC_ACQUIRE_GAP / 2)
		return false;
	tap->acquired = now;
	return true;
}

static bool is_wanted(const struct tap *tap, const char *name)
{
	return strcmp(tap->dev.name, name) == 0 && tap_dev_lives(&tap->dev);
}

/* One that a former run has left and that is of the other kind goes. */
static int open_dev(struct taps *taps, struct tap *tap, const char *name, unsigned int mtu)
{
	int err;

	if (tap->kernel) {
		tap->dev = (struct tap_dev){.tun = true, .mtu = mtu};
		strncpy(tap->dev.name, name, sizeof(tap->dev.name) - 1);
		return xfrm_dev_open(&taps->nl, name, tap->if_id, mtu, &tap->dev.ifindex);
	}
	err = tap->if_id ? xfrm_dev_remove(&taps->nl, name, true) : 0;
	return err ? err
		   : tap_dev_open(&taps->nl, &tap->dev, name, tap->if_id != 0, mtu,
				  taps->n_workers);
}

/* The tap of that if_id is there, under that name; -errno. */
static int want(struct taps *taps, __u32 if_id, bool kernel, const char *name, unsigned int mtu)
{
	struct tap *tap = tap_find(taps, if_id), *grown;
	struct tap made = {.if_id = if_id, .kernel = kernel};
	int err;

	if (tap && is_wanted(tap, name))
		return 0;
	err = open_dev(taps, &made, name, mtu);
	if (err) {
		say_failed(taps, name, err);
		return err;
	}
	if (!tap) {
		grown = realloc(taps->tap, (taps->n + 1) * sizeof(*grown));
		if (!grown) {
			close_tap(taps, &made, !if_id);
			return -ENOMEM;
		}
		taps->tap = grown;
		tap = &grown[taps->n++];
	} else if (!kernel) { /* the kernel's has gone; by its name it would be the new one */
		close_tap(taps, tap, true);
	}
	*tap = made;
	for (unsigned int i = 0; i < taps->n_workers; i++)
		tell(taps, tap, i);
	log_info("%s is there%s%s", name, if_id ? ", for what routes lead into it" : "",
		 kernel ? ", by kernel XFRM" : "");
	return 0;
}

static bool is_kernel(const struct config_tunnel *tunnel)
{
	return tunnel->engine == XIPSEC_ENGINE_XFRM;
}

/* The kernel has one interface of an if_id: the former goes before one of another name comes. */
static bool stays(const struct tap *tap, const struct config_tunnel *tunnel)
{
	return tap->kernel == is_kernel(tunnel) &&
	       (!tap->kernel || strcmp(tap->dev.name, tunnel->name) == 0);
}

static void drop_unwanted(struct taps *taps, const struct config *config)
{
	for (unsigned int i = 0; i < taps->n;) {
		struct tap *tap = &taps->tap[i];
		const struct config_tunnel *tunnel = config_tunnel_find(config, tap->if_id);

		if (!tap->if_id || (tunnel && stays(tap, tunnel))) {
			i++;
			continue;
		}
		log_info("%s goes: the config names it no more%s", tap->dev.name,
			 tunnel ? " with that engine" : "");
		if (!tap->kernel)
			tell_gone(taps, tap->if_id);
		close_tap(taps, tap, true);
		*tap = taps->tap[--taps->n];
	}
}

static void want_tunnels(struct taps *taps, const struct config *config, bool kernel)
{
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		const struct config_tunnel *tunnel = &config->tunnels[i];

		if (is_kernel(tunnel) == kernel)
			want(taps, tunnel->if_id, kernel, tunnel->name,
			     tunnel->mtu ? tunnel->mtu : TUNNEL_MTU);
	}
}

/* The kernel's need no worker. */
void taps_sync(struct taps *taps, const struct config *config)
{
	drop_unwanted(taps, config);
	want_tunnels(taps, config, true);
	if (!taps->n_workers)
		return;
	if (!want(taps, 0, false, TAP_NAME, TAP_MTU))
		look_at_filter(taps);
	want_tunnels(taps, config, false);
}

static bool keeps(void *ctx, const char *name)
{
	const struct config *config = ctx;

	for (unsigned int i = 0; i < config->n_tunnels; i++)
		if (strcmp(config->tunnels[i].name, name) == 0)
			return true;
	return false;
}

void taps_sweep(struct taps *taps, struct config *config)
{
	int err = xfrm_dev_sweep(&taps->nl, keeps, config);

	if (err)
		log_warn("xfrm interfaces of a dead xipsecd stay: %s", strerror(-err));
}

void taps_open(struct taps *taps, const struct config *config, unsigned int n)
{
	for (unsigned int i = 0; n != taps->n_workers && i < taps->n;) {
		if (taps->tap[i].kernel) {
			i++;
			continue;
		}
		close_tap(taps, &taps->tap[i], false);
		taps->tap[i] = taps->tap[--taps->n];
	}
	taps->n_workers = n;
	taps_sync(taps, config);
}
