// SPDX-License-Identifier: BSD-2-Clause
#include "loader/xfrm_dev.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define KIND "xfrm"

unsigned int if_nametoindex(const char *name); /* <net/if.h> and <linux/if.h> cannot be had both */

/* What there is under a name. */
struct found {
	unsigned int ifindex; /* 0: nothing */
	__u32 if_id;          /* 0: not an xfrm interface */
	bool kernel, ours;
	char name[IFNAMSIZ];
};

static struct nlmsghdr *link_request(char *buf, __u16 type, __u16 flags, unsigned int ifindex,
				     unsigned int up)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *req;
	void *header;

	req = netlink_request(buf, type, flags, sizeof(*ifi), &header);
	ifi = header;
	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = ifi->ifi_change = up;
	return req;
}

static bool is_text(const struct nlattr *attr, const char *text)
{
	const size_t len = mnl_attr_get_payload_len(attr), want = strlen(text);

	return len >= want && !memcmp(mnl_attr_get_payload(attr), text, want) &&
	       (len == want || !((const char *)mnl_attr_get_payload(attr))[want]);
}

static void read_info(const struct nlattr *info, struct found *found)
{
	const struct nlattr *attr, *data;

	mnl_attr_for_each_nested(attr, info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			found->kernel = is_text(attr, KIND);
		if (mnl_attr_get_type(attr) != IFLA_INFO_DATA || !found->kernel)
			continue;
		mnl_attr_for_each_nested(data, attr)
		{
			if (mnl_attr_get_type(data) == IFLA_XFRM_IF_ID &&
			    mnl_attr_get_payload_len(data) >= sizeof(found->if_id))
				found->if_id = mnl_attr_get_u32(data);
		}
	}
}

static int on_link(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct found *found = ctx;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return MNL_CB_OK;
	found->ifindex = (unsigned int)ifi->ifi_index;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		if (mnl_attr_get_type(attr) == IFLA_IFALIAS)
			found->ours = is_text(attr, TUNNEL_ALIAS);
		if (mnl_attr_get_type(attr) == IFLA_IFNAME)
			strncpy(found->name, mnl_attr_get_str(attr), sizeof(found->name) - 1);
		if (mnl_attr_get_type(attr) == IFLA_LINKINFO)
			read_info(attr, found);
	}
	return MNL_CB_OK;
}

/* A TUN goes by itself meanwhile, when the last worker lets go of it. */
static int gone(int err)
{
	return err == -ENODEV ? 0 : err;
}

static int find(struct netlink *nl, const char *name, struct found *found)
{
	const unsigned int ifindex = if_nametoindex(name);
	char buf[NETLINK_REQUEST_MAX];

	*found = (struct found){0};
	return ifindex ? gone(netlink_call(nl, link_request(buf, RTM_GETLINK, 0, ifindex, 0),
					   on_link, found))
		       : 0;
}

static int delete (struct netlink *nl, unsigned int ifindex)
{
	char buf[NETLINK_REQUEST_MAX];

	return gone(netlink_call(nl, link_request(buf, RTM_DELLINK, 0, ifindex, 0), NULL, NULL));
}

/* They cannot be deleted while they are listed. */
#define SWEEP_MAX 64

struct sweep {
	bool (*keeps)(void *ctx, const char *name);
	void *ctx;
	unsigned int ifindex[SWEEP_MAX], n;
};

static int on_sweep(const struct nlmsghdr *nlh, void *ctx)
{
	struct found found = {0};
	struct sweep *sweep = ctx;

	on_link(nlh, &found);
	if (found.ours && found.kernel && sweep->n < SWEEP_MAX &&
	    !sweep->keeps(sweep->ctx, found.name))
		sweep->ifindex[sweep->n++] = found.ifindex;
	return MNL_CB_OK;
}

int xfrm_dev_sweep(struct netlink *nl, bool (*keeps)(void *ctx, const char *name), void *ctx)
{
	struct sweep sweep = {.keeps = keeps, .ctx = ctx};
	char buf[NETLINK_REQUEST_MAX];
	int err, first;

	first = netlink_call(nl, link_request(buf, RTM_GETLINK, NLM_F_DUMP, 0, 0), on_sweep,
			     &sweep);
	for (unsigned int i = 0; i < sweep.n; i++) {
		err = delete (nl, sweep.ifindex[i]);
		first = first ? first : err;
	}
	return first;
}

int xfrm_dev_remove(struct netlink *nl, const char *name, bool kernel_alone)
{
	struct found found;
	int err = find(nl, name, &found);

	if (err || !found.ifindex || !found.ours || (kernel_alone && !found.kernel))
		return err;
	return delete (nl, found.ifindex);
}

static int make(struct netlink *nl, const char *name, __u32 if_id, unsigned int mtu)
{
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req = link_request(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0);
	struct nlattr *info, *data;

	mnl_attr_put_strz(req, IFLA_IFNAME, name);
	mnl_attr_put_u32(req, IFLA_MTU, mtu);
	info = mnl_attr_nest_start(req, IFLA_LINKINFO);
	mnl_attr_put_strz(req, IFLA_INFO_KIND, KIND);
	data = mnl_attr_nest_start(req, IFLA_INFO_DATA);
	mnl_attr_put_u32(req, IFLA_XFRM_IF_ID, if_id);
	mnl_attr_nest_end(req, data);
	mnl_attr_nest_end(req, info);
	return netlink_call(nl, req, NULL, NULL);
}

/* Without addresses of its own: those are the user's to give, as a TUN's are. Neither that nor the
 * alias is taken from the request that makes a link, and it has to be said before it is up. */
static int set_up(struct netlink *nl, unsigned int ifindex)
{
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req = link_request(buf, RTM_NEWLINK, 0, ifindex, 0);
	struct nlattr *spec, *family;
	int err;

	mnl_attr_put_strz(req, IFLA_IFALIAS, TUNNEL_ALIAS);
	spec = mnl_attr_nest_start(req, IFLA_AF_SPEC);
	family = mnl_attr_nest_start(req, AF_INET6);
	mnl_attr_put_u8(req, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(req, family);
	mnl_attr_nest_end(req, spec);
	err = netlink_call(nl, req, NULL, NULL);
	return err ? err
		   : netlink_call(nl, link_request(buf, RTM_NEWLINK, 0, ifindex, IFF_UP), NULL,
				  NULL);
}

int xfrm_dev_open(struct netlink *nl, const char *name, __u32 if_id, unsigned int mtu,
		  unsigned int *ifindex)
{
	struct found found;
	int err = find(nl, name, &found);

	if (!err && found.ifindex && found.kernel && found.if_id == if_id) {
		*ifindex = found.ifindex;
		return 0;
	}
	if (!err && found.ifindex)
		err = found.ours ? delete (nl, found.ifindex) : -EEXIST;
	if (!err)
		err = make(nl, name, if_id, mtu);
	if (err)
		return err;
	err = find(nl, name, &found);
	if (!err)
		err = found.ifindex ? set_up(nl, found.ifindex) : -ENODEV;
	if (!err)
		*ifindex = found.ifindex;
	else if (found.ifindex) /* half made it would look as if it were there */
		delete (nl, found.ifindex);
	return err;
}
