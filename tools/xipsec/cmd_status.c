// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "lib/config.h"
#include "lib/log.h"
#include "lib/reason.h"
#include "lib/sadb_client.h"
#include "tools/xipsec/command.h"
#include "tools/xipsec/features_show.h"
#include "xipsec/loader.h"

static const char *role_text(__u32 role)
{
	return role == XIPSEC_ROLE_PROTECTED     ? "protected"
	       : role == XIPSEC_ROLE_UNPROTECTED ? "unprotected"
						 : "none";
}

static const char *kind_text(enum xipsec_reason_kind kind)
{
	static const char *const names[] = {"pass", "steer", "done", "drop"};

	return names[kind];
}

static const char *confirm_text(enum loader_confirm_state state)
{
	static const char *const names[] = {"none", "waits", "orphaned"};

	return names[state];
}

static bool daemon_answers(const struct config *config)
{
	int fd = sadb_connect(config->run_dir);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* ------------------------------------------------------------------ JSON (docs/json.md) */

static void put_u64(struct json_object *to, const char *name, __u64 value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static void put_text(struct json_object *to, const char *name, const char *value)
{
	json_object_object_add(to, name, json_object_new_string(value));
}

static void put_bool(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

static struct json_object *hook_json(const struct loader_hook *hook)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "kind", hook->kind);
	put_u64(to, "prog_id", hook->prog_id);
	put_bool(to, "current", hook->current);
	return to;
}

static struct json_object *iface_json(const struct loader_iface *iface)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "name", iface->name);
	put_u64(to, "ifindex", iface->ifindex);
	put_text(to, "role", role_text(iface->role));
	put_u64(to, "slot", iface->slot);
	put_bool(to, "up", iface->up);
	put_bool(to, "exempt", iface->exempt);
	put_text(to, "driver", iface->driver);
	put_u64(to, "mtu", iface->mtu);
	put_u64(to, "queues", iface->queues);
	json_object_object_add(to, "xdp", hook_json(&iface->xdp));
	json_object_object_add(to, "tc", hook_json(&iface->tc));
	json_object_object_add(to, "tc_in", hook_json(&iface->tc_in));
	put_text(to, "fault", iface->fault);
	put_text(to, "note", iface->note);
	return to;
}

static struct json_object *reason_json(unsigned int reason, const struct loader_status *status)
{
	const struct xipsec_counter *prog = &status->programs[reason];
	const struct xipsec_counter *work = &status->workers[reason];
	struct json_object *to = json_object_new_object();

	put_text(to, "name", reason_name(reason));
	put_text(to, "kind", kind_text(reason_kind(reason)));
	put_u64(to, "packets", prog->packets + work->packets);
	put_u64(to, "bytes", prog->bytes + work->bytes);
	put_u64(to, "program_packets", prog->packets);
	put_u64(to, "worker_packets", work->packets);
	return to;
}

static struct json_object *worker_json(unsigned int number, const struct xipsec_worker_stats *stats)
{
	struct json_object *to = json_object_new_object();

	put_u64(to, "worker", number);
	put_u64(to, "pid", stats->pid);
	put_u64(to, "starts", stats->starts);
	put_u64(to, "loops", stats->loops);
	put_u64(to, "idle_loops", stats->idle_loops);
	put_u64(to, "rx_packets", stats->rx_packets);
	put_u64(to, "tx_packets", stats->tx_packets);
	put_u64(to, "rx_fill", stats->rx_fill);
	put_u64(to, "tx_fill", stats->tx_fill);
	return to;
}

static void put_room(struct json_object *to, const char *name, const struct loader_room *room)
{
	struct json_object *of = json_object_new_object();

	put_u64(of, "used", room->used);
	put_u64(of, "max", room->max);
	json_object_object_add(to, name, of);
}

static struct json_object *limits_json(const struct loader_status *status)
{
	const struct loader_room rules = {status->n_rules, status->max_rules},
				 tables = {status->n_tables, XIPSEC_TABLES_MAX};
	struct json_object *to = json_object_new_object();

	put_room(to, "rules", &rules);
	put_room(to, "tables", &tables);
	put_room(to, "sas", &status->sas);
	put_room(to, "children", &status->children);
	put_room(to, "interfaces", &status->slots);
	put_room(to, "interfaces_and_vlans", &status->links);
	put_room(to, "devs", &status->devs);
	return to;
}

static struct json_object *nft_json(const struct loader_nft *nft)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "state", nft->state);
	put_u64(to, "packets", nft->packets);
	put_u64(to, "bytes", nft->bytes);
	return to;
}

static void print_json(const struct config *config, const struct loader_status *status)
{
	struct json_object *top = json_object_new_object(), *list;

	put_text(top, "version", XIPSEC_VERSION);
	put_u64(top, "abi", XIPSEC_ABI);
	put_bool(top, "attached", status->attached);
	put_u64(top, "pinned_abi", status->abi);
	put_text(top, "pinned_version", status->release);
	put_text(top, "generation", status->generation);
	put_text(top, "pin_dir", config->pin_dir);
	put_bool(top, "xipsecd", daemon_answers(config));
	put_u64(top, "spd_generation", status->spd_generation);
	put_u64(top, "rules", status->n_rules);
	put_u64(top, "max_rules", status->max_rules);
	put_u64(top, "tables", status->n_tables);
	put_u64(top, "rules_waiting", status->special.waiting);
	put_u64(top, "rules_standin", status->special.standin);
	put_u64(top, "rules_of_sas", status->special.of_sas);
	put_u64(top, "spd_bytes", status->spd_bytes);
	put_u64(top, "cache_hits", status->flows.hits);
	put_u64(top, "cache_misses", status->flows.misses);
	json_object_object_add(top, "limits", limits_json(status));
	put_bool(top, "safe", !status->unsafe);
	put_text(top, "confirm", confirm_text(status->confirm));
	put_u64(top, "confirm_seconds", status->confirm_seconds);
	list = json_object_new_array();
	for (unsigned int i = 0; i < status->n_ifaces; i++)
		json_object_array_add(list, iface_json(&status->iface[i]));
	json_object_object_add(top, "interfaces", list);
	list = json_object_new_array();
	for (unsigned int i = 0; i < XIPSEC_REASON_COUNT; i++)
		json_object_array_add(list, reason_json(i, status));
	json_object_object_add(top, "reasons", list);
	list = json_object_new_array();
	for (unsigned int i = 0; i < status->n_workers; i++)
		json_object_array_add(list, worker_json(i, &status->worker[i]));
	json_object_object_add(top, "workers", list);
	json_object_object_add(top, "nft", nft_json(&status->nft));
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY));
	json_object_put(top);
}

/* ------------------------------------------------------------------ text */

/* 12345 as 12,345. Two numbers at a time fit a line. */
static const char *grouped(__u32 number)
{
	static char text[2][16];
	static unsigned int turn;
	char *to = text[turn++ % 2];
	char digits[16];
	int len = snprintf(digits, sizeof(digits), "%u", number), at = 0;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			to[at++] = ',';
		to[at++] = digits[i];
	}
	to[at] = 0;
	return to;
}

static void print_room(const char *front, const struct loader_room *room, const char *what)
{
	const char *used = grouped(room->used);

	printf("%s%s of %s %s", front, used, grouped(room->max), what);
}

/* What of everything that has a limit is used. */
static void print_limits(const struct loader_status *status)
{
	const struct loader_room rules = {status->n_rules, status->max_rules},
				 tables = {status->n_tables, XIPSEC_TABLES_MAX};

	printf("policies: generation %u", status->spd_generation);
	print_room(", ", &rules, "rules");
	print_room(", ", &tables, "tables");
	printf(", %.1f MB\n", (double)status->spd_bytes / 1e6);
	print_room("room: ", &status->sas, "SAs");
	print_room(", ", &status->children, "names of children");
	print_room(", ", &status->slots, "interfaces");
	print_room(", ", &status->links, "with VLANs on them");
	print_room(", ", &status->devs, "names for `dev`");
	putchar('\n');
}

/* Rules that are not, or not only, what the config says. */
static void print_special(const struct loader_special *special)
{
	if (special->waiting)
		printf("policies: %u rules ask for an interface that is not attached and match "
		       "nothing (`xipsec policy`)\n",
		       special->waiting);
	if (special->standin)
		printf("policies: rules that discard until an SA makes an address known: %u, that "
		       "came with such SAs: %u (`xipsec policy`)\n",
		       special->standin, special->of_sas);
}

/* Of look-ups in the policies, how many needed no table. */
static void print_cache(const struct loader_status *status)
{
	__u64 all = status->flows.hits + status->flows.misses;

	if (all)
		printf("flow cache: answered %.1f %% of %llu look-ups\n",
		       100.0 * (double)status->flows.hits / (double)all, (unsigned long long)all);
}

static void print_head(const struct config *config, const struct loader_status *status)
{
	printf("xipsec %s, ABI %u\n", XIPSEC_VERSION, XIPSEC_ABI);
	if (status->attached)
		printf("data path: %s below %s (version %s)\n", status->generation, config->pin_dir,
		       status->release);
	else if (status->abi && status->abi != XIPSEC_ABI)
		printf("data path: %s is of another version (%s, ABI %u): it goes on as it is; "
		       "`xipsec attach --all --upgrade` switches to this one\n",
		       status->generation, status->release, status->abi);
	else
		printf("data path: nothing is pinned below %s\n", config->pin_dir);
	if (status->attached)
		print_limits(status);
	print_special(&status->special);
	print_cache(status);
	printf("xipsecd: %s\n", daemon_answers(config) ? "answers" : "does not run");
	if (status->confirm == LOADER_CONFIRM_WAITS)
		printf("attach --confirm: taken back in %u s unless `xipsec confirm` comes first\n",
		       status->confirm_seconds);
	else if (status->confirm == LOADER_CONFIRM_ORPHANED)
		printf("attach --confirm: rolls back never, the process that would do it was "
		       "killed: `xipsec confirm` keeps the attach, `xipsec detach --all` takes it "
		       "off\n");
}

static void print_ifaces(const struct loader_status *status)
{
	printf("\n%-15s %-12s %-5s %-18s %-16s %6s %6s  %s\n", "interface", "role", "link",
	       "XDP (program)", "TC (program)", "MTU", "queues", "driver");
	for (unsigned int i = 0; i < status->n_ifaces; i++) {
		const struct loader_iface *iface = &status->iface[i];
		char xdp[32] = "-", tc[32] = "-";

		if (iface->xdp.prog_id)
			snprintf(xdp, sizeof(xdp), "%s (%u)", iface->xdp.kind, iface->xdp.prog_id);
		if (iface->tc.prog_id)
			snprintf(tc, sizeof(tc), "%s (%u)", iface->tc.kind, iface->tc.prog_id);
		printf("%-15s %-12s %-5s %-18s %-16s %6u %6u  %s\n", iface->name,
		       iface->role     ? role_text(iface->role)
		       : iface->exempt ? "exempt"
				       : "none",
		       !iface->ifindex ? "gone"
		       : iface->up     ? "up"
				       : "down",
		       xdp, tc, iface->mtu, iface->queues, iface->driver);
		if (iface->fault[0])
			printf("    UNSAFE: %s\n", iface->fault);
		if (iface->note[0])
			printf("    note: %s\n", iface->note);
	}
}

static void print_reasons(const struct loader_status *status, bool all)
{
	if (!status->attached)
		return;
	printf("\n%-18s %-5s %14s %18s  %s\n", "reason", "kind", "packets", "bytes", "meaning");
	for (unsigned int i = 0; i < XIPSEC_REASON_COUNT; i++) {
		__u64 packets = status->programs[i].packets + status->workers[i].packets;
		__u64 bytes = status->programs[i].bytes + status->workers[i].bytes;

		if (!packets && !all)
			continue;
		printf("%-18s %-5s %14llu %18llu  %s\n", reason_name(i), kind_text(reason_kind(i)),
		       (unsigned long long)packets, (unsigned long long)bytes, reason_text(i));
	}
}

/* What nftables dropped is no reason of ours: no program saw it. */
static void print_nft(const struct loader_status *status, bool all)
{
	if (!status->nft.packets && !all)
		return;
	printf("\nnftables dropped %llu packets, %llu bytes, to and from black interfaces made "
	       "anew and not\nattached yet (table inet xipsec: %s)\n",
	       (unsigned long long)status->nft.packets, (unsigned long long)status->nft.bytes,
	       status->nft.state);
}

static void print_workers(const struct loader_status *status)
{
	if (!status->n_workers)
		return;
	printf("\n%-7s %8s %7s %14s %14s %7s\n", "worker", "pid", "starts", "received", "sent",
	       "idle");
	for (unsigned int i = 0; i < status->n_workers; i++) {
		const struct xipsec_worker_stats *stats = &status->worker[i];
		double idle = stats->loops
				      ? 100.0 * (double)stats->idle_loops / (double)stats->loops
				      : 100.0;

		printf("%-7u %8u %7u %14llu %14llu %6.1f%%\n", i, stats->pid, stats->starts,
		       (unsigned long long)stats->rx_packets, (unsigned long long)stats->tx_packets,
		       idle);
	}
}

/* A broken config must not hide the state: then only the paths are taken from it, and interfaces
 * that it exempts are told as unsafe. */
static struct config *load(const char *path)
{
	struct config *config = NULL;
	int err = config_load(path, &config, stderr);

	if (!err)
		return config;
	if (err == -EINVAL)
		log_warn("%s has errors: its `exempt` is not known", path);
	return config_paths(path);
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_config_ struct config *config = NULL;
	struct loader_status *status = NULL;
	bool json = false, all = false, features = false;
	int unsafe;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			json = true;
		} else if (!strcmp(argv[i], "--all")) {
			all = true;
		} else if (!strcmp(argv[i], "--features")) {
			features = true;
		} else {
			log_error("status: %s is not known; expected --json, --all or --features",
				  argv[i]);
			return EXIT_USAGE;
		}
	}
	config = load(opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH);
	if (!config)
		return EXIT_FAILED;
	if (features)
		return features_show(config, json);
	if (loader_status(config, &status))
		return EXIT_FAILED;
	if (json) {
		print_json(config, status);
	} else {
		print_head(config, status);
		print_ifaces(status);
		print_reasons(status, all);
		print_nft(status, all);
		print_workers(status);
	}
	unsafe = status->unsafe != 0;
	loader_status_free(status);
	return unsafe ? EXIT_UNSAFE : EXIT_OK;
}

const struct command cmd_status = {
	.name = "status",
	.args = "[--json] [--all | --features]",
	.summary = "what is attached, what passed and what was dropped, and why",
	.details = "  --json  one object, names as in docs/json.md\n"
		   "  --all   also reasons that never occurred\n"
		   "  --features  what this kernel and the drivers have instead; each is tried,\n"
		   "              in a network namespace that is gone afterwards\n"
		   "\n"
		   "Exit: 0 safe; 6 an interface that is up has no role and no exemption, or a\n"
		   "program that should be attached is missing; 1 failed; 2 usage.\n",
	.run = run,
};
