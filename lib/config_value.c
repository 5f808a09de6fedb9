// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/addr.h"
#include "lib/config_key.h"
#include "lib/config_value.h"
#include "xipsec/sa.h"

#define ITEM_MAX  256
#define WORDS_MAX 32

bool text_number(const char *text, unsigned int *out)
{
	unsigned long value;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	value = strtoul(text, &end,
			text[0] == '0' && tolower((unsigned char)text[1]) == 'x' ? 16 : 10);
	if (errno || *end || end == text || value > 0xffffffffUL)
		return false;
	*out = value;
	return true;
}

bool parse_number(struct config_diag *diag, const struct config_node *node, unsigned int min,
		  unsigned int max, unsigned int *out)
{
	unsigned int value;

	if (!text_number(node->value, &value) || value < min || value > max) {
		config_error(diag, &node->value_place,
			     "%s is not a good %s: expected a number from %u to %u",
			     config_shown(node->value), node->name, min, max);
		return false;
	}
	*out = value;
	return true;
}

const struct config_word config_engines[] = {{"auto", XIPSEC_ENGINE_NONE},
					     {"afxdp", XIPSEC_ENGINE_AFXDP},
					     {"xfrm", XIPSEC_ENGINE_XFRM},
					     {NULL, 0}};

bool parse_word(struct config_diag *diag, const struct config_node *node,
		const struct config_word *words, unsigned int *out)
{
	const char *names[WORDS_MAX] = {0}, *near;
	char list[256] = "";
	size_t n = 0, len = 0;

	for (; words[n].name; n++) {
		names[n] = words[n].name;
		if (strcasecmp(node->value, names[n]) == 0) {
			*out = words[n].value;
			return true;
		}
	}
	for (size_t i = 0; i < n && len < sizeof(list); i++)
		len += snprintf(list + len, sizeof(list) - len, "%s%s", i ? " | " : "", names[i]);
	near = config_nearest(node->value, names, n);
	config_error(diag, &node->value_place, "%s = %s is not known: expected %s%s%s%s",
		     node->name, config_shown(node->value), list, near ? " (did you mean " : "",
		     near ? near : "", near ? "?)" : "");
	return false;
}

bool parse_bool(struct config_diag *diag, const struct config_node *node, bool *out)
{
	static const struct config_word words[] = {
		{"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {"1", 1}, {"0", 0}, {NULL, 0},
	};
	unsigned int value;

	for (const struct config_word *word = words; word->name; word++) {
		if (strcasecmp(node->value, word->name) == 0) {
			value = word->value;
			*out = value;
			return true;
		}
	}
	config_error(diag, &node->value_place, "%s = %s: expected yes | no", node->name,
		     config_shown(node->value));
	return false;
}

bool parse_path(struct config_diag *diag, const struct config_node *node, char *out, size_t size)
{
	if (node->value[0] != '/' || strlen(node->value) >= size) {
		config_error(diag, &node->value_place,
			     "%s = %s: expected an absolute path of less than %zu bytes",
			     node->name, config_shown(node->value), size);
		return false;
	}
	strcpy(out, node->value);
	return true;
}

bool parse_name(struct config_diag *diag, const struct config_node *node, char *out, size_t size)
{
	const char *c = node->value;

	while (isgraph((unsigned char)*c) && *c != '/' && *c != '"')
		c++;
	if (*c || (size_t)(c - node->value) >= size) {
		config_error(diag, &node->value_place,
			     "%s = %s is no name: expected 1 to %zu letters, digits or signs "
			     "without space, slash and quote",
			     node->name, config_shown(node->value), size - 1);
		return false;
	}
	strcpy(out, node->value);
	return true;
}

bool parse_range(struct config_diag *diag, const struct config_node *node, unsigned int max,
		 struct config_range *out)
{
	char text[ITEM_MAX];
	char *dash;
	struct config_range range;

	if (strcasecmp(node->value, "any") == 0) {
		*out = (struct config_range){0, max};
		return true;
	}
	if (strlen(node->value) >= sizeof(text))
		goto bad;
	strcpy(text, node->value);
	dash = strchr(text, '-');
	if (dash)
		*dash = 0;
	if (!text_number(text, &range.lo) || !text_number(dash ? dash + 1 : text, &range.hi) ||
	    range.lo > range.hi || range.hi > max)
		goto bad;
	*out = range;
	return true;
bad:
	config_error(diag, &node->value_place,
		     "%s = %s is no range: expected N or N-M with N <= M from 0 to %u, or any",
		     node->name, config_shown(node->value), max);
	return false;
}

bool text_address(const char *text, struct xipsec_addr *addr, __u8 *family)
{
	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, addr->byte) == 1) {
		*family = XIPSEC_FAMILY_IP4;
		return true;
	}
	*family = XIPSEC_FAMILY_IP6;
	return inet_pton(AF_INET6, text, addr->byte) == 1;
}

/* Not 0, not loopback, not multicast, not broadcast: an address that an interface can have. */
static bool is_unicast(const struct xipsec_addr *addr, __u8 family)
{
	const struct in6_addr *ip6 = (const void *)addr->byte;

	if (family == XIPSEC_FAMILY_IP4)
		return addr->byte[0] > 0 && addr->byte[0] != 127 && addr->byte[0] < 224;
	return !IN6_IS_ADDR_UNSPECIFIED(ip6) && !IN6_IS_ADDR_LOOPBACK(ip6) &&
	       !IN6_IS_ADDR_MULTICAST(ip6) && !IN6_IS_ADDR_V4MAPPED(ip6);
}

bool parse_address(struct config_diag *diag, const struct config_node *node,
		   struct xipsec_addr *out, __u8 *family)
{
	struct xipsec_addr addr;
	__u8 is;

	if (!text_address(node->value, &addr, &is) || !is_unicast(&addr, is)) {
		config_error(diag, &node->value_place,
			     "%s = %s: expected a unicast IPv4 or IPv6 address", node->name,
			     config_shown(node->value));
		return false;
	}
	*out = addr;
	*family = is;
	return true;
}

bool text_range_ends(const char *first, const char *last, struct xipsec_addr *lo,
		     struct xipsec_addr *hi, __u8 *family)
{
	__u8 other;

	return text_address(first, lo, family) && text_address(last, hi, &other) &&
	       other == *family && memcmp(lo, hi, sizeof(*lo)) <= 0;
}

bool text_addr_range(const char *text, struct xipsec_addr *lo, struct xipsec_addr *hi, __u8 *family)
{
	char copy[ITEM_MAX];
	unsigned int bits;
	char *cut;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	cut = strpbrk(copy, "-/");
	if (!cut)
		return text_range_ends(copy, copy, lo, hi, family);
	bits = *cut == '/';
	*cut = 0;
	if (!bits)
		return text_range_ends(copy, cut + 1, lo, hi, family);
	if (!text_address(copy, lo, family) || !text_number(cut + 1, &bits) ||
	    bits > addr_bits(*family))
		return false;
	*lo = addr_first(lo, bits);
	*hi = addr_last(lo, *family, bits);
	return true;
}

/* /etc/protocols would make the meaning of a policy depend on another file. */
static const struct config_word protocols[] = {
	{"icmp", IPPROTO_ICMP},
	{"igmp", IPPROTO_IGMP},
	{"ipip", IPPROTO_IPIP},
	{"tcp", IPPROTO_TCP},
	{"udp", IPPROTO_UDP},
	{"dccp", IPPROTO_DCCP},
	{"ipv6", IPPROTO_IPV6},
	{"gre", IPPROTO_GRE},
	{"esp", IPPROTO_ESP},
	{"ah", IPPROTO_AH},
	{"ipv6-icmp", IPPROTO_ICMPV6},
	{"icmpv6", IPPROTO_ICMPV6},
	{"ospf", 89},
	{"pim", IPPROTO_PIM},
	{"vrrp", 112},
	{"sctp", IPPROTO_SCTP},
	{"mobility-header", IPPROTO_MH},
	{"udplite", IPPROTO_UDPLITE},
	{"any", 256},
	{NULL, 0},
};

bool text_proto(const char *text, unsigned int *out)
{
	for (const struct config_word *word = protocols; word->name; word++) {
		if (strcasecmp(text, word->name) == 0) {
			*out = word->value;
			return true;
		}
	}
	return text_number(text, out) && *out < 256;
}

bool parse_proto(struct config_diag *diag, const struct config_node *node, __u8 *out, bool *any)
{
	unsigned int value;

	if (isdigit((unsigned char)node->value[0])) {
		if (!parse_number(diag, node, 0, 255, &value))
			return false;
	} else if (!parse_word(diag, node, protocols, &value)) {
		return false;
	}
	*any = value > 255;
	*out = value;
	return true;
}

bool parse_list(struct config_diag *diag, const struct config_node *node,
		bool (*item)(struct config_diag *diag, const struct config_node *node,
			     const char *text, void *into),
		void *into)
{
	const char *at = node->value;
	bool ok = true;

	for (;;) {
		size_t len, skip = strcspn(at, ",");
		const char *start = at + strspn(at, " \t\r\n");
		char text[ITEM_MAX];

		len = start < at + skip ? (size_t)(at + skip - start) : 0;
		while (len && isspace((unsigned char)start[len - 1]))
			len--;
		if (len == 0 || len >= sizeof(text)) {
			config_error(diag, &node->value_place,
				     "%s has %s: expected items with one comma between", node->name,
				     len ? "an item that is too long" : "an empty item");
			ok = false;
		} else {
			memcpy(text, start, len);
			text[len] = 0;
			ok &= item(diag, node, text, into);
		}
		if (!at[skip])
			return ok;
		at += skip + 1;
	}
}
