// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "lib/addr.h"
#include "lib/config.h"
#include "lib/log.h"
#include "tools/xipsec/command.h"
#include "xipsec/loader.h"

#define TEXT_MAX 96

static const char *net_text(char text[TEXT_MAX], __u8 family, const struct xipsec_addr *lo,
			    const struct xipsec_addr *hi)
{
	int af = family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6;
	char first[INET6_ADDRSTRLEN] = "", last[INET6_ADDRSTRLEN] = "";
	int length = addr_prefix(lo, hi, family);

	if (!family) {
		snprintf(text, TEXT_MAX, "any");
		return text;
	}
	inet_ntop(af, lo, first, sizeof(first));
	inet_ntop(af, hi, last, sizeof(last));
	if (length < 0)
		snprintf(text, TEXT_MAX, "%s-%s", first, last);
	else
		snprintf(text, TEXT_MAX, "%s/%d", first, length);
	return text;
}

static const char *range_text(char text[TEXT_MAX], unsigned int lo, unsigned int hi)
{
	if (lo == 0 && hi == XIPSEC_PORT_MAX)
		snprintf(text, TEXT_MAX, "any");
	else if (lo == hi)
		snprintf(text, TEXT_MAX, "%u", lo);
	else
		snprintf(text, TEXT_MAX, "%u-%u", lo, hi);
	return text;
}

static const char *port_text(char text[TEXT_MAX], const struct xipsec_selector *sel,
			     unsigned int lo, unsigned int hi)
{
	if (!(sel->opaque & XIPSEC_OPAQUE_PORTS))
		return range_text(text, lo, hi);
	snprintf(text, TEXT_MAX, "opaque");
	return text;
}

/* Numbers with commas between, runs as N-M. */
static const char *dscp_text(char text[TEXT_MAX], __u64 dscp)
{
	size_t len = 0;

	snprintf(text, TEXT_MAX, "any");
	for (unsigned int lo = 0, hi; lo < XIPSEC_DSCPS && len < TEXT_MAX; lo = hi + 1) {
		for (hi = lo; hi < XIPSEC_DSCPS && (dscp >> hi & 1); hi++)
			;
		if (hi - lo == 1)
			len += snprintf(text + len, TEXT_MAX - len, "%s%u", len ? "," : "", lo);
		else if (hi != lo)
			len += snprintf(text + len, TEXT_MAX - len, "%s%u-%u", len ? "," : "", lo,
					hi - 1);
	}
	return text;
}

/* type or type-type, and /code where it counts */
static const char *icmp_text(char text[TEXT_MAX], const struct xipsec_selector *sel)
{
	unsigned int lo = sel->icmp_lo, hi = sel->icmp_hi;
	char types[32];

	if (lo == 0 && hi == XIPSEC_PORT_MAX) {
		snprintf(text, TEXT_MAX, "any");
		return text;
	}
	snprintf(types, sizeof(types), lo >> 8 == hi >> 8 ? "%u" : "%u-%u", lo >> 8, hi >> 8);
	if ((lo & 255) == 0 && (hi & 255) == 255)
		snprintf(text, TEXT_MAX, "%s", types);
	else if (lo == hi)
		snprintf(text, TEXT_MAX, "%s/%u", types, lo & 255);
	else
		snprintf(text, TEXT_MAX, "%u/%u-%u/%u", lo >> 8, lo & 255, hi >> 8, hi & 255);
	return text;
}

static const char *proto_text(char text[TEXT_MAX], const struct xipsec_selector *sel)
{
	const struct protoent *proto = sel->any_proto ? NULL : getprotobynumber(sel->l4_proto);

	if (sel->opaque & XIPSEC_OPAQUE_PROTO)
		snprintf(text, TEXT_MAX, "opaque");
	else if (sel->any_proto)
		snprintf(text, TEXT_MAX, "any");
	else if (!sel->any_proto && sel->l4_proto == IPPROTO_MH)
		snprintf(text, TEXT_MAX, "mobility-header");
	else if (proto)
		snprintf(text, TEXT_MAX, "%s", proto->p_name);
	else
		snprintf(text, TEXT_MAX, "%u", sel->l4_proto);
	return text;
}

static const char *action_text(__u8 action)
{
	static const char *const names[] = {"discard", "bypass", "protect"};

	return action <= XIPSEC_ACTION_PROTECT ? names[action] : "unknown";
}

static const char *dirs_text(__u8 dirs)
{
	static const char *const names[] = {"none", "out", "in", "both"};

	return names[dirs & 3];
}

static const char *family_text(__u8 family)
{
	return family == XIPSEC_FAMILY_IP4 ? "ip4" : family == XIPSEC_FAMILY_IP6 ? "ip6" : "any";
}

/* ------------------------------------------------------------------ built-in passes */

struct builtin {
	char selector[TEXT_MAX];
	const char *reason; /* whose counter tells the hits */
};

#define BUILTINS_MAX (8 + XIPSEC_ALLOW_ETHERTYPES)

static unsigned int list_builtins(const struct loader_policy *policy, struct builtin *list)
{
	unsigned int n = 0;

#define BUILTIN(why, ...)                                                          \
	do {                                                                       \
		snprintf(list[n].selector, sizeof(list[n].selector), __VA_ARGS__); \
		list[n++].reason = why;                                            \
	} while (0)
	BUILTIN("arp", "ARP");
	BUILTIN("nd",
		"ICMPv6 types 133-136, hop limit 255, not fragmented, of this host and its link");
	BUILTIN("ike_in", "UDP 500 to this host; 4500 with the non-ESP marker");
	BUILTIN("ike_out", "UDP 500, 4500 from sockets that xipsecd opened");
	BUILTIN("esp_own", "ESP of an outbound SA of ours, from this host");
	if (policy->allow & XIPSEC_ALLOW_DHCP)
		BUILTIN("dhcp", "DHCP (allow)");
	if (policy->allow & XIPSEC_ALLOW_MLD)
		BUILTIN("mld", "MLD (allow)");
	for (__u32 i = 0; i < policy->n_ethertypes && i < XIPSEC_ALLOW_ETHERTYPES; i++)
		BUILTIN("ethertype_pass", "ethertype 0x%04x (allow)", policy->ethertype[i]);
#undef BUILTIN
	return n;
}

/* ------------------------------------------------------------------ output */

static void put_text(struct json_object *to, const char *name, const char *value)
{
	json_object_object_add(to, name, json_object_new_string(value));
}

static void put_u64(struct json_object *to, const char *name, __u64 value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static struct json_object *rule_json(const struct loader_policy *policy, __u32 at)
{
	const struct loader_rule *known = &policy->rule[at];
	const struct xipsec_spd_rule *rule = &known->rule;
	const struct xipsec_selector *sel = &rule->sel;
	struct json_object *to = json_object_new_object();
	char text[TEXT_MAX];

	put_u64(to, "rule", known->number);
	put_text(to, "policy", known->policy);
	put_text(to, "action", action_text(rule->action));
	if (rule->action == XIPSEC_ACTION_PROTECT)
		put_text(to, "child", policy->child[rule->child % XIPSEC_CHILDREN_MAX]);
	put_text(to, "direction", dirs_text(rule->dirs));
	put_text(to, "family", family_text(sel->family));
	put_text(to, "local", net_text(text, sel->family, &sel->local_lo, &sel->local_hi));
	put_text(to, "remote", net_text(text, sel->family, &sel->remote_lo, &sel->remote_hi));
	put_text(to, "proto", proto_text(text, sel));
	put_text(to, "local_port", port_text(text, sel, sel->local_port_lo, sel->local_port_hi));
	put_text(to, "remote_port", port_text(text, sel, sel->remote_port_lo, sel->remote_port_hi));
	put_text(to, "icmp", icmp_text(text, sel));
	put_text(to, "dscp", dscp_text(text, sel->dscp));
	if (known->dev[0]) {
		put_text(to, "dev", known->dev);
		json_object_object_add(to, "dev_attached",
				       json_object_new_boolean(known->dev_attached));
	}
	put_u64(to, "line", rule->line);
	put_u64(to, "packets", known->hits.packets);
	put_u64(to, "bytes", known->hits.bytes);
	return to;
}

static void print_json(const struct loader_policy *policy)
{
	struct json_object *top = json_object_new_object(), *list;
	struct builtin builtin[BUILTINS_MAX];
	unsigned int n = list_builtins(policy, builtin);

	put_u64(top, "spd_generation", policy->generation);
	list = json_object_new_array();
	for (unsigned int i = 0; i < n; i++) {
		struct json_object *to = json_object_new_object();

		put_text(to, "selector", builtin[i].selector);
		put_text(to, "reason", builtin[i].reason);
		json_object_array_add(list, to);
	}
	json_object_object_add(top, "builtin", list);
	list = json_object_new_array();
	for (__u32 i = 0; i < policy->n_rules; i++)
		json_object_array_add(list, rule_json(policy, i));
	json_object_object_add(top, "rules", list);
	put_text(top, "default", "discard");
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY));
	json_object_put(top);
}

/* proto and, where they count, ports or ICMP types: "tcp 22 <- any" */
static void print_selector(const struct xipsec_selector *sel)
{
	char local[TEXT_MAX], remote[TEXT_MAX], text[TEXT_MAX];

	printf("%-22s %-22s %s", net_text(local, sel->family, &sel->local_lo, &sel->local_hi),
	       net_text(remote, sel->family, &sel->remote_lo, &sel->remote_hi),
	       proto_text(text, sel));
	if (sel->dscp)
		printf(" dscp %s", dscp_text(text, sel->dscp));
	if (xipsec_selector_any_port(sel) && !sel->opaque)
		return;
	if (sel->icmp_lo != 0 || sel->icmp_hi != XIPSEC_PORT_MAX)
		printf(" type %s", icmp_text(text, sel));
	else
		printf(" ports %s, %s",
		       port_text(local, sel, sel->local_port_lo, sel->local_port_hi),
		       port_text(remote, sel, sel->remote_port_lo, sel->remote_port_hi));
}

static void print_text(const struct loader_policy *policy)
{
	struct builtin builtin[BUILTINS_MAX];
	unsigned int n = list_builtins(policy, builtin);

	printf("policies in force: generation %u, first match wins, no match: discard\n",
	       policy->generation);
	for (unsigned int i = 0; i < n; i++)
		printf("   - pass     %s (%s)\n", builtin[i].selector, builtin[i].reason);
	printf("\n%4s %-12s %-8s %-4s %-12s %-12s %-22s %-22s %s\n", "rule", "policy", "action",
	       "dir", "packets", "child", "local", "remote", "protocol");
	for (__u32 i = 0; i < policy->n_rules; i++) {
		const struct loader_rule *known = &policy->rule[i];
		const struct xipsec_spd_rule *rule = &known->rule;

		printf("%4u %-12s %-8s %-4s %-12llu %-12s ", known->number,
		       known->policy[0] ? known->policy : "-", action_text(rule->action),
		       dirs_text(rule->dirs), (unsigned long long)known->hits.packets,
		       rule->action == XIPSEC_ACTION_PROTECT
			       ? policy->child[rule->child % XIPSEC_CHILDREN_MAX]
			       : "-");
		print_selector(&rule->sel);
		if (known->dev[0])
			printf(" dev %s%s", known->dev,
			       known->dev_attached ? "" : ", which is not attached");
		printf("  (line %u)\n", rule->line);
	}
}

/* ------------------------------------------------------------------ check */

#define BY_MAX 4 /* that a line names */

static void print_rule_at(const struct loader_rule_at *at)
{
	printf("rule %u (%s, line %u%s)", at->rule, at->policy, at->line,
	       at->standin ? ", stands in for addresses that SAs make known" : "");
}

static void print_by(const struct loader_overlap *overlap)
{
	for (__u32 i = 0; i < overlap->n_by && i < BY_MAX; i++) {
		if (i)
			fputs(i + 1 == overlap->n_by ? " and " : ", ", stdout);
		print_rule_at(&overlap->by[i]);
	}
	if (overlap->n_by > BY_MAX)
		printf(" and %u more", overlap->n_by - BY_MAX);
	if (overlap->n_by > 1)
		fputs(" together", stdout);
}

static void print_overlap(void *arg, const struct loader_overlap *overlap)
{
	unsigned int *never = arg;

	print_rule_at(&overlap->rule);
	if (overlap->never) {
		fputs(" can never match, because of ", stdout);
		print_by(overlap);
		puts(overlap->n_by > 1 && overlap->same ? ", which do the same"
		     : overlap->same                    ? ", which does the same"
							: "");
	} else {
		fputs(" matches less than it says: ", stdout);
		print_by(overlap);
		puts(" comes first and does something else");
	}
	*never += overlap->never;
}

struct overlaps {
	struct json_object *list;
	unsigned int never;
};

static void put_rule_at(struct json_object *to, const struct loader_rule_at *at)
{
	put_u64(to, "rule", at->rule);
	put_text(to, "policy", at->policy);
	put_u64(to, "line", at->line);
	json_object_object_add(to, "standin", json_object_new_boolean(at->standin));
}

static void add_overlap(void *arg, const struct loader_overlap *overlap)
{
	struct json_object *to = json_object_new_object(), *list = json_object_new_array();
	struct overlaps *all = arg;

	put_rule_at(to, &overlap->rule);
	put_text(to, "finding", overlap->never ? "never_matches" : "cut_short");
	put_u64(to, "by_rule", overlap->by[0].rule);
	put_text(to, "by_policy", overlap->by[0].policy);
	put_u64(to, "by_line", overlap->by[0].line);
	for (__u32 i = 0; i < overlap->n_by; i++) {
		struct json_object *by = json_object_new_object();

		put_rule_at(by, &overlap->by[i]);
		json_object_array_add(list, by);
	}
	json_object_object_add(to, "by", list);
	json_object_object_add(to, "same", json_object_new_boolean(overlap->same));
	json_object_array_add(all->list, to);
	all->never += overlap->never;
}

/* No interface of the config, and none that is here now: perhaps mistyped. Its rules match nothing
 * until one of that name is attached. */
static bool dev_is_strange(const struct config *config, const char *dev)
{
	for (unsigned int i = 0; i < config->n_ifaces; i++)
		if (!strcmp(config->ifaces[i].name, dev))
			return false;
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		if (!strcmp(config->tunnels[i].name, dev))
			return false;
	return dev[0] && !if_nametoindex(dev);
}

static void print_strange_devs(const struct config *config)
{
	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		if (policy->n_rules && dev_is_strange(config, policy->dev))
			printf("warning: policy %s, line %u: dev %s is not in interfaces {}, nor "
			       "on this machine: it matches nothing until there is one\n",
			       policy->name, policy->rules[0].line, policy->dev);
	}
}

static struct json_object *strange_devs(const struct config *config)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];
		struct json_object *to;

		if (!policy->n_rules || !dev_is_strange(config, policy->dev))
			continue;
		to = json_object_new_object();
		put_text(to, "policy", policy->name);
		put_u64(to, "line", policy->rules[0].line);
		put_text(to, "dev", policy->dev);
		json_object_array_add(list, to);
	}
	return list;
}

static unsigned int count_rules(const struct config *config)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < config->n_policies; i++)
		n += config->policies[i].n_rules;
	return n;
}

static int check_text(const struct config *config, const char *path, unsigned int *never)
{
	unsigned int n = count_rules(config);
	int undecided = loader_policy_check(config, print_overlap, never);

	if (undecided < 0)
		return undecided;
	if (undecided)
		printf("of %d rules it would take too long to tell whether several others together "
		       "take them\n",
		       undecided);
	if (n > LOADER_OVERLAPS_MAX)
		printf("more than %u rules: what overlaps in part was not looked for\n",
		       LOADER_OVERLAPS_MAX);
	print_strange_devs(config);
	printf("%s: %u of %u rules can never match\n", path, *never, n);
	return 0;
}

static int check_json(const struct config *config, const char *path, unsigned int *never)
{
	struct json_object *top = json_object_new_object();
	struct overlaps all = {.list = json_object_new_array()};
	unsigned int n = count_rules(config);
	int undecided = loader_policy_check(config, add_overlap, &all);

	put_text(top, "config", path);
	put_u64(top, "n_rules", n);
	put_u64(top, "n_never", all.never);
	json_object_object_add(top, "cut_short_looked_for",
			       json_object_new_boolean(n <= LOADER_OVERLAPS_MAX));
	put_u64(top, "n_undecided", undecided > 0 ? (unsigned int)undecided : 0);
	json_object_object_add(top, "findings", all.list);
	json_object_object_add(top, "unknown_devs", strange_devs(config));
	if (undecided >= 0)
		puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY));
	json_object_put(top);
	*never = all.never;
	return undecided < 0 ? undecided : 0;
}

static int check(const char *path, bool json)
{
	_cleanup_config_ struct config *config = NULL;
	unsigned int never = 0;
	int err = config_load(path, &config, stderr);

	if (err) {
		log_error("policy check: %s%s: %s", err == -EINVAL ? "" : "cannot read ", path,
			  err == -EINVAL ? "not a good config, see above: mend it first"
					 : strerror(-err));
		return EXIT_CONFIG;
	}
	err = json ? check_json(config, path, &never) : check_text(config, path, &never);
	if (err) {
		log_error("policy check: %s: %s", path,
			  err == -E2BIG || err == -ENOSPC ? "not a good config, see above"
							  : strerror(-err));
		return EXIT_CONFIG;
	}
	return never ? EXIT_FAILED : EXIT_OK;
}

static int usage(const char *word)
{
	log_error("policy: %s is not known; expected check or --json", word);
	return EXIT_USAGE;
}

/* `check [--json] [FILE]`, from the word behind it. */
static int run_check(const char *path, int argc, char **argv)
{
	int json = argc > 0 && !strcmp(argv[0], "--json");
	bool option = argc > json && argv[json][0] == '-';

	if (option || argc - json > 1) {
		log_error("policy check: unexpected: %s; expected [--json] [FILE]",
			  argv[option ? json : json + 1]);
		return EXIT_USAGE;
	}
	return check(argc - json == 1 ? argv[json] : path, json);
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_config_ struct config *config = NULL;
	struct loader_policy *policy = NULL;
	bool json = argc == 2 && !strcmp(argv[1], "--json");
	const char *path = opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH;

	if (argc > 1 && !strcmp(argv[1], "check"))
		return run_check(path, argc - 2, argv + 2);
	if (argc > 1 && !json)
		return usage(argv[1]);
	config = config_paths(path);
	if (!config || loader_policy(config, &policy))
		return EXIT_FAILED;
	if (json)
		print_json(policy);
	else
		print_text(policy);
	loader_policy_free(policy);
	return EXIT_OK;
}

const struct command cmd_policy = {
	.name = "policy",
	.args = "[--json] | check [--json] [FILE]",
	.summary = "the policies in force, in order, with their hits",
	.details = "Read from the kernel, not from the config. Built-in passes stand first. Hits\n"
		   "count since the rule came; a reload that changes hundreds begins anew.\n"
		   "\n"
		   "  --json        one object, names as in docs/json.md; so has check\n"
		   "  check [FILE]  says which rules of a config can never match, and which an\n"
		   "                earlier rule with another action cuts short\n"
		   "\n"
		   "Exit: 0, 1 nothing is attached, reading failed or a rule can never match,\n"
		   "2 usage, 3 FILE has errors.\n",
	.run = run,
};
