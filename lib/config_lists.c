// SPDX-License-Identifier: BSD-2-Clause
/* Values that are lists: networks, ranges of numbers, DSCPs. */
#include <arpa/inet.h>
#include <string.h>
#include "lib/addr.h"
#include "lib/config_key.h"
#include "lib/config_value.h"

#define ITEM_MAX 256 /* parse_list() gives no longer ones */

/* ------------------------------------------------------------------ networks */

/* FIRST-LAST; `last` stands behind the dash. */
static bool net_range(struct config_diag *diag, const struct config_node *node, const char *text,
		      const char *first, const char *last, struct config_net *out)
{
	struct config_net net;

	if (!text_range_ends(first, last, &net.lo, &net.hi, &net.family)) {
		config_error(diag, &node->value_place,
			     "%s: %s is no range of addresses: expected FIRST-LAST of one family, "
			     "the lower one first",
			     node->name, config_shown(text));
		return false;
	}
	*out = net;
	return true;
}

/* ADDRESS/LENGTH, or one address: `slash` is NULL. */
static bool net_prefix(struct config_diag *diag, const struct config_node *node, const char *text,
		       const char *addr, const char *slash, struct config_net *out)
{
	char right[INET6_ADDRSTRLEN];
	struct xipsec_addr at;
	struct config_net net;
	unsigned int bits, max;

	if (!text_address(addr, &at, &net.family)) {
		config_error(diag, &node->value_place,
			     "%s: %s is no prefix: expected ADDRESS/LENGTH, FIRST-LAST, an "
			     "address, or any",
			     node->name, config_shown(text));
		return false;
	}
	max = addr_bits(net.family);
	bits = max;
	if (slash && (!text_number(slash, &bits) || bits > max)) {
		config_error(diag, &node->value_place,
			     "%s: %s has a bad prefix length: expected 0 to %u", node->name,
			     config_shown(text), max);
		return false;
	}
	net.lo = addr_first(&at, bits);
	net.hi = addr_last(&at, net.family, bits);
	if (addr_compare(&at, &net.lo)) {
		inet_ntop(max == 32 ? AF_INET : AF_INET6, net.lo.byte, right, sizeof(right));
		config_error(diag, &node->value_place,
			     "%s: %s has host bits set: expected %s/%u, or %s/%u for the one "
			     "address",
			     node->name, text, right, bits, addr, max);
		return false;
	}
	*out = net;
	return true;
}

static bool parse_net(struct config_diag *diag, const struct config_node *node, const char *text,
		      struct config_net *out)
{
	char addr[ITEM_MAX];
	char *cut, kind;

	if (strcasecmp(text, "any") == 0) {
		*out = (struct config_net){.family = XIPSEC_FAMILY_ANY};
		addr_any(XIPSEC_FAMILY_ANY, &out->lo, &out->hi);
		return true;
	}
	strcpy(addr, text);
	cut = strpbrk(addr, "-/");
	if (!cut)
		return net_prefix(diag, node, text, addr, NULL, out);
	kind = *cut;
	*cut = 0;
	return kind == '-' ? net_range(diag, node, text, addr, cut + 1, out)
			   : net_prefix(diag, node, text, addr, cut + 1, out);
}

/* Told once, not of each that is too many. */
static bool items_fit(struct config_diag *diag, const struct config_node *node, const char *what,
		      unsigned int room, unsigned int max)
{
	unsigned int n = 1;

	for (const char *at = node->value; (at = strchr(at, ',')); at++)
		n++;
	if (n <= room)
		return true;
	config_error(diag, &node->value_place, "%s has too many %s: expected at most %u",
		     node->name, what, max);
	return false;
}

static bool nets_item(struct config_diag *diag, const struct config_node *node, const char *text,
		      void *into)
{
	struct config_nets *out = into;

	if (!parse_net(diag, node, text, &out->net[out->n]))
		return false;
	out->n++;
	return true;
}

bool parse_nets(struct config_diag *diag, const struct config_node *node, struct config_nets *out)
{
	return items_fit(diag, node, "prefixes", CONFIG_NETS_MAX - out->n, CONFIG_NETS_MAX) &&
	       parse_list(diag, node, nets_item, out);
}

/* ------------------------------------------------------------------ numbers */

struct ranges_draft {
	struct config_ranges *out;
	unsigned int max;
};

static bool ranges_item(struct config_diag *diag, const struct config_node *node, const char *text,
			void *into)
{
	struct ranges_draft *draft = into;
	struct config_node item = *node;

	item.value = (char *)text;
	if (!parse_range(diag, &item, draft->max, &draft->out->range[draft->out->n]))
		return false;
	draft->out->n++;
	return true;
}

bool parse_ranges(struct config_diag *diag, const struct config_node *node, unsigned int max,
		  struct config_ranges *out)
{
	struct config_ranges made = {0};
	struct ranges_draft draft = {&made, max};

	if (strcasecmp(node->value, "any") == 0) {
		*out = made;
		return true;
	}
	if (strcasecmp(node->value, "opaque") == 0) {
		made.opaque = true;
		*out = made;
		return true;
	}
	if (!items_fit(diag, node, "ranges", CONFIG_RANGES_MAX, CONFIG_RANGES_MAX) ||
	    !parse_list(diag, node, ranges_item, &draft))
		return false;
	*out = made;
	return true;
}

/* ------------------------------------------------------------------ DSCPs */

static const struct config_word dscp_names[] = {
	{"be", 0},    {"le", 1},    {"cs0", 0},   {"cs1", 8},   {"cs2", 16},
	{"cs3", 24},  {"cs4", 32},  {"cs5", 40},  {"cs6", 48},  {"cs7", 56},
	{"af11", 10}, {"af12", 12}, {"af13", 14}, {"af21", 18}, {"af22", 20},
	{"af23", 22}, {"af31", 26}, {"af32", 28}, {"af33", 30}, {"af41", 34},
	{"af42", 36}, {"af43", 38}, {"va", 44},   {"ef", 46},   {NULL, 0},
};

bool text_dscp(const char *text, unsigned int *out)
{
	unsigned int value;

	for (const struct config_word *word = dscp_names; word->name; word++) {
		if (strcasecmp(text, word->name) != 0)
			continue;
		*out = word->value;
		return true;
	}
	if (!text_number(text, &value) || value >= XIPSEC_DSCPS)
		return false;
	*out = value;
	return true;
}

static bool dscps_item(struct config_diag *diag, const struct config_node *node, const char *text,
		       void *into)
{
	struct config_node item = *node;
	__u64 *out = into;
	unsigned int value;

	item.value = (char *)text;
	if (text[0] >= '0' && text[0] <= '9') {
		if (!parse_number(diag, &item, 0, XIPSEC_DSCPS - 1, &value))
			return false;
	} else if (!parse_word(diag, &item, dscp_names, &value)) {
		return false;
	}
	*out |= 1ULL << value;
	return true;
}

bool parse_dscps(struct config_diag *diag, const struct config_node *node, __u64 *out)
{
	__u64 made = 0;

	if (strcasecmp(node->value, "any") != 0 && !parse_list(diag, node, dscps_item, &made))
		return false;
	*out = made;
	return true;
}
