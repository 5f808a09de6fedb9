// SPDX-License-Identifier: BSD-2-Clause
/* Traffic selectors: bytes, text, narrowing as a table (RFC 7296 2.9), selectors of the data path.
 */
#include "tests/unit/ike_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "xipsec/selector.h"

/* "10.0.0.0/8", "10.0.0.1-10.0.0.9", "fd00::/8", each with "[proto/lo-hi]" in numbers; "O": OPAQUE.
 */
static struct ts ts_of(const char *text)
{
	char copy[120], *bracket, *dash, *slash;
	struct xipsec_addr lo = {0}, hi = {0};
	unsigned int proto = 0, port_lo = 0, port_hi = XIPSEC_PORT_MAX;
	__u8 family;
	struct ts ts;

	strcpy(copy, text);
	bracket = strchr(copy, '[');
	if (bracket) {
		*bracket = 0;
		if (strchr(bracket + 1, 'O')) {
			sscanf(bracket + 1, "%u", &proto);
			port_lo = XIPSEC_PORT_MAX;
			port_hi = 0;
		} else {
			sscanf(bracket + 1, "%u/%u-%u", &proto, &port_lo, &port_hi);
		}
	}
	family = strchr(copy, ':') ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
	dash = strchr(copy, '-');
	slash = strchr(copy, '/');
	if (dash || slash)
		*(dash ? dash : slash) = 0;
	assert_int_equal(inet_pton(family == 4 ? AF_INET : AF_INET6, copy, lo.byte), 1);
	ts = ts_of_prefix(family, &lo,
			  slash         ? (unsigned int)atoi(slash + 1)
			  : family == 4 ? 32
					: 128);
	if (dash) {
		assert_int_equal(inet_pton(family == 4 ? AF_INET : AF_INET6, dash + 1, hi.byte), 1);
		ts.hi = hi;
	}
	ts.proto = (__u8)proto;
	ts.port_lo = (__u16)port_lo;
	ts.port_hi = (__u16)port_hi;
	return ts;
}

static struct ts_list list_of(const char *words)
{
	char copy[600], *rest = copy, *word;
	struct ts_list list = {0};

	strcpy(copy, words);
	while (*copy && (word = strsep(&rest, " ")))
		list.ts[list.n++] = ts_of(word);
	return list;
}

/* ------------------------------------------------------------------ bytes */

static const __u8
	payload[] =
		{
			2,    0,  0,   0, /* two */
			7,    6,  0,   16,  1,   187,  1,   187, 10,  0,   0,
			0,    10, 255, 255, 255,                 /* 10.0.0.0/8[tcp/443]
								  */
			8,    0,  0,   40,  0,   0,    255, 255, /* fd00::/64 */
			0xfd, 0,  0,   0,   0,   0,    0,   0,   0,   0,   0,
			0,    0,  0,   0,   0,   0xfd, 0,   0,   0,   0,   0,
			0,    0,  255, 255, 255, 255,  255, 255, 255, 255,
};

static void bytes(void **state)
{
	struct ts_list list, want = list_of("10.0.0.0/8[6/443-443] fd00::/64");
	struct ike_fault fault;
	struct writer w = {0};

	if (payload_ts_parse(BYTES_OF(payload), &list, &fault))
		fail_msg("%s", fault.what);
	assert_int_equal(list.n, 2);
	assert_true(ts_equal(&list.ts[0], &want.ts[0]) && ts_equal(&list.ts[1], &want.ts[1]));
	payload_ts_write(&w, &list);
	assert_true(bytes_equal(writer_view(&w), BYTES_OF(payload)));
	writer_free(&w);
	for (size_t n = 0; n < sizeof(payload); n++) {
		__u8 *copy = exact_copy(payload, n);

		assert_int_equal(payload_ts_parse(BYTES(copy, n), &list, &fault), -EBADMSG);
		assert_int_equal(fault.notify, IKE_N_INVALID_SYNTAX);
		free(copy);
	}
}

static void strict(void **state)
{
	static const struct {
		__u8 at, value;
		int err;
	} rows[] = {
		{0, 1, -EBADMSG},                                 /* bytes behind the last */
		{0, 3, -EBADMSG},   {0, 0, -EBADMSG},  {1, 9, 0}, /* reserved */
		{4, 9, 0},        /* a type to come is passed over */
		{4, 8, -EBADMSG}, /* IPv6 of 16 bytes */
		{7, 15, -EBADMSG},  {7, 17, -EBADMSG}, {7, 3, -EBADMSG},
		{8, 2, -EBADMSG},   /* from port 699 to 443 */
		{12, 11, -EBADMSG}, /* from 11.0.0.0 to 10.255.255.255 */
	};
	struct ts_list list;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		__u8 *copy = exact_copy(payload, sizeof(payload));

		copy[rows[i].at] = rows[i].value;
		if (payload_ts_parse(BYTES(copy, sizeof(payload)), &list, NULL) != rows[i].err)
			fail_msg("row %zu", i);
		if (rows[i].value == 9 && rows[i].at == 4)
			assert_int_equal(list.n, 1);
		free(copy);
	}
}

static void more_than_kept(void **state)
{
	struct ts_list many = {.n = TS_MAX}, list;
	struct writer w = {0};

	for (unsigned int i = 0; i < TS_MAX; i++)
		many.ts[i] = ts_of("10.0.0.1");
	payload_ts_write(&w, &many);
	w.data[0] = 255;
	for (unsigned int i = TS_MAX; i < 255; i++)
		writer_bytes(&w, BYTES("\7\0\0\x10\0\0\xff\xff\1\1\1\1\1\1\1\1", 16));
	assert_int_equal(payload_ts_parse(writer_view(&w), &list, NULL), 0);
	assert_int_equal(list.n, TS_MAX);
	writer_free(&w);
}

static void text(void **state)
{
	static const char *const rows[][2] = {
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.0.0.1", "10.0.0.1/32"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"},
		{"10.0.0.0-10.0.0.7", "10.0.0.0/29"},
		{"fd00::/64[58/32768-33023]", "fd00::/64[ipv6-icmp/128-128(255)]"},
		{"::/0[17/O]", "::/0[udp/OPAQUE]"},
		{"10.0.0.0/8[6/443-443]", "10.0.0.0/8[tcp/443]"},
		{"10.0.0.0/8[17/1-9]", "10.0.0.0/8[udp/1-9]"},
		{"10.0.0.0/8[0/53-53]", "10.0.0.0/8[/53]"},
		{"10.0.0.0/8[47]", "10.0.0.0/8[gre]"},
		{"10.0.0.0/8[99]", "10.0.0.0/8[99]"},
		{"10.0.0.0/8[1/2048-2048]", "10.0.0.0/8[icmp/8]"},
	};
	struct ts_list both = list_of("10.0.0.0/8 fd00::/64");
	char out[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ts ts = ts_of(rows[i][0]);

		assert_int_equal(ts_print(&ts, out, sizeof(out)), strlen(rows[i][1]));
		assert_string_equal(out, rows[i][1]);
	}
	assert_int_equal(ts_list_print(&both, out, 8), strlen("10.0.0.0/8, fd00::/64"));
	assert_string_equal(out, "10.0.0.");
}

/* ------------------------------------------------------------------ narrowing */

static const struct {
	const char *theirs, *ours, *result;
	bool narrowed;
} table[] = {
	{"10.1.0.0/16", "10.1.0.0/16", "10.1.0.0/16", false},
	{"0.0.0.0/0", "10.1.0.0/16", "10.1.0.0/16", true},
	{"10.1.0.0/16", "0.0.0.0/0", "10.1.0.0/16", false},
	{"10.1.0.0/16", "10.2.0.0/16", "", true},
	{"10.1.0.0/16", "fd00::/8", "", true},
	{"0.0.0.0/0 ::/0", "10.1.0.0/16 fd01::/16", "10.1.0.0/16 fd01::/16", true},
	{"10.1.0.0-10.1.0.20", "10.1.0.10-10.1.0.30", "10.1.0.10-10.1.0.20", true},
	/* the first is the packet's (2.9): it stays first, and what holds it swallows it */
	{"10.1.0.5[6/80-80] 10.1.0.0/16", "10.1.0.0/24", "10.1.0.0/24", true},
	{"10.1.0.5[6/80-80] 10.2.0.0/16", "10.1.0.0/24 10.2.0.0/16",
	 "10.1.0.5[6/80-80] 10.2.0.0/16", false},
	/* protocols and ports */
	{"10.0.0.0/8", "10.0.0.0/8[6/443-443]", "10.0.0.0/8[6/443-443]", true},
	{"10.0.0.0/8[17]", "10.0.0.0/8[6]", "", true},
	{"10.0.0.0/8[6/1-500]", "10.0.0.0/8[6/400-900]", "10.0.0.0/8[6/400-500]", true},
	{"10.0.0.0/8[6/1-10]", "10.0.0.0/8[6/20-30]", "", true},
	{"10.0.0.0/8[0/53-53]", "10.0.0.0/8[17]", "10.0.0.0/8[17/53-53]", true},
	{"10.0.0.0/8[6/80-80] 10.0.0.0/8[17/53-53]", "10.0.0.0/8",
	 "10.0.0.0/8[6/80-80] 10.0.0.0/8[17/53-53]", false},
	/* OPAQUE (RFC 7296 3.13.1): in "any", in itself, in no range */
	{"10.0.0.0/8[17/O]", "10.0.0.0/8", "10.0.0.0/8[17/O]", false},
	{"10.0.0.0/8[17/O]", "10.0.0.0/8[17/O]", "10.0.0.0/8[17/O]", false},
	{"10.0.0.0/8[17/O]", "10.0.0.0/8[17/0-65534]", "", true},
	/* doubles fall together */
	{"10.0.0.0/8 10.0.0.0/8", "10.0.0.0/8 10.0.0.0/9", "10.0.0.0/8", false},
	{"10.0.0.0/9 10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8", false},
};

static void narrows(void **state)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct ts_list theirs = list_of(table[i].theirs), ours = list_of(table[i].ours);
		struct ts_list want = list_of(table[i].result), got;
		bool narrowed = ts_narrow(&theirs, &ours, &got);
		char line[300];

		ts_list_print(&got, line, sizeof(line));
		if (got.n != want.n || narrowed != table[i].narrowed)
			fail_msg("%s in %s: %s, %d", table[i].theirs, table[i].ours, line,
				 narrowed);
		for (unsigned int n = 0; n < got.n; n++)
			if (!ts_equal(&got.ts[n], &want.ts[n]))
				fail_msg("%s in %s: %s", table[i].theirs, table[i].ours, line);
		/* what is narrowed from both is in both */
		assert_int_equal(ts_accept(&theirs, &got), got.n > 0);
		assert_int_equal(ts_accept(&ours, &got), got.n > 0);
	}
}

static void accepts(void **state)
{
	struct ts_list offered = list_of("10.0.0.0/8[6] fd00::/8"), answer;

	answer = list_of("10.1.0.0/16[6/443-443]");
	assert_true(ts_accept(&offered, &answer));
	answer = list_of("10.1.0.0/16[6/443-443] 11.0.0.0/8[6]");
	assert_false(ts_accept(&offered, &answer));
	answer = list_of("10.1.0.0/16");
	assert_false(ts_accept(&offered, &answer));
	answer = list_of("");
	assert_false(ts_accept(&offered, &answer));
	assert_true(ts_list_equal(&offered, &offered));
	answer = list_of("fd00::/8 10.0.0.0/8[6]");
	assert_true(ts_list_equal(&offered, &answer));
	answer.n = 1;
	assert_false(ts_list_equal(&offered, &answer));
	assert_false(ts_list_equal(&answer, &offered));
}

/* More results than there is room for: the rest is left out, and that is said. */
static void narrow_is_bounded(void **state)
{
	struct ts_list theirs = {.n = TS_MAX}, ours = {.n = 2}, got;

	ours.ts[0] = ts_of("10.0.0.0-10.0.0.100");
	ours.ts[1] = ts_of("10.0.0.102-10.0.0.200");
	for (unsigned int i = 0; i < TS_MAX; i++) {
		theirs.ts[i] = ts_of("10.0.0.0/24[6/0-0]");
		theirs.ts[i].port_lo = theirs.ts[i].port_hi = (__u16)i;
	}
	assert_true(ts_narrow(&theirs, &ours, &got));
	assert_int_equal(got.n, TS_MAX);
}

/* ------------------------------------------------------------------ of the data path */

static struct xipsec_flow flow_of(const char *local, __u16 lport, const char *remote, __u16 rport,
				  __u8 proto)
{
	struct xipsec_flow flow = {.local_port = lport, .remote_port = rport, .l4_proto = proto};

	flow.family = strchr(local, ':') ? 6 : 4;
	inet_pton(flow.family == 4 ? AF_INET : AF_INET6, local, flow.local.byte);
	inet_pton(flow.family == 4 ? AF_INET : AF_INET6, remote, flow.remote.byte);
	return flow;
}

static bool any_match(const struct xipsec_selector *sel, unsigned int n, struct xipsec_flow flow)
{
	for (unsigned int i = 0; i < n; i++)
		if (xipsec_selector_match(&sel[i], &flow) == XIPSEC_MATCH_YES)
			return true;
	return false;
}

static void to_selectors(void **state)
{
	struct ts_list local = list_of("10.0.0.3-10.0.0.9 fd00::/64"),
		       remote = list_of("10.9.0.0/16[6/443-443] fd09::1");
	struct xipsec_selector sel[64];
	struct xipsec_flow hidden;
	struct ts back[2][2];
	unsigned int n = 99;

	assert_int_equal(ts_selectors(&local, &remote, sel, 64, &n), 0);
	assert_int_equal(n, 2); /* one of each family */
	assert_true(any_match(sel, n, flow_of("10.0.0.3", 9, "10.9.1.1", 443, 6)));
	assert_true(any_match(sel, n, flow_of("10.0.0.9", 9, "10.9.1.1", 443, 6)));
	assert_false(any_match(sel, n, flow_of("10.0.0.2", 9, "10.9.1.1", 443, 6)));
	assert_false(any_match(sel, n, flow_of("10.0.0.10", 9, "10.9.1.1", 443, 6)));
	assert_false(any_match(sel, n, flow_of("10.0.0.5", 9, "10.9.1.1", 444, 6)));
	assert_false(any_match(sel, n, flow_of("10.0.0.5", 9, "10.9.1.1", 443, 17)));
	assert_true(any_match(sel, n, flow_of("fd00::5", 9, "fd09::1", 443, 17)));
	assert_false(any_match(sel, n, flow_of("fd00:0:0:1::", 9, "fd09::1", 443, 17)));
	n = 99;
	assert_int_equal(ts_selectors(&local, &remote, sel, 1, &n), -E2BIG);
	assert_int_equal(n, 99);
	remote = list_of("10.9.0.0/16[17/O]");
	assert_int_equal(ts_selectors(&local, &remote, sel, 64, &n), 0);
	assert_int_equal(n, 1); /* OPAQUE: what hides its ports, and nothing else */
	assert_int_equal(sel[0].opaque, XIPSEC_OPAQUE_PORTS);
	assert_int_equal(sel[0].l4_proto, IPPROTO_UDP);
	assert_false(any_match(sel, n, flow_of("10.0.0.5", 9, "10.9.1.1", 443, 17)));
	hidden = flow_of("10.0.0.5", 0, "10.9.1.1", 0, 17);
	hidden.opaque = XIPSEC_OPAQUE_PORTS;
	assert_true(any_match(sel, n, hidden));
	ts_of_selector(&sel[0], back[0], back[1], &n);
	assert_int_equal(n, 1);
	assert_true(ts_equal(&back[1][0], &remote.ts[0]));
	/* no packet hides one port and shows the other */
	local = list_of("10.0.0.0/8[17/53-53]");
	assert_int_equal(ts_selectors(&local, &remote, sel, 64, &n), 0);
	assert_int_equal(n, 0);
}

/* A range is one selector, wherever it begins and ends. */
static void range_edges(void **state)
{
	static const char *const rows[] = {
		"0.0.0.1-255.255.255.254",
		"0.0.0.0/0",
		"0.0.0.1-255.255.255.255",
		"255.255.255.255",
		"::/0",
		"ffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
	};
	struct xipsec_selector sel;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool six = strchr(rows[i], ':');
		struct ts_list local = list_of(rows[i]);
		struct ts_list remote = list_of(six ? "fd00::1" : "10.0.0.1");
		struct ts l[2], r[2];
		unsigned int n;

		assert_int_equal(ts_selectors(&local, &remote, &sel, 1, &n), 0);
		assert_int_equal(n, 1);
		ts_of_selector(&sel, l, r, &n);
		assert_int_equal(n, 1);
		assert_true(ts_equal(&l[0], &local.ts[0]));
		assert_true(ts_equal(&r[0], &remote.ts[0]));
	}
}

/* A Mobility Header's type stands where others have ports (RFC 7296 3.13.1). */
static void mobility(void **state)
{
	struct ts_list local = list_of("fd00::/8[135/1280-1535]"),
		       remote = list_of("fd00::/8[135]");
	struct xipsec_selector sel;
	unsigned int n;

	assert_int_equal(ts_selectors(&local, &remote, &sel, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(sel.icmp_lo, 5 << 8);
	assert_int_equal(sel.icmp_hi, 5 << 8 | 255);
	assert_int_equal(sel.local_port_hi, XIPSEC_PORT_MAX);
}

static void icmp(void **state)
{
	struct ts_list local = list_of("10.0.0.0/8[1/2048-2303]"),
		       remote = list_of("11.0.0.0/8[1]");
	struct xipsec_selector sel[2];
	struct ts l[2], r[2];
	unsigned int n;

	assert_int_equal(ts_selectors(&local, &remote, sel, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(sel[0].icmp_lo, 2048);
	assert_int_equal(sel[0].icmp_hi, 2303);
	assert_int_equal(sel[0].local_port_hi, XIPSEC_PORT_MAX);
	ts_of_selector(&sel[0], l, r, &n);
	assert_int_equal(n, 1);
	assert_true(ts_equal(&l[0], &local.ts[0]));
	assert_int_equal(r[0].port_lo, 2048);
}

static void of_selector(void **state)
{
	struct xipsec_selector any = {.local_port_hi = XIPSEC_PORT_MAX,
				      .remote_port_lo = 53,
				      .remote_port_hi = 53,
				      .icmp_hi = XIPSEC_PORT_MAX,
				      .l4_proto = IPPROTO_UDP};
	struct ts local[2], remote[2];
	unsigned int n;
	char line[100];

	ts_of_selector(&any, local, remote, &n);
	assert_int_equal(n, 2);
	ts_print(&local[0], line, sizeof(line));
	assert_string_equal(line, "0.0.0.0/0[udp]");
	ts_print(&remote[1], line, sizeof(line));
	assert_string_equal(line, "::/0[udp/53]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(strict),
		cmocka_unit_test(more_than_kept),
		cmocka_unit_test(text),
		cmocka_unit_test(narrows),
		cmocka_unit_test(accepts),
		cmocka_unit_test(narrow_is_bounded),
		cmocka_unit_test(to_selectors),
		cmocka_unit_test(range_edges),
		cmocka_unit_test(icmp),
		cmocka_unit_test(mobility),
		cmocka_unit_test(of_selector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
