// SPDX-License-Identifier: BSD-2-Clause
#include "loader/iflist.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include "lib/cleanup.h"
#include "xipsec/ctl.h"

struct iflist {
	struct iflist_entry *entry;
	unsigned int n;
};

/* Only kinds whose frames carry their own MAC on the wire of the interface below; what goes on to a
 * VM (macvtap) is not for this host, and the `link` of a veth is its peer. */
static bool is_stacked(const struct nlattr *linkinfo, bool *vlan)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, linkinfo)
	{
		if (mnl_attr_get_type(attr) != IFLA_INFO_KIND)
			continue;
		*vlan = !strcmp(mnl_attr_get_str(attr), "vlan");
		return *vlan || !strcmp(mnl_attr_get_str(attr), "macvlan");
	}
	return false;
}

static int iflist_one(const struct nlmsghdr *msg, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(msg);
	struct iflist *list = arg;
	struct iflist_entry *grown;
	bool stacked = false, elsewhere = false;
	struct nlattr *attr;

	grown = reallocarray(list->entry, list->n + 1, sizeof(*grown));
	if (!grown)
		return MNL_CB_ERROR;
	list->entry = grown;
	grown += list->n++;
	memset(grown, 0, sizeof(*grown));
	grown->ifindex = (unsigned int)info->ifi_index;
	grown->up = info->ifi_flags & IFF_UP;
	grown->loopback = info->ifi_flags & IFF_LOOPBACK;
	grown->type = info->ifi_type;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_MTU: grown->mtu = mnl_attr_get_u32(attr); break;
		case IFLA_IFNAME:
			snprintf(grown->name, sizeof(grown->name), "%s", mnl_attr_get_str(attr));
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(grown->mac))
				memcpy(grown->mac, mnl_attr_get_payload(attr), sizeof(grown->mac));
			break;
		case IFLA_LINK: grown->lower = mnl_attr_get_u32(attr); break;
		case IFLA_LINK_NETNSID: elsewhere = true; break;
		case IFLA_LINKINFO: stacked = is_stacked(attr, &grown->vlan); break;
		}
	}
	if (!stacked || elsewhere)
		grown->lower = 0;
	grown->vlan = grown->vlan && grown->lower;
	return MNL_CB_OK;
}

int iflist_get(struct iflist_entry **out, unsigned int *n)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	unsigned int seq = (unsigned int)time(NULL);
	_cleanup_free_ char *buf = malloc(32768);
	struct iflist list = {0};
	struct nlmsghdr *msg;
	ssize_t len = -1;

	if (!nl || !buf || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		goto failed;
	msg = mnl_nlmsg_put_header(buf);
	msg->nlmsg_type = RTM_GETLINK;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	msg->nlmsg_seq = seq;
	mnl_nlmsg_put_extra_header(msg, sizeof(struct ifinfomsg));
	if (mnl_socket_sendto(nl, msg, msg->nlmsg_len) < 0)
		goto failed;
	for (;;) {
		len = mnl_socket_recvfrom(nl, buf, 32768);
		if (len < 0)
			goto failed;
		len = mnl_cb_run(buf, (size_t)len, seq, mnl_socket_get_portid(nl), iflist_one,
				 &list);
		if (len < 0)
			goto failed;
		if (len == MNL_CB_STOP)
			break;
	}
	mnl_socket_close(nl);
	*out = list.entry;
	*n = list.n;
	return 0;
failed:
	len = -(errno ? errno : ENOMEM);
	free(list.entry);
	if (nl)
		mnl_socket_close(nl);
	return (int)len;
}

int iflist_find(const char *name, struct iflist_entry *out)
{
	_cleanup_free_ struct iflist_entry *list = NULL;
	unsigned int n = 0;
	int err = iflist_get(&list, &n);

	if (err)
		return err;
	for (unsigned int i = 0; i < n; i++) {
		if (!strcmp(list[i].name, name)) {
			*out = list[i];
			return 0;
		}
	}
	return -ENODEV;
}

static const struct iflist_entry *by_index(const struct iflist_entry *list, unsigned int n,
					   unsigned int ifindex)
{
	for (unsigned int i = 0; ifindex && i < n; i++) {
		if (list[i].ifindex == ifindex)
			return &list[i];
	}
	return NULL;
}

/* A macvlan on a VLAN on a NIC is three deep; the kernel stacks no more than eight. */
static bool stands_on(const struct iflist_entry *list, unsigned int n,
		      const struct iflist_entry *top, unsigned int ifindex)
{
	for (int depth = 0; top && depth < 8; depth++) {
		if (!top->up)
			return false;
		if (top->lower == ifindex)
			return true;
		top = by_index(list, n, top->lower);
	}
	return false;
}

static void add_mac(const __u8 *add, __u8 (*mac)[6], unsigned int max, unsigned int *count)
{
	static const __u8 none[6];

	if (!memcmp(add, none, sizeof(none)))
		return;
	for (unsigned int i = 0; i < *count && i < max; i++) {
		if (!memcmp(add, mac[i], sizeof(none)))
			return;
	}
	if (*count < max)
		memcpy(mac[*count], add, sizeof(none));
	++*count;
}

unsigned int iflist_macs(const struct iflist_entry *list, unsigned int n, unsigned int ifindex,
			 __u8 (*mac)[6], unsigned int max)
{
	const struct iflist_entry *self = by_index(list, n, ifindex);
	unsigned int count = 0;

	if (!self)
		return 0;
	add_mac(self->mac, mac, max, &count);
	for (unsigned int i = 0; i < n; i++) {
		if (stands_on(list, n, &list[i], ifindex))
			add_mac(list[i].mac, mac, max, &count);
	}
	return count;
}

int iflist_set_down(const char *name)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {0};

	if (fd < 0)
		return -errno;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &req) < 0)
		return -errno;
	req.ifr_flags = (short)(req.ifr_flags & ~IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &req) < 0 ? -errno : 0;
}

const struct iflist_entry *iflist_vlan_base(const struct iflist_entry *list, unsigned int n,
					    const struct iflist_entry *vlan,
					    bool (*is_ours)(void *ctx, unsigned int ifindex),
					    void *ctx)
{
	for (int depth = 0; depth < XIPSEC_VLANS_MAX && vlan && vlan->vlan; depth++) {
		vlan = by_index(list, n, vlan->lower);
		if (vlan && is_ours(ctx, vlan->ifindex))
			return vlan;
	}
	return NULL;
}
