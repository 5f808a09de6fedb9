/* SPDX-License-Identifier: BSD-2-Clause */
/* The maps of include/xipsec/maps.h, in the order of its table. */
#ifndef BPF_MAPS_H
#define BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "xipsec/maps.h"
#include "xipsec/meta.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xipsec_version);
} version SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xipsec_globals);
} globals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xipsec_passed);
} pass_key SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XIPSEC_IFACES_MAX);
	__type(key, __u32);
	__type(value, struct xipsec_iface);
} ifaces SEC(".maps");

/*
 * One SPD is three maps of its own, as large as it needs: so these are only the patterns of what
 * the outer maps take (BPF_F_INNER_MAP: any number of entries).
 */
struct spd_head {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xipsec_spd);
} spd_head SEC(".maps");

struct spd_buckets {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	__type(key, __u32);
	__type(value, struct xipsec_spd_bucket);
} spd_buckets SEC(".maps");

struct spd_rules {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	__type(key, __u32);
	__type(value, struct xipsec_spd_rule);
} spd_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct spd_head);
} spd SEC(".maps") = {.values = {[0] = &spd_head}};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct spd_buckets);
} spd_buckets_of SEC(".maps") = {.values = {[0] = &spd_buckets}};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct spd_rules);
} spd_rules_of SEC(".maps") = {.values = {[0] = &spd_rules}};

/* Of each CPU as many as max_rules says, behind those of the CPU before: loader/hits.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XIPSEC_RULES_DEFAULT);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xipsec_counter);
} spd_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XIPSEC_CACHED_SETS);
	__type(key, __u32);
	__type(value, struct xipsec_cached_set);
} flow_cache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xipsec_flow_stats);
} flow_stats SEC(".maps");

struct child_name {
	char name[XIPSEC_NAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XIPSEC_CHILDREN_MAX + 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct child_name);
	__type(value, __u32);
} child_ids SEC(".maps");

struct dev_name {
	char name[XIPSEC_IFNAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XIPSEC_DEVS_MAX + 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct dev_name);
	__type(value, __u32);
} dev_ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XIPSEC_CHILDREN_MAX);
	__type(key, __u32);
	__type(value, struct xipsec_child);
} children SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XIPSEC_SAS_DEFAULT);
	__type(key, struct xipsec_sad_key);
	__type(value, struct xipsec_sad_entry);
} sad SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XIPSEC_SAS_DEFAULT);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xipsec_peer_key);
	__type(value, struct xipsec_peer);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XIPSEC_SAS_DEFAULT);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xipsec_sa_state);
} sa_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XIPSEC_FRAGS_MAX);
	__type(key, struct xipsec_frag_key);
	__type(value, struct xipsec_frag);
} frags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XIPSEC_SLOTS_MAX *XIPSEC_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

/* As many as the machine may ever have; only what goes on at another CPU needs an entry. */
struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xipsec_reasons);
} reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XIPSEC_WORKERS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xipsec_worker_stats);
} worker_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, XIPSEC_EVENTS_SIZE);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XIPSEC_REASON_MAX);
	__type(key, __u32);
	__type(value, struct xipsec_gate);
} sample_gates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XIPSEC_CHILDREN_MAX);
	__type(key, __u32);
	__type(value, struct xipsec_gate);
} acquire_gates SEC(".maps");

#endif
