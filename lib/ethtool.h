/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an interface's driver says about itself, by SIOCETHTOOL: it answers for the network
 * namespace of the caller, which sysfs does not.
 */
#ifndef LIB_ETHTOOL_H
#define LIB_ETHTOOL_H

#include <stdbool.h>

/* Receive queues in use, at least 1 (drivers that cannot say have one); -errno without a socket. */
int ethtool_queues(const char *ifname);

/* Name of the driver ("veth"); "" where the driver has none. 0 or -errno. */
int ethtool_driver(const char *ifname, char out[32]);

/* May it encrypt ESP itself ("esp-hw-offload" is on)? 0 or -errno. */
int ethtool_esp_offload(const char *ifname, bool *on);

/* Does the interface strip VLAN tags on receive (C or S tags)? 0 or -errno. */
int ethtool_vlan_strip(const char *ifname, bool *on);

/* Switches it, both kinds. -EOPNOTSUPP: the driver does not let go of it. */
int ethtool_set_vlan_strip(const char *ifname, bool on);

#endif
