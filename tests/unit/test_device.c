// SPDX-License-Identifier: BSD-2-Clause
/* Whose address an ICMP error has: of the interface or VLAN that it goes out by, as xipsecd reads
 * them from rtnetlink's answers and workers choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "loader/route_links.h"
#include "worker/device.h"

#define TAG(id)   htonl(0x81000000 | (id))
#define OUTER(id) htonl(0x88a80000 | (id))

static struct xipsec_addr addr(const char *text)
{
	struct xipsec_addr out = {0};

	if (*text)
		assert_int_equal(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, out.byte),
				 1);
	return out;
}

static struct ctl_vlan vlan(__be32 outer, __be32 inner, const char *ip4, const char *ip6)
{
	return (struct ctl_vlan){{outer, inner}, addr(ip4), addr(ip6)};
}

static struct device device(const char *ip4, const char *ip6, unsigned int n,
			    const struct ctl_vlan *of)
{
	struct device dev = {.known = true, .ctl.ip4 = addr(ip4), .ctl.ip6 = addr(ip6)};

	dev.ctl.n_vlans = n;
	memcpy(dev.ctl.vlan, of, n * sizeof(*of));
	return dev;
}

static void is(const struct xipsec_addr *got, const char *want)
{
	struct xipsec_addr wanted = addr(want);

	if (!*want) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_memory_equal(got, &wanted, sizeof(wanted));
}

/* One frame's tags and the addresses that are expected. */
static void from(const struct device *dev, __be32 outer, __be32 inner, const char *ip4,
		 const char *ip6)
{
	const __be32 tags[2] = {outer, inner};
	const __u32 n = !!outer + !!inner;
	__u8 l2[22] = {0};

	is(device_source(dev, XIPSEC_FAMILY_IP4, tags, n), ip4);
	is(device_source(dev, XIPSEC_FAMILY_IP6, tags, n), ip6);
	memcpy(l2 + 12, tags, 4 * n);
	is(device_source_of(dev, XIPSEC_FAMILY_IP4, l2, 14 + 4 * n), ip4);
	is(device_source_of(dev, XIPSEC_FAMILY_IP6, l2, 14 + 4 * n), ip6);
}

static void by_tags(void **state)
{
	const struct ctl_vlan of[] = {vlan(TAG(20), 0, "10.1.20.1", "fd20::1"),
				      vlan(TAG(30), 0, "10.1.30.1", "fe80::30"),
				      vlan(OUTER(20), TAG(31), "10.1.31.1", "fd31::1")};
	struct device dev = device("10.1.0.1", "fd00::1", 3, of);

	from(&dev, 0, 0, "10.1.0.1", "fd00::1");
	from(&dev, TAG(20), 0, "10.1.20.1", "fd20::1");
	/* priority and DEI say nothing of which VLAN it is; a tag of priority alone names none */
	from(&dev, TAG(0xf014), 0, "10.1.20.1", "fd20::1");
	from(&dev, TAG(0xe000), 0, "10.1.0.1", "fd00::1");
	/* no router hands on what comes from an address of the link */
	from(&dev, TAG(30), 0, "10.1.30.1", "fd00::1");
	from(&dev, OUTER(20), TAG(31), "10.1.31.1", "fd31::1");
	/* neither half of two tags is enough, nor the number under another ethertype */
	from(&dev, OUTER(20), 0, "10.1.0.1", "fd00::1");
	from(&dev, TAG(20), TAG(31), "10.1.0.1", "fd00::1");
	from(&dev, TAG(77), 0, "10.1.0.1", "fd00::1");
}

/* Addresses on VLANs alone: an error on another one, or without a tag, is from one of them. */
static void better_than_none(void **state)
{
	const struct ctl_vlan of[] = {vlan(TAG(10), 0, "", "fe80::10"),
				      vlan(TAG(20), 0, "10.1.20.1", ""),
				      vlan(TAG(30), 0, "10.1.30.1", "fd30::1")};
	struct device dev = device("", "fe80::1", 3, of);

	from(&dev, 0, 0, "10.1.20.1", "fd30::1");
	from(&dev, TAG(10), 0, "10.1.20.1", "fd30::1");
	from(&dev, TAG(30), 0, "10.1.30.1", "fd30::1");
	dev.ctl.n_vlans = 1;
	from(&dev, TAG(10), 0, "", "fe80::10");
	from(&dev, 0, 0, "", "fe80::1");
	from(&dev, TAG(20), 0, "", "fe80::1");
	dev = device("", "", 0, of);
	from(&dev, TAG(20), 0, "", "");
	dev = device("10.1.0.1", "fd00::1", 0, of);
	dev.known = false;
	from(&dev, 0, 0, "", "");
}

/* ------------------------------------------------------------------ as xipsecd reads them */

static struct route_link link_of(unsigned int ifindex, unsigned int lower, __be32 tag,
				 const char *ip4)
{
	return (struct route_link){
		.ifindex = ifindex, .lower = lower, .vlan = tag, .up = true, .ip4 = addr(ip4)};
}

static void vlans_of_an_interface(void **state)
{
	struct route_link link[] = {
		link_of(1, 0, 0, "10.0.0.1"),       link_of(2, 0, 0, "10.0.0.2"),
		link_of(3, 1, TAG(20), "10.0.0.3"), link_of(4, 2, TAG(20), "10.0.0.4"),
		link_of(5, 1, OUTER(30), ""),       link_of(6, 5, TAG(31), "10.0.0.6"),
		link_of(7, 6, TAG(32), "10.0.0.7"), /* a third tag nobody sees through */
		link_of(8, 1, TAG(40), "10.0.0.8"),
	};
	const struct route_links links = {link, 8};
	const struct ctl_vlan want[] = {vlan(TAG(20), 0, "10.0.0.3", ""),
					vlan(OUTER(30), TAG(31), "10.0.0.6", ""),
					vlan(TAG(40), 0, "10.0.0.8", "")};
	struct ctl_vlan got[4];

	assert_int_equal(route_links_vlans(&links, 1, got, 4), 3);
	assert_memory_equal(got, want, sizeof(want));
	assert_int_equal(route_links_vlans(&links, 1, got, 2), 2);
	assert_int_equal(route_links_vlans(&links, 2, got, 4), 1);
	assert_memory_equal(&got[0].ip4, &link[3].ip4, sizeof(link[3].ip4));
	/* what is down, or on what is down, is no way */
	link[7].up = link[4].up = false;
	assert_int_equal(route_links_vlans(&links, 1, got, 4), 1);
	/* an IPv6 address is one too */
	link[2].ip4 = addr("");
	assert_int_equal(route_links_vlans(&links, 1, got, 4), 0);
	link[2].ip6 = addr("fd20::1");
	assert_int_equal(route_links_vlans(&links, 1, got, 4), 1);
	assert_memory_equal(&got[0].ip6, &link[2].ip6, sizeof(link[2].ip6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_tags),
		cmocka_unit_test(better_than_none),
		cmocka_unit_test(vlans_of_an_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
