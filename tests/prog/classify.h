/* SPDX-License-Identifier: BSD-2-Clause */
/* The classifier alone (bpf/classify.bpf.c), loaded, with an SPD and a table of flows. */
#ifndef TESTS_PROG_CLASSIFY_H
#define TESTS_PROG_CLASSIFY_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "xipsec/explain.h"
#include "classify.skel.h"
#include "loader/hits.h"
#include "loader/spd.h"

#define CLASSIFY_FLOWS 65536

/* As bpf/spd.h has it. */
struct spd_found {
	__u32 generation;
	__u32 verdict;
	__u32 child;
	__u32 rule;
	__u32 tables;
	__u32 list;
};

struct classify {
	struct classify_bpf *skel;
	struct datapath dp; /* the maps that spd_switch() writes */
	struct spd_memory memory;
	struct xipsec_flow *flow; /* CLASSIFY_FLOWS */
	struct spd_found *answer; /* the same */
	__u64 *took;              /* the same, with CLASSIFY_TIMED */
};

static inline void classify_fail(const char *what)
{
	fprintf(stderr, "classify: %s: %s\n", what, strerror(errno));
	exit(1);
}

enum classify_how {
	CLASSIFY_CACHED,
	CLASSIFY_TABLES,
	CLASSIFY_NOTHING,
	CLASSIFY_TIMED, /* tables, and each flow's time */
	CLASSIFY_CLOCK, /* nothing, and its time */
};

/* With counters for so many rules. */
static inline void classify_load_counted(struct classify *c, __u32 flows, enum classify_how how,
					 __u32 rules)
{
	size_t size, stride;

	*c = (struct classify){.memory = SPD_MEMORY_NONE};
	c->skel = classify_bpf__open();
	if (!c->skel)
		classify_fail("open");
	c->skel->rodata->opt_flows = flows;
	c->skel->rodata->opt_empty = how == CLASSIFY_NOTHING || how == CLASSIFY_CLOCK;
	c->skel->rodata->opt_no_cache = how != CLASSIFY_CACHED;
	c->skel->rodata->hits_rules = rules;
	if (hits_make_room(c->skel->maps.spd_hits, rules))
		classify_fail("spd_hits");
	c->skel->rodata->opt_timed = how == CLASSIFY_TIMED || how == CLASSIFY_CLOCK;
	if (classify_bpf__load(c->skel))
		classify_fail("the program does not load (run as root)");
	c->dp.globals = bpf_map__fd(c->skel->maps.globals);
	c->dp.spd = bpf_map__fd(c->skel->maps.spd);
	c->dp.spd_buckets_of = bpf_map__fd(c->skel->maps.spd_buckets_of);
	c->dp.spd_rules_of = bpf_map__fd(c->skel->maps.spd_rules_of);
	c->dp.spd_hits = bpf_map__fd(c->skel->maps.spd_hits);
	c->flow = datapath_mmap(bpf_map__fd(c->skel->maps.flows), &size, &stride);
	c->took = datapath_mmap(bpf_map__fd(c->skel->maps.took), &size, &stride);
	c->answer = datapath_mmap(bpf_map__fd(c->skel->maps.answers), &size, &stride);
	if (!c->flow || !c->answer || !c->took || stride != sizeof(struct spd_found))
		classify_fail("mmap");
}

static inline void classify_load(struct classify *c, __u32 flows, enum classify_how how)
{
	classify_load_counted(c, flows, how, XIPSEC_RULES_DEFAULT);
}

/* Builds, switches, keeps the memory open. */
static inline void classify_spd(struct classify *c, struct xipsec_spd_rule *rule, __u32 n)
{
	struct spd_source source = {
		.rule = rule, .n_rules = n, .counted = c->skel->rodata->hits_rules};
	struct spd_memory memory;
	__u32 generation;

	if (spd_build(bpf_object__btf(c->skel->obj), &source, &memory) ||
	    spd_switch(&c->dp, &memory, &generation))
		classify_fail("the SPD cannot be made");
	spd_memory_close(&c->memory);
	c->memory = memory;
}

/* n flows from number `from` on, once each; ns a flow. */
static inline __u32 classify_run_from(struct classify *c, __u32 from, __u32 n)
{
	static char frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = (int)n);

	c->skel->bss->run_number = from;
	if (bpf_prog_test_run_opts(bpf_program__fd(c->skel->progs.classify), &opts))
		classify_fail("test run");
	return opts.duration;
}

static inline __u32 classify_run(struct classify *c, __u32 n)
{
	return classify_run_from(c, 0, n);
}

static inline void classify_end(struct classify *c)
{
	spd_memory_close(&c->memory);
	classify_bpf__destroy(c->skel);
}

#endif
