// SPDX-License-Identifier: BSD-2-Clause
#include "loader/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/log.h"
#include "lib/reason.h"
#include "loader/datapath.h"
#include "loader/describe.h"
#include "loader/hits.h"
#include "loader/session.h"
#include "loader/spd.h"
#include "xipsec/sadb.h"

/* ------------------------------------------------------------------ reading */

static int read_maps(struct metrics_view *view, const struct datapath *dp)
{
	_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;
	struct loader_status status = {0};
	int err;

	describe_sum_reasons(dp->reasons, view->programs);
	describe_sum_flows(dp->flow_stats, &view->flows);
	err = describe_workers(dp, &status);
	if (err)
		return err;
	view->worker = status.worker;
	view->n_workers = status.n_workers;
	if (!spd_memory_open(dp, &memory)) {
		view->n_tables = memory.c.head->n_tables;
		describe_special(dp, &memory.c, &view->special);
		view->spd_bytes = spd_memory_bytes(&memory);
	}
	view->max_rules = hits_rules(dp->spd_hits);
	describe_room(dp, &status);
	view->sas = status.sas;
	view->children = status.children;
	view->slots = status.slots;
	view->attached = 1;
	return 0;
}

int metrics_open(const struct config *config, const struct loader_metrics_daemon *daemon,
		 struct metrics_view **out)
{
	struct metrics_view *view = calloc(1, sizeof(*view));
	struct datapath dp;
	int err;

	if (!view)
		return -ENOMEM;
	view->config = config;
	if (daemon)
		view->daemon = *daemon;
	err = datapath_open(config->pin_dir, &dp);
	if (!err) {
		err = read_maps(view, &dp);
		datapath_close(&dp);
	} else if (err == -ENOENT || err == -EPROTO) {
		*out = view;
		return 0;
	}
	if (!err)
		err = loader_policy(config, &view->policy);
	if (err) {
		metrics_close(view);
		return err;
	}
	*out = view;
	return 0;
}

void metrics_close(struct metrics_view *view)
{
	if (!view)
		return;
	free(view->worker);
	loader_policy_free(view->policy);
	free(view);
}

/* ------------------------------------------------------------------ words */

/* A label's value between quotes, escaped as OpenMetrics wants. */
static void put_value(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
	}
}

static void label(FILE *out, const char *front, const char *name, const char *value)
{
	fprintf(out, "%s%s=\"", front, name);
	put_value(out, value);
	putc('"', out);
}

static void end(FILE *out, unsigned long long value)
{
	fprintf(out, "} %llu\n", value);
}

static void plain(FILE *out, const char *name, unsigned long long value)
{
	fprintf(out, "%s %llu\n", name, value);
}

/* ------------------------------------------------------------------ families */

struct family {
	const char *name;
	const char *type;
	const char *help;
	void (*write)(struct metrics_view *view, const struct family *family, FILE *out);
	int what; /* which of several counters `write` takes */
};

enum { PACKETS, BYTES };

static void write_build(struct metrics_view *view, const struct family *family, FILE *out)
{
	fprintf(out, "%s_info", family->name);
	label(out, "{", "version", XIPSEC_VERSION);
	fprintf(out, ",abi=\"%u\"", XIPSEC_ABI);
	end(out, 1);
}

static void write_attached(struct metrics_view *view, const struct family *family, FILE *out)
{
	plain(out, family->name, view->attached);
}

static void write_daemon(struct metrics_view *view, const struct family *family, FILE *out)
{
	plain(out, family->name, view->daemon.runs);
}

static void one_reason(const struct family *family, FILE *out, unsigned int reason, const char *by,
		       const struct xipsec_counter *counter)
{
	fprintf(out, "%s_total", family->name);
	label(out, "{", "reason", reason_name(reason));
	label(out, ",", "kind", reason_kind_name(reason));
	label(out, ",", "by", by);
	end(out, family->what == PACKETS ? counter->packets : counter->bytes);
}

/* Every reason, also those that are zero: a rate needs a first value. */
static void write_reasons(struct metrics_view *view, const struct family *family, FILE *out)
{
	for (unsigned int reason = 0; view->attached && reason < XIPSEC_REASON_COUNT; reason++) {
		struct xipsec_counter workers = {0};

		for (unsigned int i = 0; i < view->n_workers; i++) {
			workers.packets += view->worker[i].reason[reason].packets;
			workers.bytes += view->worker[i].reason[reason].bytes;
		}
		one_reason(family, out, reason, "program", &view->programs[reason]);
		one_reason(family, out, reason, "worker", &workers);
	}
}

enum {
	SPD_GENERATION,
	SPD_RULES,
	SPD_MAX,
	SPD_WAITING,
	SPD_STANDIN,
	SPD_OF_SAS,
	SPD_TABLES,
	SPD_TABLES_MAX,
	SPD_MEMORY
};

static void write_spd(struct metrics_view *view, const struct family *family, FILE *out)
{
	if (!view->policy)
		return;
	switch (family->what) {
	case SPD_GENERATION: plain(out, family->name, view->policy->generation); break;
	case SPD_RULES: plain(out, family->name, view->policy->n_rules); break;
	case SPD_MAX: plain(out, family->name, view->max_rules); break;
	case SPD_WAITING: plain(out, family->name, view->special.waiting); break;
	case SPD_STANDIN: plain(out, family->name, view->special.standin); break;
	case SPD_OF_SAS: plain(out, family->name, view->special.of_sas); break;
	case SPD_TABLES: plain(out, family->name, view->n_tables); break;
	case SPD_TABLES_MAX: plain(out, family->name, XIPSEC_TABLES_MAX); break;
	default: plain(out, family->name, view->spd_bytes);
	}
}

enum { FLOW_HITS, FLOW_MISSES };

static void write_flows(struct metrics_view *view, const struct family *family, FILE *out)
{
	const struct xipsec_flow_stats *flows = &view->flows;

	if (!view->attached)
		return;
	fprintf(out, "%s_total %llu\n", family->name,
		(unsigned long long)(family->what == FLOW_HITS ? flows->hits : flows->misses));
}

static unsigned long long hits_of(const struct loader_rule *rule, const struct family *family)
{
	return family->what == PACKETS ? rule->hits.packets : rule->hits.bytes;
}

/* child: NULL, of rules of the config. */
static void put_policy(const struct family *family, const struct loader_rule *like,
		       const char *child, unsigned long long sum, FILE *out)
{
	static const char *const actions[] = {"discard", "bypass", "protect", "unknown"};
	static const char *const dirs[] = {"none", "out", "in", "both"};

	fprintf(out, "%s_total", family->name);
	label(out, "{", "policy", like->policy);
	label(out, ",", "action", actions[like->rule.action & 3]);
	label(out, ",", "direction", dirs[like->rule.dirs & 3]);
	if (child)
		label(out, ",", "child", child);
	end(out, sum);
}

/* Those of the config stand together, by policies: a line for each action and direction of one. */
static __u32 put_policy_sums(const struct loader_policy *policy, __u32 at,
			     const struct family *family, FILE *out)
{
	const struct loader_rule *first = NULL, *like[4][4] = {0};
	unsigned long long sum[4][4] = {0};

	for (; at < policy->n_rules; at++) {
		const struct loader_rule *rule = &policy->rule[at];
		__u32 action = rule->rule.action & 3, dirs = rule->rule.dirs & 3;

		if (rule->rule.origin & XIPSEC_RULE_OF_SA)
			continue;
		if (first && strcmp(rule->policy, first->policy) != 0)
			break;
		first = rule;
		like[action][dirs] = rule;
		sum[action][dirs] += hits_of(rule, family);
	}
	for (unsigned int i = 0; i < 16; i++)
		if (like[i / 4][i % 4])
			put_policy(family, like[i / 4][i % 4], NULL, sum[i / 4][i % 4], out);
	return at;
}

static int by_child(const void *a, const void *b)
{
	const struct loader_rule *x = *(struct loader_rule *const *)a,
				 *y = *(struct loader_rule *const *)b;
	int policy = strcmp(x->policy, y->policy);
	__u32 left[] = {x->rule.child, x->rule.action, x->rule.dirs},
	      right[] = {y->rule.child, y->rule.action, y->rule.dirs};

	for (unsigned int i = 0; !policy && i < 3; i++)
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	return policy;
}

/* Those of SAs have lines of their own, that end with the SA: what a policy counted does not sink.
 */
static void put_policies_of_sas(const struct loader_policy *policy, const struct family *family,
				FILE *out)
{
	const struct loader_rule **list = calloc(policy->n_rules + 1, sizeof(const void *));
	__u32 n = 0, next;

	for (__u32 i = 0; list && i < policy->n_rules; i++)
		if (policy->rule[i].rule.origin & XIPSEC_RULE_OF_SA)
			list[n++] = &policy->rule[i];
	if (n)
		qsort(list, n, sizeof(const void *), by_child);
	for (__u32 i = 0; i < n; i = next) {
		unsigned long long sum = 0;

		for (next = i; next < n && !by_child(&list[next], &list[i]); next++)
			sum += hits_of(list[next], family);
		put_policy(family, list[i],
			   policy->child[list[i]->rule.child % XIPSEC_CHILDREN_MAX], sum, out);
	}
	free(list);
}

static void write_rules(struct metrics_view *view, const struct family *family, FILE *out)
{
	const struct loader_policy *policy = view->policy;

	for (__u32 at = 0; policy && at < policy->n_rules;)
		at = put_policy_sums(policy, at, family, out);
	if (policy)
		put_policies_of_sas(policy, family, out);
}

enum {
	SA_LIVE,
	SA_PACKETS,
	SA_BYTES,
	SA_TFC,
	SA_DUMMIES,
	SA_DUMMY_BYTES,
	SA_SEQ,
	SA_LIMIT,
	SA_AGE,
	SA_IDLE,
};

static void put_sa(const struct sadb_sa_info *info, const char *name, FILE *out)
{
	fputs(name, out);
	label(out, "{", "sa", info->sa.name);
	label(out, ",", "child", info->sa.child);
	label(out, ",", "direction", info->sa.dir == XIPSEC_DIR_OUT ? "out" : "in");
	fprintf(out, ",spi=\"0x%08x\"", ntohl(info->sa.spi));
}

static bool sa_value(const struct sadb_sa_info *info, int what, unsigned long long *value)
{
	switch (what) {
	case SA_LIVE: *value = info->status == XIPSEC_SA_LIVE; return true;
	case SA_PACKETS: *value = info->packets; return true;
	case SA_BYTES: *value = info->bytes; return true;
	case SA_TFC: *value = info->tfc_bytes; return true;
	case SA_DUMMIES: *value = info->dummies; return true;
	case SA_DUMMY_BYTES: *value = info->dummy_bytes; return true;
	case SA_SEQ: *value = info->seq; return true;
	case SA_LIMIT: *value = info->seq_limit; return info->sa.dir == XIPSEC_DIR_OUT;
	case SA_AGE: *value = info->age; return true;
	case SA_IDLE: *value = info->idle; return info->idle != ~0ULL;
	default: return false;
	}
}

static void write_sas(struct metrics_view *view, const struct family *family, FILE *out)
{
	bool counter = !strcmp(family->type, "counter");
	const struct loader_metrics_daemon *daemon = &view->daemon;
	unsigned long long value;
	struct sadb_sa_info info;
	char name[64];

	snprintf(name, sizeof(name), "%s%s", family->name, counter ? "_total" : "");
	for (void *at = NULL; daemon->next_sa && daemon->next_sa(daemon->ctx, &at, &info);) {
		if (!sa_value(&info, family->what, &value))
			continue;
		put_sa(&info, name, out);
		end(out, value);
	}
}

/* Those that have happened: all of them of each SA would be a page a packet. */
static void write_sa_drops(struct metrics_view *view, const struct family *family, FILE *out)
{
	const struct loader_metrics_daemon *daemon = &view->daemon;
	struct sadb_sa_info info;
	char name[64];

	snprintf(name, sizeof(name), "%s_total", family->name);
	for (void *at = NULL; daemon->next_sa && daemon->next_sa(daemon->ctx, &at, &info);) {
		for (unsigned int reason = 0; reason < XIPSEC_REASON_COUNT; reason++) {
			if (!info.drops[reason])
				continue;
			put_sa(&info, name, out);
			label(out, ",", "reason", reason_name(reason));
			end(out, info.drops[reason]);
		}
	}
}

enum { ROOM_SAS_MAX, ROOM_CHILDREN, ROOM_CHILDREN_MAX, ROOM_SLOTS, ROOM_SLOTS_MAX };

static void write_room(struct metrics_view *view, const struct family *family, FILE *out)
{
	if (!view->attached)
		return;
	switch (family->what) {
	case ROOM_SAS_MAX: plain(out, family->name, view->sas.max); break;
	case ROOM_CHILDREN: plain(out, family->name, view->children.used); break;
	case ROOM_CHILDREN_MAX: plain(out, family->name, view->children.max); break;
	case ROOM_SLOTS: plain(out, family->name, view->slots.used); break;
	default: plain(out, family->name, view->slots.max);
	}
}

static void write_sa_count(struct metrics_view *view, const struct family *family, FILE *out)
{
	if (view->daemon.runs)
		plain(out, family->name, view->daemon.n_sas);
}

enum { WORKER_UP, WORKER_STARTS, WORKER_LOOPS, WORKER_IDLE, WORKER_RX, WORKER_TX };

static unsigned long long worker_value(const struct metrics_view *view, unsigned int i, int what)
{
	const struct xipsec_worker_stats *stats = &view->worker[i];

	switch (what) {
	case WORKER_UP: return i < view->daemon.n_workers && view->daemon.worker_pid[i] != 0;
	case WORKER_STARTS: return stats->starts;
	case WORKER_LOOPS: return stats->loops;
	case WORKER_IDLE: return stats->idle_loops;
	case WORKER_RX: return stats->rx_packets;
	default: return stats->tx_packets;
	}
}

static void write_workers(struct metrics_view *view, const struct family *family, FILE *out)
{
	bool counter = !strcmp(family->type, "counter");

	for (unsigned int i = 0; i < view->n_workers; i++) {
		fprintf(out, "%s%s{worker=\"%u\"", family->name, counter ? "_total" : "", i);
		end(out, worker_value(view, i, family->what));
	}
}

static const struct family families[] = {
	{"xipsec_build", "info", "Version of the program that tells.", write_build, 0},
	{"xipsec_attached", "gauge", "1: a generation of this version is attached.", write_attached,
	 0},
	{"xipsec_xipsecd_up", "gauge", "1: xipsecd answers.", write_daemon, 0},
	{"xipsec_packets", "counter", "Packets by the reason that they ended with.", write_reasons,
	 PACKETS},
	{"xipsec_bytes", "counter", "Bytes of these packets.", write_reasons, BYTES},
	{"xipsec_spd_generation", "gauge", "Number of the policies in force.", write_spd,
	 SPD_GENERATION},
	{"xipsec_spd_rules", "gauge", "Rules in force.", write_spd, SPD_RULES},
	{"xipsec_spd_rules_max", "gauge", "Rules that there is room for.", write_spd, SPD_MAX},
	{"xipsec_spd_rules_waiting", "gauge",
	 "Rules that ask for an interface which is not attached.", write_spd, SPD_WAITING},
	{"xipsec_spd_rules_standin", "gauge",
	 "Rules that discard until an SA makes an address known.", write_spd, SPD_STANDIN},
	{"xipsec_spd_rules_of_sas", "gauge", "Rules that came with SAs that make an address known.",
	 write_spd, SPD_OF_SAS},
	{"xipsec_spd_tables", "gauge", "Tables of the classifier.", write_spd, SPD_TABLES},
	{"xipsec_spd_tables_max", "gauge", "Tables that there is room for.", write_spd,
	 SPD_TABLES_MAX},
	{"xipsec_spd_memory_bytes", "gauge", "Memory of the policies in force.", write_spd,
	 SPD_MEMORY},
	{"xipsec_flow_cache_hits", "counter", "Look-ups that the flow cache answered.", write_flows,
	 FLOW_HITS},
	{"xipsec_flow_cache_misses", "counter", "Look-ups that went through the tables.",
	 write_flows, FLOW_MISSES},
	{"xipsec_policy_packets", "counter",
	 "Packets that a policy decided, since its rules came; with a child: that came with its "
	 "SA.",
	 write_rules, PACKETS},
	{"xipsec_policy_bytes", "counter", "Bytes of these packets.", write_rules, BYTES},
	{"xipsec_sas", "gauge", "SAs that are installed.", write_sa_count, 0},
	{"xipsec_sas_max", "gauge", "SAs that there is room for.", write_room, ROOM_SAS_MAX},
	{"xipsec_children", "gauge", "Names of children since the generation began.", write_room,
	 ROOM_CHILDREN},
	{"xipsec_children_max", "gauge", "Names of children that there is room for.", write_room,
	 ROOM_CHILDREN_MAX},
	{"xipsec_interfaces", "gauge", "Interfaces with a role.", write_room, ROOM_SLOTS},
	{"xipsec_interfaces_max", "gauge", "Interfaces that there is room for.", write_room,
	 ROOM_SLOTS_MAX},
	{"xipsec_sa_live", "gauge", "1: the SA is live; 0: stopped, or refused by a worker.",
	 write_sas, SA_LIVE},
	{"xipsec_sa_packets", "counter", "Packets sealed, or opened and accepted.", write_sas,
	 SA_PACKETS},
	{"xipsec_sa_bytes", "counter", "Inner bytes of these packets.", write_sas, SA_BYTES},
	{"xipsec_sa_tfc_bytes", "counter",
	 "Padding behind these packets that hides their lengths: added (out), taken off (in).",
	 write_sas, SA_TFC},
	{"xipsec_sa_dummies", "counter", "Dummy packets sent (out), received and dropped (in).",
	 write_sas, SA_DUMMIES},
	{"xipsec_sa_dummy_bytes", "counter", "Bytes that dummy packets carried.", write_sas,
	 SA_DUMMY_BYTES},
	{"xipsec_sa_drops", "counter", "Packets of the SA that were dropped, by reason.",
	 write_sa_drops, 0},
	{"xipsec_sa_sequence", "gauge", "Last number used (out), highest received (in).", write_sas,
	 SA_SEQ},
	{"xipsec_sa_sequence_limit", "gauge", "Last number that may be used now.", write_sas,
	 SA_LIMIT},
	{"xipsec_sa_age_seconds", "gauge", "Time since it was installed.", write_sas, SA_AGE},
	{"xipsec_sa_idle_seconds", "gauge", "Time since its last packet.", write_sas, SA_IDLE},
	{"xipsec_worker_up", "gauge", "1: the worker runs.", write_workers, WORKER_UP},
	{"xipsec_worker_starts", "counter", "Times that the worker was started.", write_workers,
	 WORKER_STARTS},
	{"xipsec_worker_loops", "counter", "Rounds of its main loop.", write_workers, WORKER_LOOPS},
	{"xipsec_worker_idle_loops", "counter", "Of these, rounds without a packet.", write_workers,
	 WORKER_IDLE},
	{"xipsec_worker_rx_packets", "counter", "Packets taken from its receive rings.",
	 write_workers, WORKER_RX},
	{"xipsec_worker_tx_packets", "counter", "Packets given to its transmit rings.",
	 write_workers, WORKER_TX},
};

unsigned int metrics_families(void)
{
	return sizeof(families) / sizeof(families[0]);
}

void metrics_write(struct metrics_view *view, unsigned int family, FILE *out)
{
	const struct family *one = &families[family];
	size_t len = strlen(one->name);
	bool bytes = len > 6 && !strcmp(one->name + len - 6, "_bytes");
	bool seconds = len > 8 && !strcmp(one->name + len - 8, "_seconds");

	fprintf(out, "# TYPE %s %s\n", one->name, one->type);
	if (bytes || seconds)
		fprintf(out, "# UNIT %s %s\n", one->name, bytes ? "bytes" : "seconds");
	fprintf(out, "# HELP %s %s\n", one->name, one->help);
	one->write(view, one, out);
}

int loader_metrics(const struct config *config, const struct loader_metrics_daemon *daemon,
		   char **text)
{
	struct metrics_view *view;
	char *made = NULL;
	size_t len;
	FILE *out;
	int err;

	session_quiet();
	err = metrics_open(config, daemon, &view);
	if (err) {
		log_error("reading the counters: %s", strerror(-err));
		return err;
	}
	out = open_memstream(&made, &len);
	for (unsigned int i = 0; out && i < metrics_families(); i++)
		metrics_write(view, i, out);
	if (out)
		fputs(METRICS_END, out);
	metrics_close(view);
	if (!out || fclose(out)) {
		free(made);
		return -ENOMEM;
	}
	*text = made;
	return 0;
}
