/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs' twin (`xipsec explain`) beside those of harness.h, on the same maps. */
#ifndef TESTS_PROG_TWIN_H
#define TESTS_PROG_TWIN_H

#include "tests/prog/harness.h"
#include "xipsec/explain.h"

static struct xipsec_bpf *twin;

/* The object has these to tell what inner maps look like. */
static inline bool is_pattern(const char *name)
{
	return !strcmp(name, "spd_head") || !strcmp(name, "spd_buckets") ||
	       !strcmp(name, "spd_rules");
}

/* Behind harness_setup(). */
static inline void twin_load(void)
{
	struct bpf_map *map;

	twin = xipsec_bpf__open();
	assert_non_null(twin);
	*twin->rodata = *harness.skel->rodata;
	twin->rodata->explain = 1;
	bpf_object__for_each_map(map, twin->obj)
	{
		struct bpf_map *theirs =
			bpf_object__find_map_by_name(harness.skel->obj, bpf_map__name(map));

		if (!bpf_map__is_internal(map) && !is_pattern(bpf_map__name(map)))
			assert_int_equal(bpf_map__reuse_fd(map, bpf_map__fd(theirs)), 0);
	}
	if (xipsec_bpf__load(twin))
		fail_msg("the twin does not load");
}

static inline void twin_end(void)
{
	xipsec_bpf__destroy(twin);
}

static inline int twin_fd(enum prog prog)
{
	switch (prog) {
	case PROG_RED: return bpf_program__fd(twin->progs.xipsec_red);
	case PROG_BLACK: return bpf_program__fd(twin->progs.xipsec_black);
	default: return bpf_program__fd(twin->progs.xipsec_guard);
	}
}

/* What it says of one packet; it drops them all. */
static inline void twin_run(const char *name, enum prog prog, __u32 ifindex,
			    const struct packet *packet, struct run *run,
			    struct xipsec_explain *out)
{
	bool xdp = prog != PROG_GUARD;
	int err = xdp ? run_xdp(twin_fd(prog), ifindex, packet->data, packet->len, run)
		      : run_tc(twin_fd(prog), ifindex, packet->data, packet->len, run);

	if (err)
		fail_msg("%s: test run: %s", name, strerror(-err));
	if (run->action != (xdp ? XDP_DROP : TC_ACT_SHOT))
		fail_msg("%s: the twin answers %d", name, run->action);
	assert_true(run->out_len >= sizeof(*out));
	memcpy(out, run->out, sizeof(*out));
}

#endif
