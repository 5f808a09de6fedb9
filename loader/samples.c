// SPDX-License-Identifier: BSD-2-Clause
#include "loader/samples.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/log.h"
#include "lib/reason.h"

#define NS_A_SECOND    1000000000ULL
#define ACQUIRE_RECENT (2 * NS_A_SECOND) /* older ones waited for an xipsecd that was not there */

struct samples {
	struct event_base *base;
	const struct samples_hooks *hooks;
	void *ctx;
	struct ring_buffer *ring;
	struct event *readable;
	int child_ids; /* ours; -1: none */
	char (*child)[XIPSEC_NAME_LEN];
	__u64 acquired[XIPSEC_CHILDREN_MAX]; /* when it was told last, CLOCK_BOOTTIME, ns */
	__u64 no_sa_at, selectors_at;        /* the same, CLOCK_BOOTTIME, ns */
};

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (__u64)ts.tv_sec * NS_A_SECOND + ts.tv_nsec;
}

/* ------------------------------------------------------------------ children */

/* Ids are given out while the generation lives, so an unknown one makes us read them again. */
static void children_read(struct samples *samples)
{
	char key[XIPSEC_NAME_LEN], *at = NULL;
	__u32 id;

	memset(samples->child, 0, XIPSEC_CHILDREN_MAX * sizeof(samples->child[0]));
	while (samples->child_ids >= 0 && bpf_map_get_next_key(samples->child_ids, at, key) == 0) {
		at = key;
		if (!bpf_map_lookup_elem(samples->child_ids, key, &id) && id < XIPSEC_CHILDREN_MAX)
			memcpy(samples->child[id], key, XIPSEC_NAME_LEN - 1);
	}
}

static const char *child_name(struct samples *samples, __u32 id)
{
	if (!samples->child[id][0])
		children_read(samples);
	return samples->child[id];
}

/* ------------------------------------------------------------------ telling */

static void tell(struct samples *samples, enum xipsec_event what,
		 const struct xipsec_sample *sample, const char *child)
{
	struct sadb_event event = {.event = what, .time = sample->time, .sample = *sample};
	char name[IF_NAMESIZE] = "";

	memcpy(event.child, child, sizeof(event.child));
	if (sample->ifindex && if_indextoname(sample->ifindex, name))
		memcpy(event.iface, name, sizeof(event.iface));
	samples->hooks->event(samples->ctx, &event);
}

static enum xipsec_event event_of(const struct xipsec_sample *sample)
{
	return reason_kind(sample->reason) == XIPSEC_KIND_DROP ? XIPSEC_EVENT_SAMPLE
							       : XIPSEC_EVENT_PASS;
}

/* The programs limit the rate of each child; several of them do not know of each other. */
static void acquire(struct samples *samples, const struct xipsec_sample *sample)
{
	__u64 now = now_ns();
	const char *child;

	if (sample->child >= XIPSEC_CHILDREN_MAX || sample->time + ACQUIRE_RECENT < now ||
	    samples->acquired[sample->child] + XIPSEC_ACQUIRE_GAP / 2 > now)
		return;
	child = child_name(samples, sample->child);
	if (!child[0])
		return;
	samples->acquired[sample->child] = now;
	tell(samples, XIPSEC_EVENT_ACQUIRE, sample, child);
}

static bool once_a_second(__u64 *at)
{
	__u64 now = now_ns();

	if (*at && now - *at < NS_A_SECOND)
		return false;
	*at = now;
	return true;
}

/* What IKE may tell the peer of: RFC 7296 1.5 and RFC 4301 5.2. Of a packet without an SA nothing
 * but where it came from: a restricted connection hears of it, and it may be anybody's. */
static void tell_ike(struct samples *samples, const struct xipsec_sample *sample)
{
	static const char none[XIPSEC_NAME_LEN];
	struct sadb_event event = {.event = XIPSEC_EVENT_NO_SA, .time = sample->time};

	if (sample->reason == XIPSEC_REASON_SELECTOR && sample->sa_generation &&
	    once_a_second(&samples->selectors_at))
		tell(samples, XIPSEC_EVENT_SELECTORS, sample, none);
	if (sample->reason != XIPSEC_REASON_NO_SA || !sample->spi || !sample->family ||
	    !once_a_second(&samples->no_sa_at))
		return;
	event.src = sample->src;
	event.dst = sample->dst;
	event.spi = sample->spi;
	event.family = sample->family;
	event.dir = XIPSEC_DIR_IN;
	samples->hooks->event(samples->ctx, &event);
}

void samples_program(struct samples *samples, const struct xipsec_sample *sample)
{
	static const char none[XIPSEC_NAME_LEN];
	bool out = sample->reason == XIPSEC_REASON_NO_SA_OUT;
	enum xipsec_event what = event_of(sample);

	if (out)
		acquire(samples, sample);
	else
		tell_ike(samples, sample);
	if (samples->hooks->wanted(samples->ctx, what))
		tell(samples, what, sample,
		     out && sample->child < XIPSEC_CHILDREN_MAX ? child_name(samples, sample->child)
								: none);
}

void samples_tell(struct samples *samples, const struct xipsec_sample *sample)
{
	static const char none[XIPSEC_NAME_LEN];
	struct xipsec_sample copy = *sample;

	if (copy.reason >= XIPSEC_REASON_COUNT || copy.captured > sizeof(copy.data))
		return;
	copy.worker = 1;
	copy.child = 0;
	tell_ike(samples, &copy);
	if (!samples->hooks->wanted(samples->ctx, event_of(&copy)))
		return;
	tell(samples, event_of(&copy), &copy, none);
}

void samples_tunnel(struct samples *samples, const struct xipsec_sample *sample, const char *tunnel,
		    bool acquire)
{
	struct xipsec_sample copy = *sample;
	char name[XIPSEC_NAME_LEN] = "";

	if (copy.captured > sizeof(copy.data))
		return;
	copy.worker = 1;
	copy.sa_generation = 0; /* nothing has sealed it */
	copy.ifindex = if_nametoindex(tunnel);
	strncpy(name, tunnel, sizeof(name) - 1);
	if (acquire)
		tell(samples, XIPSEC_EVENT_ACQUIRE, &copy, name);
	if (samples->hooks->wanted(samples->ctx, XIPSEC_EVENT_SAMPLE))
		tell(samples, XIPSEC_EVENT_SAMPLE, &copy, name);
}

/* ------------------------------------------------------------------ what is wanted */

/* ------------------------------------------------------------------ the ring buffer */

static int on_record(void *ctx, void *data, size_t size)
{
	struct xipsec_sample sample;

	if (size != sizeof(sample))
		return 0;
	memcpy(&sample, data, sizeof(sample));
	samples_program(ctx, &sample);
	return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct samples *samples = ctx;

	ring_buffer__consume(samples->ring);
}

static void samples_close(struct samples *samples)
{
	if (samples->readable)
		event_free(samples->readable);
	ring_buffer__free(samples->ring);
	if (samples->child_ids >= 0)
		close(samples->child_ids);
	samples->readable = NULL;
	samples->ring = NULL;
	samples->child_ids = -1;
	memset(samples->child, 0, XIPSEC_CHILDREN_MAX * sizeof(samples->child[0]));
	memset(samples->acquired, 0, sizeof(samples->acquired));
}

int samples_open(struct samples *samples, const struct datapath *dp)
{
	samples_close(samples);
	if (dp->events < 0)
		return 0;
	samples->child_ids = dup(dp->child_ids);
	samples->ring = ring_buffer__new(dp->events, on_record, samples, NULL);
	if (samples->child_ids < 0 || !samples->ring) {
		int err = -errno;

		samples_close(samples);
		return err;
	}
	samples->readable = event_new(samples->base, ring_buffer__epoll_fd(samples->ring),
				      EV_READ | EV_PERSIST, on_readable, samples);
	if (!samples->readable || event_add(samples->readable, NULL) < 0) {
		samples_close(samples);
		return -ENOMEM;
	}
	return 0;
}

struct samples *samples_new(struct event_base *base, const struct samples_hooks *hooks, void *ctx)
{
	struct samples *samples = calloc(1, sizeof(*samples));

	if (!samples)
		return NULL;
	samples->child = calloc(XIPSEC_CHILDREN_MAX, sizeof(samples->child[0]));
	if (!samples->child) {
		free(samples);
		return NULL;
	}
	samples->base = base;
	samples->hooks = hooks;
	samples->ctx = ctx;
	samples->child_ids = -1;
	return samples;
}

void samples_free(struct samples *samples)
{
	if (!samples)
		return;
	samples_close(samples);
	free(samples->child);
	free(samples);
}
