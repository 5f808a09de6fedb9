// SPDX-License-Identifier: BSD-2-Clause
#include "loader/route_links.h"

#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void take_vlan_data(const struct nlattr *data, struct route_link *link)
{
	__u16 tag[2] = {htons(ETH_P_8021Q), 0};
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, data)
	{
		if (mnl_attr_get_type(attr) == IFLA_VLAN_PROTOCOL)
			tag[0] = mnl_attr_get_u16(attr);
		if (mnl_attr_get_type(attr) == IFLA_VLAN_ID)
			tag[1] = htons(mnl_attr_get_u16(attr));
	}
	memcpy(&link->vlan, tag, sizeof(link->vlan));
}

/* Of links that are not VLANs `lower` means something else, or lies in another namespace. */
static void take_linkinfo(const struct nlattr *linkinfo, struct route_link *link)
{
	const struct nlattr *attr, *data = NULL;
	bool vlan = false;

	mnl_attr_for_each_nested(attr, linkinfo)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			vlan = !strcmp(mnl_attr_get_str(attr), "vlan");
		if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	if (vlan && data)
		take_vlan_data(data, link);
}

static struct route_link *find(const struct route_links *links, unsigned int ifindex)
{
	for (size_t i = 0; i < links->n; i++)
		if (links->link[i].ifindex == ifindex)
			return &links->link[i];
	return NULL;
}

static int on_link(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct route_links *links = ctx;
	struct route_link *link;
	struct nlattr *attr;
	bool elsewhere = false;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	link = realloc(links->link, (links->n + 1) * sizeof(*link));
	if (!link)
		return MNL_CB_ERROR;
	links->link = link;
	link += links->n++;
	*link = (struct route_link){.ifindex = ifi->ifi_index, .up = ifi->ifi_flags & IFF_UP};
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			strncpy(link->name, mnl_attr_get_str(attr), sizeof(link->name) - 1);
			break;
		case IFLA_MTU: link->mtu = mnl_attr_get_u32(attr); break;
		case IFLA_NUM_RX_QUEUES: link->queues = mnl_attr_get_u32(attr); break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == 6)
				memcpy(link->mac, mnl_attr_get_payload(attr), 6);
			break;
		case IFLA_LINK: link->lower = mnl_attr_get_u32(attr); break;
		case IFLA_LINK_NETNSID: elsewhere = true; break;
		case IFLA_LINKINFO: take_linkinfo(attr, link); break;
		}
	}
	if (!link->vlan || elsewhere)
		link->lower = 0;
	return MNL_CB_OK;
}

static int on_addr(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *address = NULL;
	struct route_links *links = ctx;
	struct route_link *link;
	struct nlattr *attr;
	bool global = ifa->ifa_scope == RT_SCOPE_UNIVERSE;

	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		int type = mnl_attr_get_type(attr);

		/* Of a point-to-point link IFA_ADDRESS is the peer, IFA_LOCAL is us. */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && !address))
			address = attr;
	}
	link = find(links, ifa->ifa_index);
	if (!link || !address)
		return MNL_CB_OK;
	if (ifa->ifa_family == AF_INET && mnl_attr_get_payload_len(address) == 4 &&
	    (!link->ip4.word[0] || (global && !link->ip4_global))) {
		memcpy(&link->ip4, mnl_attr_get_payload(address), 4);
		link->ip4_global = global;
	}
	if (ifa->ifa_family == AF_INET6 && mnl_attr_get_payload_len(address) == 16 &&
	    (!link->ip6.word[0] || (global && !link->ip6_global))) {
		memcpy(&link->ip6, mnl_attr_get_payload(address), 16);
		link->ip6_global = global;
	}
	return MNL_CB_OK;
}

int route_links_ask(struct route_links *links, struct netlink *query)
{
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req;
	void *header;
	int err;

	links->n = 0;
	req = netlink_request(buf, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg), &header);
	err = netlink_call(query, req, on_link, links);
	if (err)
		return err;
	req = netlink_request(buf, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg), &header);
	return netlink_call(query, req, on_addr, links);
}

const struct route_link *route_links_find(const struct route_links *links, unsigned int ifindex)
{
	return find(links, ifindex);
}

/* Notes the tags of `link` on `below`, outer first. False: it does not stand on that, or too high
 * for programs to see through. */
static bool tags_on(const struct route_links *links, const struct route_link *link,
		    unsigned int below, __be32 vlan[XIPSEC_VLANS_MAX])
{
	memset(vlan, 0, XIPSEC_VLANS_MAX * sizeof(vlan[0]));
	for (int n = 0; n < XIPSEC_VLANS_MAX && link && link->lower && link->up; n++) {
		memmove(vlan + 1, vlan, n * sizeof(vlan[0]));
		vlan[0] = link->vlan;
		if (link->lower == below)
			return true;
		link = find(links, link->lower);
	}
	return false;
}

unsigned int route_links_vlans(const struct route_links *links, unsigned int below,
			       struct ctl_vlan *out, unsigned int max)
{
	unsigned int n = 0;

	for (size_t i = 0; i < links->n && n < max; i++) {
		const struct route_link *link = &links->link[i];
		struct ctl_vlan one = {.ip4 = link->ip4, .ip6 = link->ip6};

		if ((link->ip4.word[0] || link->ip6.word[0]) &&
		    tags_on(links, link, below, one.vlan))
			out[n++] = one;
	}
	return n;
}

void route_links_free(struct route_links *links)
{
	free(links->link);
	*links = (struct route_links){0};
}
