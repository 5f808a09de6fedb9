// SPDX-License-Identifier: BSD-2-Clause
#include "worker/device.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#define TAG_MASK 0xffff0fff /* without priority and DEI */

/* What is better than something else about an address. */
enum {
	IS_BASE = 1,
	IS_THERE = 2, /* of the interface or VLAN that the error goes out by */
	IS_WIDE = 4,  /* not of the link alone */
};

struct choice {
	const struct xipsec_addr *addr;
	int good;
};

static void consider(struct choice *best, const struct xipsec_addr *addr, __u8 family, int good)
{
	static const struct xipsec_addr none;

	if (!memcmp(addr, &none, sizeof(none)))
		return;
	if (family == XIPSEC_FAMILY_IP4 || addr->byte[0] != 0xfe || (addr->byte[1] & 0xc0) != 0x80)
		good |= IS_WIDE;
	if (!best->addr || good > best->good)
		*best = (struct choice){addr, good};
}

static bool tags_fit(const struct ctl_vlan *of, const __be32 *vlan, __u32 n)
{
	for (__u32 i = 0; i < XIPSEC_VLANS_MAX; i++)
		if ((of->vlan[i] ^ (i < n ? vlan[i] : 0)) & htonl(TAG_MASK))
			return false;
	return true;
}

const struct xipsec_addr *device_source(const struct device *dev, __u8 family, const __be32 *vlan,
					__u32 n)
{
	const bool ip4 = family == XIPSEC_FAMILY_IP4;
	struct choice best = {0};

	if (!dev->known)
		return NULL;
	consider(&best, ip4 ? &dev->ctl.ip4 : &dev->ctl.ip6, family, IS_BASE | (n ? 0 : IS_THERE));
	for (__u32 i = 0; i < dev->ctl.n_vlans; i++) {
		const struct ctl_vlan *of = &dev->ctl.vlan[i];

		consider(&best, ip4 ? &of->ip4 : &of->ip6, family,
			 n && tags_fit(of, vlan, n) ? IS_THERE : 0);
	}
	return best.addr;
}

const struct xipsec_addr *device_source_of(const struct device *dev, __u8 family, const __u8 *l2,
					   __u32 len)
{
	__be32 vlan[XIPSEC_VLANS_MAX] = {0};
	__u32 n = len > ETH_HLEN ? (len - ETH_HLEN) / sizeof(vlan[0]) : 0;

	if (n > XIPSEC_VLANS_MAX)
		n = XIPSEC_VLANS_MAX;
	memcpy(vlan, l2 + 2 * ETH_ALEN, n * sizeof(vlan[0]));
	return device_source(dev, family, vlan, n);
}
