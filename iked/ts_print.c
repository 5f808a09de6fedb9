// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "iked/ts.h"

#define PROTO_MH 135
#define TEXT_MAX 160 /* of one selector */

static const struct {
	__u8 proto;
	const char *name;
} protos[] = {
	{IPPROTO_ICMP, "icmp"},        {IPPROTO_TCP, "tcp"},   {IPPROTO_UDP, "udp"},
	{IPPROTO_GRE, "gre"},          {IPPROTO_ESP, "esp"},   {IPPROTO_AH, "ah"},
	{IPPROTO_ICMPV6, "ipv6-icmp"}, {IPPROTO_SCTP, "sctp"}, {PROTO_MH, "mobility-header"},
};

static bool is_prefix(const struct ts *ts, unsigned int *bits)
{
	unsigned int end = ts->family == XIPSEC_FAMILY_IP4 ? 32 : 128;

	for (*bits = 0; *bits <= end; (*bits)++) {
		struct ts prefix = ts_of_prefix(ts->family, &ts->lo, *bits);

		if (!memcmp(prefix.lo.byte, ts->lo.byte, 16) &&
		    !memcmp(prefix.hi.byte, ts->hi.byte, 16))
			return true;
	}
	return false;
}

static int print_addrs(const struct ts *ts, char *to, size_t size)
{
	int family = ts->family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6;
	char lo[INET6_ADDRSTRLEN] = "", hi[INET6_ADDRSTRLEN] = "";
	unsigned int bits;

	inet_ntop(family, ts->lo.byte, lo, sizeof(lo));
	inet_ntop(family, ts->hi.byte, hi, sizeof(hi));
	if (is_prefix(ts, &bits))
		return snprintf(to, size, "%s/%u", lo, bits);
	return snprintf(to, size, "%s-%s", lo, hi);
}

static void print_proto(__u8 proto, char *to, size_t size)
{
	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
		if (protos[i].proto == proto) {
			snprintf(to, size, "%s", protos[i].name);
			return;
		}
	}
	snprintf(to, size, "%u", proto);
}

/* Type, or type(code), as strongSwan has it. */
static int print_icmp(__u16 port, char *to, size_t size)
{
	return snprintf(to, size, port & 0xff ? "%u(%u)" : "%u", port >> 8, port & 0xff);
}

static void print_ports(const struct ts *ts, char *to, size_t size)
{
	bool types = ts->proto == IPPROTO_ICMP || ts->proto == IPPROTO_ICMPV6 ||
		     ts->proto == PROTO_MH;
	int n;

	*to = 0;
	if (ts->port_lo == 0 && ts->port_hi == XIPSEC_PORT_MAX)
		return;
	if (ts->port_lo > ts->port_hi) {
		snprintf(to, size, "/OPAQUE");
	} else if (types) {
		n = snprintf(to, size, "/");
		n += print_icmp(ts->port_lo, to + n, size - (size_t)n);
		if (ts->port_lo == ts->port_hi)
			return;
		n += snprintf(to + n, size - (size_t)n, "-");
		print_icmp(ts->port_hi, to + n, size - (size_t)n);
	} else if (ts->port_lo == ts->port_hi) {
		snprintf(to, size, "/%u", ts->port_lo);
	} else {
		snprintf(to, size, "/%u-%u", ts->port_lo, ts->port_hi);
	}
}

size_t ts_print(const struct ts *ts, char *to, size_t size)
{
	char addrs[TEXT_MAX / 2 + 16], proto[20] = "", ports[40];
	int n;

	print_addrs(ts, addrs, sizeof(addrs));
	print_ports(ts, ports, sizeof(ports));
	if (ts->proto)
		print_proto(ts->proto, proto, sizeof(proto));
	if (ts->proto || *ports)
		n = snprintf(to, size, "%s[%s%s]", addrs, proto, ports);
	else
		n = snprintf(to, size, "%s", addrs);
	return (size_t)n;
}

size_t ts_list_print(const struct ts_list *list, char *to, size_t size)
{
	size_t at = 0;

	if (size)
		*to = 0;
	for (unsigned int i = 0; i < list->n; i++) {
		if (i)
			at += (size_t)snprintf(at < size ? to + at : NULL,
					       at < size ? size - at : 0, ", ");
		at += ts_print(&list->ts[i], at < size ? to + at : NULL, at < size ? size - at : 0);
	}
	return at;
}
