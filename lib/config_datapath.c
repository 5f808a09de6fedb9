// SPDX-License-Identifier: BSD-2-Clause
/* datapath {}: how the programs and workers run, and which interface has which role. */
#include <stdlib.h>
#include <string.h>
#include "lib/config_key.h"
#include "lib/config_section.h"
#include "lib/config_units.h"
#include "lib/config_value.h"

#define SAS_MAX        65536
#define WORKER_UID_MAX 0x7fffff00
#define EXEMPT_MAX     256
#define ETH_TYPE_MIN   0x600

static bool key_workers(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	if (strcasecmp(node->value, "auto") == 0) {
		draft->config->workers = 0;
		return true;
	}
	if (!text_number(node->value, &draft->config->workers) || draft->config->workers < 1 ||
	    draft->config->workers > XIPSEC_WORKERS_MAX) {
		config_error(diag, &node->value_place, "workers = %s: expected auto or 1 to %u",
			     config_shown(node->value), XIPSEC_WORKERS_MAX);
		return false;
	}
	draft->workers_told = true;
	return true;
}

static bool key_audit(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_bool(diag, node, &draft->config->audit);
}

static bool key_backend(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word backends[] = {
		{"auto", XIPSEC_BACKEND_AUTO},
		{"ipsec-mb", XIPSEC_BACKEND_IPSEC_MB},
		{"openssl", XIPSEC_BACKEND_OPENSSL},
		{NULL, 0},
	};
	struct config_draft *draft = into;

	return parse_word(diag, node, backends, &draft->config->backend);
}

/* From 1: a worker is never root. */
static bool key_worker_uid(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_number(diag, node, 1, WORKER_UID_MAX, &draft->config->worker_uid);
}

static bool key_max_sas(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_number(diag, node, 1, SAS_MAX, &draft->config->max_sas);
}

static bool key_max_rules(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_number(diag, node, 1, XIPSEC_RULES_LIMIT, &draft->config->max_rules);
}

static bool key_pmtu_age(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;
	__u32 age;

	if (!parse_time(diag, node, &age))
		return false;
	if (age < XIPSEC_PMTU_AGE_MIN || age > XIPSEC_PMTU_AGE_MAX) {
		config_error(diag, &node->value_place, "pmtu_age = %s: expected 5m to 24h",
			     config_shown(node->value));
		return false;
	}
	draft->config->pmtu_age = age;
	return true;
}

static bool key_pin_dir(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_path(diag, node, draft->config->pin_dir, sizeof(draft->config->pin_dir));
}

static bool key_run_dir(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_path(diag, node, draft->config->run_dir, sizeof(draft->config->run_dir));
}

static bool key_state_dir(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_path(diag, node, draft->config->state_dir, sizeof(draft->config->state_dir));
}

/* Ethertypes that the programs look into: a built-in pass would go around the policies, or is
 * there anyway (ARP). */
static bool is_parsed(unsigned int eth_type)
{
	static const unsigned int parsed[] = {0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8};

	for (size_t i = 0; i < sizeof(parsed) / sizeof(parsed[0]); i++)
		if (parsed[i] == eth_type)
			return true;
	return false;
}

static bool allow_item(struct config_diag *diag, const struct config_node *node, const char *text,
		       void *into)
{
	struct config *config = into;
	unsigned int eth_type;

	if (strcasecmp(text, "dhcp") == 0) {
		config->allow |= XIPSEC_ALLOW_DHCP;
		return true;
	}
	if (strcasecmp(text, "mld") == 0) {
		config->allow |= XIPSEC_ALLOW_MLD;
		return true;
	}
	if (!text_number(text, &eth_type) || eth_type < ETH_TYPE_MIN || eth_type > 0xffff) {
		config_error(diag, &node->value_place,
			     "allow: %s is not known: expected dhcp, mld or an ethertype from "
			     "0x0600 to 0xffff",
			     config_shown(text));
		return false;
	}
	if (is_parsed(eth_type)) {
		config_error(diag, &node->value_place,
			     "allow: %s cannot be let through as a whole: expected an ethertype "
			     "other than IPv4, IPv6, ARP and VLAN; IP is for policies {}",
			     text);
		return false;
	}
	if (config->n_ethertypes == XIPSEC_ALLOW_ETHERTYPES) {
		config_error(diag, &node->value_place,
			     "allow names too many ethertypes: expected at most %u",
			     XIPSEC_ALLOW_ETHERTYPES);
		return false;
	}
	config->ethertypes[config->n_ethertypes++] = eth_type;
	return true;
}

static bool key_allow(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	return parse_list(diag, node, allow_item, draft->config);
}

static bool exempt_item(struct config_diag *diag, const struct config_node *node, const char *text,
			void *into)
{
	struct config *config = into;

	if (strlen(text) >= sizeof(config->exempt[0]) || strpbrk(text, "/ \t")) {
		config_error(diag, &node->value_place,
			     "exempt: %s is no interface: expected a name of at most %zu letters",
			     config_shown(text), sizeof(config->exempt[0]) - 1);
		return false;
	}
	if (config->n_exempt == EXEMPT_MAX) {
		config_error(diag, &node->value_place,
			     "exempt names too many interfaces: expected at most %u", EXEMPT_MAX);
		return false;
	}
	strcpy(config->exempt[config->n_exempt++], text);
	return true;
}

static bool key_exempt(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	draft->config->exempt = calloc(EXEMPT_MAX, sizeof(draft->config->exempt[0]));
	if (!draft->config->exempt) {
		diag->nomem = true;
		return false;
	}
	return parse_list(diag, node, exempt_item, draft->config);
}

static bool key_role(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word roles[] = {
		{"protected", XIPSEC_ROLE_PROTECTED},
		{"unprotected", XIPSEC_ROLE_UNPROTECTED},
		{NULL, 0},
	};
	struct config_iface *iface = into;

	return parse_word(diag, node, roles, &iface->role);
}

static bool section_iface(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_key keys[] = {
		{"role", key_role, false, true},
		{0},
	};
	struct config *config = into;
	struct config_iface iface = {0};

	if (!config_walk(diag, node, node->first, keys, &iface))
		return false;
	if (config->n_ifaces == XIPSEC_SLOTS_MAX) {
		config_error(diag, &node->place,
			     "too many interfaces have a role: expected at most %u",
			     XIPSEC_SLOTS_MAX);
		return false;
	}
	strcpy(iface.name, node->name);
	config->ifaces[config->n_ifaces++] = iface;
	return true;
}

static bool section_interfaces(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	draft->config->ifaces = calloc(XIPSEC_SLOTS_MAX, sizeof(draft->config->ifaces[0]));
	if (!draft->config->ifaces) {
		diag->nomem = true;
		return false;
	}
	return config_walk_named(diag, node, sizeof(draft->config->ifaces[0].name), section_iface,
				 draft->config);
}

static bool exempt_check(struct config_diag *diag, const struct config_node *node,
			 const struct config *config)
{
	bool ok = true;

	for (unsigned int i = 0; i < config->n_ifaces; i++) {
		for (unsigned int k = 0; k < config->n_exempt; k++) {
			if (strcmp(config->ifaces[i].name, config->exempt[k]) != 0)
				continue;
			config_error(diag, &node->place,
				     "%s has a role and is exempt: expected one of both",
				     config->exempt[k]);
			ok = false;
		}
	}
	return ok;
}

static const struct config_key datapath_keys[] = {
	{"workers", key_workers, false, false},
	{"backend", key_backend, false, false},
	{"audit", key_audit, false, false},
	{"worker_uid", key_worker_uid, false, false},
	{"max_sas", key_max_sas, false, false},
	{"max_rules", key_max_rules, false, false},
	{"pin_dir", key_pin_dir, false, false},
	{"run_dir", key_run_dir, false, false},
	{"state_dir", key_state_dir, false, false},
	{"allow", key_allow, false, false},
	{"exempt", key_exempt, false, false},
	{"interfaces", section_interfaces, true, false},
	{"tunnels", config_tunnels, true, false},
	{"pmtu_age", key_pmtu_age, false, false},
	{0},
};

bool config_datapath(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;
	bool ok = config_walk(diag, node, node->first, datapath_keys, draft);

	ok &= exempt_check(diag, node, draft->config);
	draft->tunnels_ok = ok;
	return ok;
}

void config_datapath_paths(struct config_diag *diag, const struct config_node *node,
			   struct config *config)
{
	static const struct config_key paths[] = {
		{"pin_dir", key_pin_dir, false, false},
		{"run_dir", key_run_dir, false, false},
		{"state_dir", key_state_dir, false, false},
		{0},
	};
	struct config_draft draft = {.config = config};

	for (const struct config_node *key = node->first; key; key = key->next)
		for (const struct config_key *path = paths; path->name; path++)
			if (key->kind == CONFIG_VALUE && strcmp(key->name, path->name) == 0)
				path->parse(diag, key, &draft);
}
