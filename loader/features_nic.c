// SPDX-License-Identifier: BSD-2-Clause
/*
 * What drivers say of their XDP, by the generic netlink family "netdev" (linux/netdev.h,
 * Linux 6.3): to bind a socket for a try would stop the traffic of a queue.
 */
#include "loader/features.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include "lib/netlink.h"

/* Newer than the headers that this is built with. */
#define NETDEV_FAMILY        "netdev"
#define NETDEV_CMD_DEV_GET   1
#define NETDEV_ATTR_IFINDEX  1
#define NETDEV_ATTR_FEATURES 3 /* u64 */
#define NETDEV_XDP_NDO_XMIT  (1 << 2)
#define NETDEV_XDP_ZEROCOPY  (1 << 3)
#define NETDEV_XDP_RX_SG     (1 << 5)
#define NETDEV_XDP_XMIT_SG   (1 << 6)

struct answer {
	__u16 type; /* of the attribute that is wanted */
	__u64 value;
	bool found;
};

static int on_answer(const struct nlmsghdr *nlh, void *ctx)
{
	struct answer *answer = ctx;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(attr) != answer->type)
			continue;
		answer->found = true;
		if (mnl_attr_get_payload_len(attr) == sizeof(__u64))
			answer->value = mnl_attr_get_u64(attr);
		else if (mnl_attr_get_payload_len(attr) == sizeof(__u16))
			answer->value = mnl_attr_get_u16(attr);
		else
			answer->found = false;
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *genl_request(char *buf, __u16 family, __u8 cmd)
{
	struct genlmsghdr *genl;
	void *header;
	struct nlmsghdr *req = netlink_request(buf, family, 0, sizeof(*genl), &header);

	genl = header;
	genl->cmd = cmd;
	genl->version = 1;
	return req;
}

static int ask(struct netlink *nl, unsigned int ifindex, __u64 *features)
{
	struct answer family = {.type = CTRL_ATTR_FAMILY_ID},
		      answer = {.type = NETDEV_ATTR_FEATURES};
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req = genl_request(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	int err;

	mnl_attr_put_strz(req, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY);
	err = netlink_call(nl, req, on_answer, &family);
	if (err || !family.found)
		return err ? err : -ENOENT;
	req = genl_request(buf, (__u16)family.value, NETDEV_CMD_DEV_GET);
	mnl_attr_put_u32(req, NETDEV_ATTR_IFINDEX, ifindex);
	err = netlink_call(nl, req, on_answer, &answer);
	if (err || !answer.found)
		return err ? err : -ENOENT;
	*features = answer.value;
	return 0;
}

static enum loader_feature_state has(__u64 features, __u64 wanted)
{
	return (features & wanted) == wanted ? LOADER_FEATURE_YES : LOADER_FEATURE_NO;
}

int loader_nic(const char *ifname, struct loader_nic *out)
{
	const unsigned int ifindex = if_nametoindex(ifname);
	struct netlink nl = {0};
	__u64 features = 0;
	int err;

	if (!ifindex)
		return -ENODEV;
	*out = (struct loader_nic){.note = ""};
	err = netlink_open(NETLINK_GENERIC, &nl);
	if (!err)
		err = ask(&nl, ifindex, &features);
	netlink_close(&nl);
	if (err) {
		snprintf(out->note, sizeof(out->note),
			 "this kernel cannot be asked what drivers can (%s)", strerror(-err));
		return 0;
	}
	out->zerocopy = has(features, NETDEV_XDP_ZEROCOPY);
	out->redirect = has(features, NETDEV_XDP_NDO_XMIT);
	out->fragments = has(features, NETDEV_XDP_RX_SG | NETDEV_XDP_XMIT_SG);
	return 0;
}
