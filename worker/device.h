/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker knows of an interface with a role (struct device, loop.h). */
#ifndef WORKER_DEVICE_H
#define WORKER_DEVICE_H

#include "worker/loop.h"

/* Whose address an ICMP error has that is sent by the interface, or by the VLAN on it that has the
 * `n` tags `vlan` (ethertype and tag, outer first, as they stand in a frame; n <= 2): that of just
 * this interface or VLAN if it has one, else another of this host's on the same wire (RFC 1812
 * 4.3.2.4, RFC 4443 2.2), but one of the link alone only where there is no other, for no router
 * would hand that on. `family`: XIPSEC_FAMILY_*. NULL: there is none. Valid until the next DEV. */
const struct xipsec_addr *device_source(const struct device *dev, __u8 family, const __be32 *vlan,
					__u32 n);

/* The same by the Ethernet header of a frame, `len` bytes with its tags: 14, 18 or 22. */
const struct xipsec_addr *device_source_of(const struct device *dev, __u8 family, const __u8 *l2,
					   __u32 len);

#endif
