// SPDX-License-Identifier: BSD-2-Clause
#include "loader/tap_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "loader/xfrm_dev.h"

/* Since Linux 6.2; older headers do not know it. */
#define OFFLOAD_USO 0x60
#define IP6_MTU_MIN 1280 /* RFC 8200 5 */

unsigned int if_nametoindex(const char *name); /* <net/if.h> and <linux/if.h> cannot be had both */

/* ------------------------------------------------------------------ queues */

static int queue_open(const struct tap_dev *dev)
{
	const unsigned int offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq ifr = {0};

	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, dev->name, sizeof(dev->name));
	ifr.ifr_flags = (short)((dev->tun ? IFF_TUN : IFF_TAP) | IFF_NO_PI | IFF_VNET_HDR |
				IFF_MULTI_QUEUE);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	if (ioctl(fd, TUNSETOFFLOAD, offload | OFFLOAD_USO) < 0 &&
	    ioctl(fd, TUNSETOFFLOAD, offload) < 0)
		return -errno;
	return take_fd(&fd);
}

void tap_dev_close(struct tap_dev *dev, bool remove)
{
	for (unsigned int i = 0; i < dev->n; i++) {
		if (remove)
			ioctl(dev->fd[i], TUNSETPERSIST, 0);
		close(dev->fd[i]);
	}
	dev->n = 0;
	dev->ifindex = 0;
}

/* ------------------------------------------------------------------ setting up */

static struct nlmsghdr *link_request(char *buf, const struct tap_dev *dev, unsigned int flags,
				     unsigned int change)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *req;
	void *header;

	req = netlink_request(buf, RTM_NEWLINK, 0, sizeof(*ifi), &header);
	ifi = header;
	ifi->ifi_index = (int)dev->ifindex;
	ifi->ifi_flags = flags;
	ifi->ifi_change = change;
	return req;
}

/* sysctls, over netlink: /proc/sys is read-only to the service. */
static void put_conf(struct nlmsghdr *req, const struct tap_dev *dev)
{
	struct nlattr *spec = mnl_attr_nest_start(req, IFLA_AF_SPEC), *family, *conf;

	family = mnl_attr_nest_start(req, AF_INET6);
	mnl_attr_put_u8(req, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(req, family);
	if (!dev->tun) {
		family = mnl_attr_nest_start(req, AF_INET);
		conf = mnl_attr_nest_start(req, IFLA_INET_CONF);
		/* The way back leads by black. */
		mnl_attr_put_u32(req, IPV4_DEVCONF_RP_FILTER, 0);
		mnl_attr_put_u32(req, IPV4_DEVCONF_FORWARDING, 0);
		/* No router lives there. (IPv6's accept_ra, autoconf and accept_redirects cannot be
		 * set over netlink: workers refuse what would use them.) */
		mnl_attr_put_u32(req, IPV4_DEVCONF_ACCEPT_REDIRECTS, 0);
		mnl_attr_put_u32(req, IPV4_DEVCONF_SEND_REDIRECTS, 0);
		mnl_attr_nest_end(req, conf);
		mnl_attr_nest_end(req, family);
	}
	mnl_attr_nest_end(req, spec);
}

static int set_mtu(struct netlink *nl, const struct tap_dev *dev, unsigned int change,
		   unsigned int mtu)
{
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req = link_request(buf, dev, 0, change);

	mnl_attr_put_u32(req, IFLA_MTU, mtu);
	return netlink_call(nl, req, NULL, NULL);
}

/* A router's interface joins the groups of routers when it is made, and tells of it when it comes
 * up: into a TAP that takes nothing from the stack. Too short for IPv6 it forgets them; of
 * multicast no more, it does not join again when it is long enough. (Settings of IPv6 in the same
 * request would be refused: they are looked at before the length.) */
static int forget_groups(struct netlink *nl, const struct tap_dev *dev)
{
	int err = set_mtu(nl, dev, IFF_MULTICAST, IP6_MTU_MIN - 1);

	return err ? err : set_mtu(nl, dev, 0, dev->mtu);
}

static int set_up(struct netlink *nl, const struct tap_dev *dev)
{
	static const __u8 mac[6] = TAP_MAC;
	const unsigned int quiet = dev->tun ? 0 : IFF_MULTICAST;
	const unsigned int silent = dev->tun ? 0 : IFF_NOARP;
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req;
	int err;

	req = link_request(buf, dev, silent, quiet | silent);
	mnl_attr_put_u32(req, IFLA_MTU, dev->mtu);
	if (!dev->tun)
		mnl_attr_put(req, IFLA_ADDRESS, sizeof(mac), mac);
	else
		mnl_attr_put_strz(req, IFLA_IFALIAS, TUNNEL_ALIAS);
	put_conf(req, dev);
	err = netlink_call(nl, req, NULL, NULL);
	if (err)
		return err;
	return netlink_call(nl, link_request(buf, dev, IFF_UP, IFF_UP), NULL, NULL);
}

static int make(struct netlink *nl, struct tap_dev *dev, unsigned int n)
{
	bool new = !if_nametoindex(dev->name);
	int err = 0;

	for (unsigned int i = 0; i < n; i++) {
		int fd = queue_open(dev);

		if (fd < 0)
			return fd;
		dev->fd[dev->n++] = fd;
	}
	if (ioctl(dev->fd[0], TUNSETPERSIST, 1) < 0)
		return -errno;
	dev->ifindex = if_nametoindex(dev->name);
	if (!dev->ifindex)
		return -ENODEV;
	if (new && !dev->tun)
		err = forget_groups(nl, dev);
	if (!err && (new || !dev->tun))
		err = set_up(nl, dev);
	if (err && new) /* half made it would look as if it were there */
		ioctl(dev->fd[0], TUNSETPERSIST, 0);
	return err;
}

int tap_dev_open(struct netlink *nl, struct tap_dev *out, const char *name, bool tun,
		 unsigned int mtu, unsigned int n)
{
	struct tap_dev dev = {.tun = tun, .mtu = mtu};
	int err;

	strncpy(dev.name, name, sizeof(dev.name) - 1);
	err = n ? make(nl, &dev, n) : -EINVAL;
	if (!err) {
		*out = dev;
		return 0;
	}
	tap_dev_close(&dev, false);
	return err;
}

bool tap_dev_lives(const struct tap_dev *dev)
{
	return dev->ifindex && if_nametoindex(dev->name) == dev->ifindex;
}
