// SPDX-License-Identifier: BSD-2-Clause
/* Our selectors in the kernel's words match the same packets, no more and no fewer: random ones
 * against random packets, compared as the kernel compares (xfrm_selector_match()). And which
 * policies make a list of an outbound SA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/addr.h"
#include "lib/config.h"
#include "lib/config_policy.h"
#include "lib/sa_selectors.h"
#include "loader/xfrm_sel.h"
#include "tests/lib/sa_make.h"

/* A packet, and its fields as the kernel's flow has them. */
struct packet {
	struct xipsec_addr src, dst;
	__u16 family; /* AF_* */
	__u8 proto;
	__u16 sport, dport; /* ICMP: type and code */
};

static bool in_prefix(const void *have, const void *want, unsigned int len)
{
	const __u8 *a = have, *b = want;

	for (unsigned int bit = 0; bit < len; bit++)
		if ((a[bit / 8] ^ b[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

static bool kernel_matches(const struct xfrm_selector *sel, const struct packet *p)
{
	return sel->family == p->family && in_prefix(&p->src, &sel->saddr, sel->prefixlen_s) &&
	       in_prefix(&p->dst, &sel->daddr, sel->prefixlen_d) &&
	       !((htons(p->dport) ^ sel->dport) & sel->dport_mask) &&
	       !((htons(p->sport) ^ sel->sport) & sel->sport_mask) &&
	       (!sel->proto || sel->proto == p->proto);
}

static bool within(const struct xipsec_addr *addr, const struct xipsec_addr *lo,
		   const struct xipsec_addr *hi)
{
	return addr_compare(addr, lo) >= 0 && addr_compare(addr, hi) <= 0;
}

static bool we_match(const struct xipsec_selector *sel, const struct packet *p, __u8 dir)
{
	const bool out = dir == XIPSEC_DIR_OUT;
	const struct xipsec_addr *local = out ? &p->src : &p->dst,
				 *remote = out ? &p->dst : &p->src;
	const __u16 lport = out ? p->sport : p->dport, rport = out ? p->dport : p->sport;
	const __u16 icmp = (__u16)(p->sport << 8 | (p->dport & 0xff));

	if (sel->family && (sel->family == XIPSEC_FAMILY_IP6) != (p->family == AF_INET6))
		return false;
	if (sel->family && (!within(local, &sel->local_lo, &sel->local_hi) ||
			    !within(remote, &sel->remote_lo, &sel->remote_hi)))
		return false;
	if (!sel->any_proto && sel->l4_proto != p->proto)
		return false;
	if (sel->any_proto)
		return true;
	if (p->proto == IPPROTO_ICMP)
		return icmp >= sel->icmp_lo && icmp <= sel->icmp_hi;
	return lport >= sel->local_port_lo && lport <= sel->local_port_hi &&
	       rport >= sel->remote_port_lo && rport <= sel->remote_port_hi;
}

static struct xipsec_addr addr_random(bool ip6)
{
	struct xipsec_addr addr = {0};

	if (ip6)
		addr.word[0] = htonl(0x20010db8);
	addr.word[ip6 ? 3 : 0] = htonl(0x0a00fff0 + (__u32)rand() % 32); /* over a byte's end */
	return addr;
}

static void range_random(struct xipsec_addr *lo, struct xipsec_addr *hi, bool ip6)
{
	struct xipsec_addr other = addr_random(ip6);

	*lo = addr_random(ip6);
	*hi = addr_compare(lo, &other) < 0 ? other : *lo;
	*lo = addr_compare(lo, &other) < 0 ? *lo : other;
}

static void ports_random(__u16 *lo, __u16 *hi)
{
	static const __u16 ends[] = {0, 1, 22, 1000, 1003, 1024, 65534, 65535};
	__u16 a = ends[rand() % 8], b = ends[rand() % 8];

	*lo = rand() % 3 ? (a < b ? a : b) : 0;
	*hi = *lo || rand() % 2 ? (a < b ? b : a) : 65535;
	if (*hi < *lo)
		*hi = *lo;
}

static struct xipsec_selector selector_random(void)
{
	static const __u8 protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	struct xipsec_selector sel = selector_any;
	const bool ip6 = rand() % 2;

	if (rand() % 5) {
		sel.family = ip6 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
		range_random(&sel.local_lo, &sel.local_hi, ip6);
		range_random(&sel.remote_lo, &sel.remote_hi, ip6);
	}
	if (rand() % 4 == 0)
		return sel;
	sel.any_proto = 0;
	sel.l4_proto = protos[rand() % 3];
	if (sel.l4_proto != IPPROTO_ICMP && rand() % 2)
		ports_random(&sel.local_port_lo, &sel.local_port_hi);
	if (sel.l4_proto != IPPROTO_ICMP && rand() % 4 == 0)
		ports_random(&sel.remote_port_lo, &sel.remote_port_hi);
	if (sel.l4_proto == IPPROTO_ICMP && rand() % 2) {
		const __u16 type = (__u16)(rand() % 4 * 5), more = (__u16)(rand() % 4);

		sel.icmp_lo = (__u16)(type << 8);
		sel.icmp_hi = rand() % 2 ? (__u16)(type << 8 | (rand() % 3 * 127))
					 : (__u16)((type + more) << 8 | 0xff);
	}
	return sel;
}

static struct packet packet_random(void)
{
	static const __u8 protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 47};
	static const __u16 ports[] = {0, 1, 21, 22, 23, 999, 1000, 1002, 1003, 1004, 1024, 65535};
	const bool ip6 = rand() % 2;
	struct packet p = {.src = addr_random(ip6),
			   .dst = addr_random(ip6),
			   .family = ip6 ? AF_INET6 : AF_INET,
			   .proto = protos[rand() % 4]};

	if (p.proto == IPPROTO_ICMP) {
		p.sport = (__u16)(rand() % 20);
		p.dport = (__u16)(rand() % 2 ? rand() % 3 : 127 * (rand() % 3));
	} else if (p.proto != 47) {
		p.sport = ports[rand() % 12];
		p.dport = ports[rand() % 12];
	}
	return p;
}

static void the_same_packets(void **state)
{
	unsigned int said = 0, hits = 0;
	struct xfrm_sels sels;

	srand(7);
	for (unsigned int round = 0; round < 3000; round++) {
		struct xipsec_sa sa = sa_make(rand() % 2 ? XIPSEC_DIR_OUT : XIPSEC_DIR_IN,
					      XIPSEC_ALG_AES128GCM16, 0x1001);

		sa.n_selectors = 1;
		sa.selector[0] = selector_random();
		if (xfrm_sels_make(&sa, &sels))
			continue;
		said++;
		for (unsigned int i = 0; i < 300; i++) {
			struct packet p = packet_random();
			bool kernel = false, ours = we_match(&sa.selector[0], &p, sa.dir);

			for (unsigned int k = 0; k < sels.n && !kernel; k++)
				kernel = kernel_matches(&sels.sel[k], &p);
			assert_int_equal(kernel, ours);
			hits += ours;
		}
	}
	assert_in_range(said, 1500, 3000);
	assert_true(hits > 20000);
}

static void the_order_stays(void **state)
{
	struct xipsec_sa sa = sa_make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16, 0x1001);
	struct xfrm_sels sels;

	sa.n_selectors = 2;
	sa.selector[0] = selector_any;
	sa.selector[0].family = XIPSEC_FAMILY_IP4;
	sa.selector[0].any_proto = 0;
	sa.selector[0].l4_proto = IPPROTO_TCP;
	sa.selector[0].local_port_lo = sa.selector[0].local_port_hi = 22;
	sa.selector[0].local_hi = sa.selector[0].remote_hi =
		(struct xipsec_addr){.word[0] = 0xffffffff};
	sa.refuse[0] = 1;
	sa.selector[1] = selector_any;
	assert_null(xfrm_sels_make(&sa, &sels));
	assert_int_equal(sels.n, 3); /* of both families */
	assert_true(sels.refuse[0]);
	assert_int_equal(sels.sel[0].dport, htons(22)); /* what comes in is for our port */
	assert_int_equal(sels.sel[0].dport_mask, 0xffff);
	assert_int_equal(sels.sel[0].sport_mask, 0);
	assert_false(sels.refuse[1] | sels.refuse[2]);
	assert_int_equal(sels.sel[1].family + sels.sel[2].family, AF_INET + AF_INET6);
}

static void what_cannot_be_said(void **state)
{
	struct xipsec_sa sa = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001);
	struct xfrm_sels sels;

	sa.n_selectors = 1;
#define FAULT(word, change)                                                \
	do {                                                               \
		sa.selector[0] = selector_any;                             \
		assert_null(xfrm_sels_make(&sa, &sels));                   \
		change;                                                    \
		assert_non_null(xfrm_sels_make(&sa, &sels));               \
		assert_non_null(strstr(xfrm_sels_make(&sa, &sels), word)); \
	} while (0)
	FAULT("DSCP", sa.selector[0].dscp = 4);
	FAULT("hidden", sa.selector[0].opaque = XIPSEC_OPAQUE_PORTS);
	FAULT("protocol 0", sa.selector[0].any_proto = 0);
	FAULT("ICMP", sa.selector[0].any_proto = 0; sa.selector[0].l4_proto = IPPROTO_ICMP;
	      sa.selector[0].icmp_lo = 0x0301; sa.selector[0].icmp_hi = 0x0502);
	FAULT("64", sa.selector[0].any_proto = 0; sa.selector[0].l4_proto = IPPROTO_TCP;
	      sa.selector[0].local_port_lo = sa.selector[0].remote_port_lo = 1;
	      sa.selector[0].local_port_hi = sa.selector[0].remote_port_hi = 65534);
#undef FAULT
}

/* ------------------------------------------------------------------ which policies */

static struct config *config_of(const char *policies)
{
	char path[] = "/tmp/test_xfrm_sel.XXXXXX";
	struct config *config = NULL;
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	assert_non_null(file);
	fprintf(file, "policies {\n%s\n}\n", policies);
	fclose(file);
	if (config_load(path, &config, stderr))
		fail_msg("%s", policies);
	unlink(path);
	return config;
}

#define HOST "c {\naction = protect\ndirection = both\nlocal = 192.0.2.1\nremote = 192.0.2.2\n}\n"

static void leaving(const char *policies, unsigned int n, unsigned int refused, const char *fault)
{
	struct xipsec_sa sa = sa_make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16, 0x1001), out;
	struct config *config = config_of(policies);
	const char *said;

	sa.mode = XIPSEC_MODE_TRANSPORT;
	said = sa_selectors_leaving(config, &sa, &out);
	if (fault) {
		assert_non_null(said);
		assert_non_null(strstr(said, fault));
	} else {
		assert_null(said);
		assert_int_equal(out.n_selectors, n);
		for (__u32 i = 0; i < n; i++)
			refused -= out.refuse[i];
		assert_int_equal(refused, 0);
	}
	config_free(config);
}

static void policies_of_an_outbound_sa(void **state)
{
	leaving(HOST, 1, 0, NULL);
	/* what comes later takes nothing, nor does what speaks of others or of what comes in */
	leaving(HOST "s {\naction = bypass\nproto = tcp\nlocal_port = 22\n}\n", 1, 0, NULL);
	leaving("s {\naction = bypass\nremote = 192.0.2.9\n}\n" HOST, 1, 0, NULL);
	leaving("s {\naction = bypass\ndirection = in\nproto = tcp\n}\n" HOST, 1, 0, NULL);
	leaving("s {\naction = bypass\nproto = tcp\nlocal_port = 22\n}\n" HOST, 2, 1, NULL);
	leaving("s {\naction = discard\ndirection = out\nremote = 192.0.2.0/24\n}\n" HOST, 2, 1,
		NULL);
	leaving("c {\naction = protect\ndev = eth0\ndirection = out\nlocal = 192.0.2.1\nremote = "
		"192.0.2.2\n}\n",
		0, 0, "interface");
	leaving("d {\naction = protect\n}\n", 0, 0, "no policy");
	leaving("c {\naction = protect\nlocal = 192.0.2.1\nremote = 192.0.2.0/24\n}\n", 0, 0,
		"beyond its two addresses");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_packets),
		cmocka_unit_test(the_order_stays),
		cmocka_unit_test(what_cannot_be_said),
		cmocka_unit_test(policies_of_an_outbound_sa),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
