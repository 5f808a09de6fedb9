// SPDX-License-Identifier: BSD-2-Clause
/* Traffic selectors as strongSwan writes them: ADDRESSES[PROTO/PORTS]. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config_conn.h"

#define TS_TEXT_MAX 256

static const struct conn_ts ts_any = {.any_proto = true, .port_hi = XIPSEC_PORT_MAX};

static bool ts_addresses(const char *text, struct conn_ts *ts)
{
	if (strcmp(text, "dynamic") == 0 || !text[0]) {
		ts->dynamic = true;
		return true;
	}
	return text_addr_range(text, &ts->lo, &ts->hi, &ts->family);
}

/* N, N-M, any or opaque. */
static bool ts_ports(char *text, struct conn_ts *ts)
{
	unsigned int lo, hi;
	char *dash;

	if (strcmp(text, "any") == 0)
		return true;
	if (strcmp(text, "opaque") == 0) {
		ts->opaque = true;
		return true;
	}
	dash = strchr(text, '-');
	if (dash)
		*dash = 0;
	if (!text_number(text, &lo) || !text_number(dash ? dash + 1 : text, &hi) || lo > hi ||
	    hi > XIPSEC_PORT_MAX)
		return false;
	ts->port_lo = lo;
	ts->port_hi = hi;
	return true;
}

static bool has_ports(const struct conn_ts *ts)
{
	static const __u8 protos[] = {IPPROTO_TCP,  IPPROTO_UDP,     IPPROTO_SCTP,   IPPROTO_DCCP,
				      IPPROTO_ICMP, IPPROTO_UDPLITE, IPPROTO_ICMPV6, IPPROTO_MH};

	return !ts->any_proto && memchr(protos, ts->l4_proto, sizeof(protos));
}

/* What stands in the brackets: PROTO or PROTO/PORTS. */
static bool ts_protocol(char *text, struct conn_ts *ts)
{
	char *ports = strchr(text, '/');
	unsigned int proto;

	if (ports)
		*ports++ = 0;
	if (!text_proto(text, &proto))
		return false;
	ts->any_proto = proto > 255 || proto == 0; /* 0 is any, RFC 7296 3.13.1 */
	ts->l4_proto = ts->any_proto ? 0 : proto;
	if (!ports)
		return true;
	if (!ts_ports(ports, ts))
		return false;
	return has_ports(ts) || (ts->port_lo == 0 && ts->port_hi == XIPSEC_PORT_MAX);
}

static bool text_ts(const char *text, struct conn_ts *ts)
{
	char copy[TS_TEXT_MAX];
	size_t len = strlen(text);
	char *bracket;

	*ts = ts_any;
	if (len >= sizeof(copy))
		return false;
	strcpy(copy, text);
	bracket = strchr(copy, '[');
	if (bracket) {
		if (copy[len - 1] != ']')
			return false;
		copy[len - 1] = 0;
		*bracket++ = 0;
		if (!ts_protocol(bracket, ts))
			return false;
	}
	return ts_addresses(copy, ts);
}

static bool ts_item(struct config_diag *diag, const struct config_node *node, const char *text,
		    void *into)
{
	struct conn_ts_list *out = into;
	struct conn_ts *more;

	if (out->n == CONN_TS_MAX) {
		config_error(diag, &node->value_place,
			     "%s has too many selectors: expected at most %u", node->name,
			     CONN_TS_MAX);
		return false;
	}
	more = realloc(out->ts, (out->n + 1) * sizeof(*more));
	if (!more) {
		diag->nomem = true;
		return false;
	}
	out->ts = more;
	if (!text_ts(text, &more[out->n])) {
		config_error(diag, &node->value_place,
			     "%s: %s is no selector: expected dynamic, ADDRESS/LENGTH or "
			     "FIRST-LAST, with [PROTO] or [PROTO/PORTS] behind it if wanted, ports "
			     "as numbers",
			     node->name, config_shown(text));
		return false;
	}
	out->n++;
	return true;
}

bool parse_ts(struct config_diag *diag, const struct config_node *node, struct conn_ts_list *out)
{
	return parse_list(diag, node, ts_item, out);
}
