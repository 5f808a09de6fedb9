// SPDX-License-Identifier: BSD-2-Clause
/* What is pinned and attached, for `xipsec status` and `xipsec policy`. Reads only, takes no lock.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "lib/cleanup.h"
#include "lib/config.h"
#include "lib/ethtool.h"
#include "lib/log.h"
#include "loader/confirm.h"
#include "loader/describe.h"
#include "loader/enforce.h"
#include "loader/hits.h"
#include "loader/hook_nft.h"
#include "loader/session.h"
#include "loader/spd.h"
#include "loader/spd_names.h"
#include "loader/taps.h"
#include "xipsec/loader.h"

/* The programs' counters of reasons, of all CPUs. */
void describe_sum_reasons(int map, struct xipsec_counter *out)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct xipsec_counter *values = NULL;
	__u32 zero = 0;

	if (cpus <= 0)
		return;
	values = calloc((size_t)cpus, sizeof(struct xipsec_reasons));
	if (!values || bpf_map_lookup_elem(map, &zero, values))
		return;
	for (int i = 0; i < cpus * XIPSEC_REASON_MAX; i++) {
		out[i % XIPSEC_REASON_MAX].packets += values[i].packets;
		out[i % XIPSEC_REASON_MAX].bytes += values[i].bytes;
	}
}

void describe_sum_flows(int map, struct xipsec_flow_stats *out)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct xipsec_flow_stats *values = NULL;
	__u32 zero = 0;

	values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	if (!values || bpf_map_lookup_elem(map, &zero, values))
		return;
	for (int i = 0; i < cpus; i++) {
		out->hits += values[i].hits;
		out->misses += values[i].misses;
	}
}

int describe_workers(const struct datapath *dp, struct loader_status *status)
{
	size_t size = 0, stride = 0;
	char *at = datapath_mmap(dp->worker_stats, &size, &stride);

	if (!at)
		return -errno;
	status->worker = calloc(XIPSEC_WORKERS_MAX, sizeof(*status->worker));
	for (unsigned int i = 0; status->worker && i < XIPSEC_WORKERS_MAX; i++) {
		struct xipsec_worker_stats *worker = &status->worker[i];

		memcpy(worker, at + i * stride, sizeof(*worker));
		if (worker->starts || worker->pid)
			status->n_workers = i + 1;
		for (unsigned int r = 0; r < XIPSEC_REASON_MAX; r++) {
			status->workers[r].packets += worker->reason[r].packets;
			status->workers[r].bytes += worker->reason[r].bytes;
		}
	}
	munmap(at, size);
	return status->worker ? 0 : -ENOMEM;
}

static bool is_exempt(const struct config *config, const struct iflist_entry *link)
{
	for (unsigned int i = 0; i < config->n_exempt; i++) {
		if (!strcmp(config->exempt[i], link->name))
			return true;
	}
	return link->loopback || taps_is_ours(config, link->name);
}

/* Without XDP: what nothing leaves by, or comes in by. */
static unsigned int tc_main(enum xipsec_role role)
{
	return role == XIPSEC_ROLE_PROTECTED ? TC_REDTC : TC_GUARD;
}

static void read_tc(const struct generation *gen, unsigned int ifindex, unsigned int place,
		    struct loader_hook *hook)
{
	struct tc_state tc = {0};

	tc_query_place(ifindex, &tc_place[place], &tc);
	snprintf(hook->kind, sizeof(hook->kind), "%s", tc_kind_name(tc.kind));
	hook->prog_id = tc.prog_id;
	hook->current = gen && tc.prog_id && tc.prog_id == session_prog_id(gen->tc[place]);
}

/* What is at the hooks. gen NULL: there is none of our ABI. */
static void read_hooks(const struct generation *gen, struct loader_iface *iface)
{
	struct xdp_state xdp = {0};
	const char *kind;

	xdp_query(iface->ifindex, &xdp);
	kind = xdp.dispatcher ? "dispatcher" : xdp_mode_name(xdp.mode);
	snprintf(iface->xdp.kind, sizeof(iface->xdp.kind), "%s",
		 xdp.role == iface->role ? kind : xdp_mode_name(XDP_MODE_OFF));
	iface->xdp.prog_id = xdp.role == iface->role ? xdp.prog_id : 0;
	iface->xdp.current = gen && enforce_runs(gen, iface->role, &xdp);
	read_tc(gen, iface->ifindex, tc_main(iface->role), &iface->tc);
	read_tc(gen, iface->ifindex, tc_behind(iface->role), &iface->tc_in);
}

static void find_fault(const struct generation *gen, bool on_record, struct loader_iface *iface)
{
	char *fault = iface->fault;
	size_t size = sizeof(iface->fault);

	if (!iface->role) {
		if (iface->up && !iface->exempt)
			snprintf(fault, size,
				 "is up and has no role: attach it, or name it in "
				 "`exempt`");
	} else if (!iface->ifindex) {
		return; /* what does not exist passes nothing */
	} else if (!iface->xdp.prog_id) {
		snprintf(fault, size, "its XDP program %s is missing: `xipsec attach %s --role %s`",
			 xdp_prog_name(iface->role), iface->name, role_name(iface->role));
	} else if (!iface->tc.prog_id || !iface->tc_in.prog_id) {
		unsigned int place = iface->tc.prog_id ? tc_behind(iface->role)
						       : tc_main(iface->role);

		snprintf(fault, size, "its TC program %s is missing: `xipsec attach %s --role %s`",
			 tc_place[place].prog_name, iface->name, role_name(iface->role));
	} else if (!on_record) {
		snprintf(fault, size,
			 "runs our programs and is not on record (renamed, or its attach was "
			 "killed): made anew it would be open: `xipsec attach %s --role %s`",
			 iface->name, role_name(iface->role));
	} else if (iface->queues > XIPSEC_QUEUES_MAX) {
		snprintf(iface->note, sizeof(iface->note),
			 "packets of its receive queues from the %dth on are dropped: `ethtool -L "
			 "%s combined %d`",
			 XIPSEC_QUEUES_MAX + 1, iface->name, XIPSEC_QUEUES_MAX);
	} else if (!gen) {
		/* What runs enforces what it did: closed, but nobody can steer it. */
		snprintf(iface->note, sizeof(iface->note),
			 "its programs run, but their pins are gone or of another "
			 "version: `xipsec attach --all --upgrade`");
	} else if (!iface->xdp.current || !iface->tc.current || !iface->tc_in.current) {
		snprintf(iface->note, sizeof(iface->note),
			 "it runs programs of another generation: `xipsec attach %s "
			 "--role %s`",
			 iface->name, role_name(iface->role));
	}
}

/* Hooks that are in force let nothing pass, and what does not exist neither: so it is no fault yet.
 */
static void find_nft_note(const struct nft_table *nft, struct record *record,
			  struct loader_iface *iface)
{
	const struct record_entry *entry = record_find(record, iface->name);
	char *note = iface->note;
	size_t size = sizeof(iface->note);

	if (!entry || entry->role != XIPSEC_ROLE_UNPROTECTED || iface->fault[0] || note[0])
		return;
	if (nft->state == NFT_STATE_NONE)
		snprintf(note, size,
			 "nftables does not work here: made anew, it has no guard until xipsecd "
			 "has attached it");
	else if (nft->state != NFT_STATE_WHOLE || !hook_nft_has_name(nft, iface->name))
		snprintf(note, size,
			 "made anew, it would have no guard: the nftables table " HOOK_NFT_TABLE
			 " %s: `xipsec attach --all`",
			 nft->state == NFT_STATE_ABSENT    ? "is gone"
			 : nft->state == NFT_STATE_CHANGED ? "was changed"
							   : "lacks it");
	else if (iface->ifindex && !hook_nft_has_index(nft, iface->ifindex))
		snprintf(note, size,
			 "closed by nftables: the table " HOOK_NFT_TABLE
			 " lacks its index: `xipsec attach --all`");
}

static void describe_link(const struct config *config, const struct generation *gen,
			  struct record *record, const struct iflist_entry *link,
			  struct loader_iface *iface)
{
	struct record_entry *entry = record_find(record, link->name);
	struct xipsec_iface known = {0};
	int queues = ethtool_queues(link->name);

	snprintf(iface->name, sizeof(iface->name), "%s", link->name);
	ethtool_driver(link->name, iface->driver);
	iface->ifindex = link->ifindex;
	iface->up = link->up;
	iface->mtu = link->mtu;
	iface->queues = queues > 0 ? (__u32)queues : 1;
	iface->exempt = is_exempt(config, link);
	iface->role = session_role_of(link);
	if (!iface->role && entry)
		iface->role = entry->role;
	if (gen && !bpf_map_lookup_elem(gen->dp.ifaces, &link->ifindex, &known) && known.vlan) {
		iface->exempt = 1;
		snprintf(iface->note, sizeof(iface->note),
			 "a VLAN on %.15s, whose programs see its frames", known.name);
	} else if (known.role) {
		iface->role = known.role;
		iface->slot = known.slot;
	}
	strcpy(iface->xdp.kind, "none");
	strcpy(iface->tc.kind, "none");
	strcpy(iface->tc_in.kind, "none");
	if (iface->role)
		read_hooks(gen, iface);
	find_fault(gen, entry != NULL, iface);
}

/* An extension is lent no CPUMAP (bpf/xipsec.bpf.c, spread()). */
static void find_spread_note(const struct loader_status *status, struct loader_iface *iface)
{
	if (iface->role != XIPSEC_ROLE_UNPROTECTED || iface->fault[0] || iface->note[0] ||
	    strcmp(iface->xdp.kind, "dispatcher") != 0 ||
	    !status->programs[XIPSEC_REASON_XFRM_IN].packets)
		return;
	snprintf(iface->note, sizeof(iface->note),
		 "in libxdp's dispatcher: SAs of engine xfrm are opened on the CPU that receives, "
		 "not spread");
}

static int read_ifaces(const struct config *config, const struct generation *gen,
		       const struct nft_table *nft, struct loader_status *status)
{
	_cleanup_free_ struct iflist_entry *links = NULL;
	struct record record = {0};
	unsigned int n = 0;
	int err = iflist_get(&links, &n);

	if (!err)
		err = record_read(config->run_dir, &record);
	if (err)
		return err;
	status->iface = calloc(n + record.n + 1, sizeof(*status->iface));
	if (!status->iface)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		describe_link(config, gen, &record, &links[i], &status->iface[i]);
	status->n_ifaces = n;
	for (unsigned int i = 0; i < record.n; i++) {
		struct loader_iface *iface = &status->iface[status->n_ifaces];
		bool there = false;

		for (unsigned int k = 0; k < n; k++)
			there = there || !strcmp(links[k].name, record.entry[i].name);
		if (there)
			continue;
		snprintf(iface->name, sizeof(iface->name), "%s", record.entry[i].name);
		strcpy(iface->xdp.kind, "none");
		strcpy(iface->tc.kind, "none");
		strcpy(iface->tc_in.kind, "none");
		iface->role = record.entry[i].role;
		status->n_ifaces++;
	}
	for (unsigned int i = 0; i < status->n_ifaces; i++)
		find_nft_note(nft, &record, &status->iface[i]);
	for (unsigned int i = 0; i < status->n_ifaces; i++)
		find_spread_note(status, &status->iface[i]);
	for (unsigned int i = 0; i < status->n_ifaces; i++)
		status->unsafe += status->iface[i].fault[0] != 0;
	return 0;
}

static bool dev_attached(const struct datapath *dp, __u16 dev)
{
	struct xipsec_iface iface;
	__u32 ifindex, next;
	bool first = true;

	while (!bpf_map_get_next_key(dp->ifaces, first ? NULL : &ifindex, &next)) {
		ifindex = next;
		first = false;
		if (!bpf_map_lookup_elem(dp->ifaces, &ifindex, &iface) && iface.dev == dev)
			return true;
	}
	return false;
}

void describe_special(const struct datapath *dp, const struct classifier *c,
		      struct loader_special *out)
{
	enum { UNKNOWN, THERE, MISSING };
	__u8 devs[1U << 16] = {0}; /* each is asked for once */

	memset(out, 0, sizeof(*out));
	for (__u32 i = 0; i < c->head->rules_end; i++) {
		const struct xipsec_spd_rule *rule = &c->rule[i];
		__u8 *dev = &devs[rule->dev];

		if (!classifier_lives(rule, c->head->generation))
			continue;
		if (rule->dev && *dev == UNKNOWN)
			*dev = dev_attached(dp, rule->dev) ? THERE : MISSING;
		out->waiting += *dev == MISSING;
		out->of_sas += !!(rule->origin & XIPSEC_RULE_OF_SA);
		out->standin += rule->origin && !(rule->origin & XIPSEC_RULE_OF_SA);
	}
}

/* Entries of a hash map. One that goes meanwhile begins the walk anew: it has an end all the same.
 */
static struct loader_room entries_room(int map)
{
	struct bpf_map_info info = {0};
	struct loader_room room = {0};
	__u32 len = sizeof(info);
	char key[64], next[64];

	if (bpf_obj_get_info_by_fd(map, &info, &len) || info.key_size > sizeof(key))
		return room;
	room.max = info.max_entries;
	while (room.used < room.max && !bpf_map_get_next_key(map, room.used ? key : NULL, next)) {
		memcpy(key, next, sizeof(key));
		room.used++;
	}
	return room;
}

void describe_room(const struct datapath *dp, struct loader_status *status)
{
	struct xipsec_iface iface;
	__u32 ifindex, next;
	bool first = true;

	status->sas = entries_room(dp->sad);
	status->children = (struct loader_room){datapath_children(dp), XIPSEC_CHILDREN_MAX};
	status->devs = (struct loader_room){datapath_devs(dp), XIPSEC_DEVS_MAX};
	status->links = entries_room(dp->ifaces);
	status->slots.max = XIPSEC_SLOTS_MAX;
	while (!bpf_map_get_next_key(dp->ifaces, first ? NULL : &ifindex, &next)) {
		ifindex = next;
		first = false;
		if (!bpf_map_lookup_elem(dp->ifaces, &ifindex, &iface) && !iface.vlan)
			status->slots.used++;
	}
}

static int read_generation(const struct generation *gen, struct loader_status *status)
{
	_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;

	status->attached = 1;
	if (!spd_memory_open(&gen->dp, &memory)) {
		status->spd_generation = memory.c.head->generation;
		status->n_rules = memory.c.head->n_rules;
		status->n_tables = memory.c.head->n_tables;
		describe_special(&gen->dp, &memory.c, &status->special);
		status->spd_bytes = spd_memory_bytes(&memory);
	}
	status->max_rules = hits_rules(gen->dp.spd_hits);
	describe_room(&gen->dp, status);
	describe_sum_reasons(gen->dp.reasons, status->programs);
	describe_sum_flows(gen->dp.flow_stats, &status->flows);
	return describe_workers(&gen->dp, status);
}

int loader_status(const struct config *config, struct loader_status **out)
{
	struct loader_status *status = calloc(1, sizeof(*status));
	struct generation gen;
	struct nft_table nft;
	struct xipsec_version version;
	char dir[320];
	int err, open;

	if (!status)
		return -ENOMEM;
	if (!datapath_current(config->pin_dir, status->generation)) {
		snprintf(dir, sizeof(dir), "%s/%s", config->pin_dir, status->generation);
		if (!datapath_abi(dir, &version)) {
			status->abi = version.abi;
			memcpy(status->release, version.release, sizeof(status->release));
		}
	}
	status->confirm = confirm_read(config->run_dir, &status->confirm_seconds);
	if (status->confirm == LOADER_CONFIRM_ORPHANED && !status->generation[0])
		status->confirm = LOADER_CONFIRM_NONE; /* detached since */
	session_quiet();
	open = generation_open(config->pin_dir, &gen);
	if (open == -EPERM || open == -EACCES) {
		log_error("%s: reading the pins needs root, or CAP_BPF and CAP_NET_ADMIN",
			  config->pin_dir);
		loader_status_free(status);
		return open;
	}
	hook_nft_read(&nft);
	snprintf(status->nft.state, sizeof(status->nft.state), "%s",
		 hook_nft_state_name(nft.state));
	status->nft.packets = nft.packets;
	status->nft.bytes = nft.bytes;
	err = open ? 0 : read_generation(&gen, status);
	if (!err)
		err = read_ifaces(config, open ? NULL : &gen, &nft, status);
	if (!open)
		generation_close(&gen);
	if (err) {
		log_error("reading the state: %s", strerror(-err));
		loader_status_free(status);
		return err;
	}
	*out = status;
	return 0;
}

void loader_status_free(struct loader_status *status)
{
	if (!status)
		return;
	free(status->worker);
	free(status->iface);
	free(status);
}

static void read_children(const struct datapath *dp, char (*child)[XIPSEC_NAME_LEN])
{
	char name[XIPSEC_NAME_LEN], next[XIPSEC_NAME_LEN];
	bool first = true;
	__u32 id;

	while (!bpf_map_get_next_key(dp->child_ids, first ? NULL : name, next)) {
		memcpy(name, next, sizeof(name));
		first = false;
		if (!bpf_map_lookup_elem(dp->child_ids, name, &id) && id < XIPSEC_CHILDREN_MAX)
			snprintf(child[id], sizeof(child[id]), "%.63s", name);
	}
}

static int by_priority(const void *a, const void *b)
{
	__u32 x = ((const struct loader_rule *)a)->rule.priority;
	__u32 y = ((const struct loader_rule *)b)->rule.priority;

	return x < y ? -1 : x > y;
}

static void read_hits(const struct datapath *dp, struct loader_policy *policy)
{
	_cleanup_hits_ struct hits hits = HITS_NONE;

	if (hits_open(dp->spd_hits, &hits))
		return;
	for (__u32 i = 0; i < policy->n_rules; i++)
		policy->rule[i].hits = hits_sum(&hits, policy->rule[i].number);
}

static void read_names(const struct datapath *dp, const char *gen_dir, struct loader_policy *policy)
{
	struct xipsec_globals globals = {0};
	_cleanup_free_ struct xipsec_spd_name *names = NULL;
	__u32 zero = 0, n = 0;

	bpf_map_lookup_elem(dp->globals, &zero, &globals);
	names = spd_names_read(gen_dir, &n);
	for (__u32 i = 0; i < policy->n_rules; i++) {
		struct loader_rule *rule = &policy->rule[i];

		if (rule->rule.policy < n &&
		    names[rule->rule.policy].spd_generation == globals.spd_generation)
			snprintf(rule->policy, sizeof(rule->policy), "%.63s",
				 names[rule->rule.policy].policy);
	}
}

/* What rules ask for by number: few names, so a list for each. */
static void read_devs(const struct datapath *dp, struct loader_policy *policy)
{
	char name[XIPSEC_IFNAME_LEN], next[XIPSEC_IFNAME_LEN];
	bool first = true, attached;
	__u32 id;

	while (!bpf_map_get_next_key(dp->dev_ids, first ? NULL : name, next)) {
		memcpy(name, next, sizeof(name));
		first = false;
		if (!name[0] || bpf_map_lookup_elem(dp->dev_ids, name, &id))
			continue;
		attached = dev_attached(dp, (__u16)id);
		for (__u32 i = 0; i < policy->n_rules; i++) {
			if (policy->rule[i].rule.dev != id)
				continue;
			memcpy(policy->rule[i].dev, name, sizeof(name));
			policy->rule[i].dev_attached = attached;
		}
	}
}

/* The rules of the generation that was read first: changes that come meanwhile do not show. */
static int read_rules(const struct datapath *dp, struct loader_policy *policy)
{
	_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;
	int err = spd_memory_open(dp, &memory);
	__u32 end;

	if (err)
		return err;
	policy->generation = __atomic_load_n(&memory.c.head->generation, __ATOMIC_ACQUIRE);
	policy->allow = memory.c.head->allow;
	policy->n_ethertypes = memory.c.head->n_ethertypes;
	memcpy(policy->ethertype, memory.c.head->ethertype, sizeof(policy->ethertype));
	end = memory.c.head->rules_end;
	policy->rule = calloc(end + 1, sizeof(policy->rule[0]));
	if (!policy->rule)
		return -ENOMEM;
	for (__u32 i = 0; i < end; i++) {
		struct loader_rule *to = &policy->rule[policy->n_rules];

		if (!classifier_lives(&memory.c.rule[i], policy->generation))
			continue;
		to->rule = memory.c.rule[i];
		to->number = i;
		policy->n_rules++;
	}
	qsort(policy->rule, policy->n_rules, sizeof(policy->rule[0]), by_priority);
	return 0;
}

int loader_policy(const struct config *config, struct loader_policy **out)
{
	struct loader_policy *policy = calloc(1, sizeof(*policy));
	struct datapath dp;
	char gen_dir[320];
	int err;

	if (!policy)
		return -ENOMEM;
	policy->child = calloc(XIPSEC_CHILDREN_MAX, sizeof(*policy->child));
	err = policy->child ? datapath_open(config->pin_dir, &dp) : -ENOMEM;
	if (err == -ENOENT)
		log_error("nothing is attached below %s: no policy is in force", config->pin_dir);
	else if (err == -EPROTO)
		log_error("the pins below %s are of another version: `xipsec attach --all "
			  "--upgrade`, or the xipsec of that version",
			  config->pin_dir);
	else if (err)
		log_error("%s: %s", config->pin_dir, strerror(-err));
	if (err)
		goto failed;
	err = read_rules(&dp, policy);
	if (!err) {
		read_hits(&dp, policy);
		read_devs(&dp, policy);
		read_children(&dp, policy->child);
		snprintf(gen_dir, sizeof(gen_dir), "%s/%s", config->pin_dir, dp.generation);
		read_names(&dp, gen_dir, policy);
	} else {
		log_error("reading the policies in force: %s", strerror(-err));
	}
	datapath_close(&dp);
	if (err)
		goto failed;
	*out = policy;
	return 0;
failed:
	loader_policy_free(policy);
	return err;
}

void loader_policy_free(struct loader_policy *policy)
{
	if (!policy)
		return;
	free(policy->child);
	free(policy->rule);
	free(policy);
}
