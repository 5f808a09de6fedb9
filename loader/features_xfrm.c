// SPDX-License-Identifier: BSD-2-Clause
/* What kernel XFRM has: SAs that nobody uses, in a network namespace that nobody uses. */
#include "loader/features.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "lib/alg.h"
#include "lib/cleanup.h"
#include "lib/sa_fault.h"
#include "loader/xfrm_msg.h"

/* Newer than the headers that this is built with. */
#define FEATURE_XFRMA_SA_DIR  33 /* since Linux 6.10; 1: in */
#define FEATURE_XFRMA_SA_PCPU 35

/* Any key will do, but one whose halves are the same. */
static struct xipsec_sa sample_sa(unsigned int alg, __u8 l4_proto, __u8 family)
{
	struct xipsec_sa sa = {.outer_family = family,
			       .l4_proto = l4_proto,
			       .spi = htonl(0x100 + alg),
			       .dir = XIPSEC_DIR_IN,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .engine = XIPSEC_ENGINE_XFRM,
			       .alg = (__u8)alg,
			       .window = XIPSEC_WINDOW_MIN};

	/* 192.0.2.1 and .2, or 100::1 and ::2. */
	sa.src.word[0] = htonl(family == XIPSEC_FAMILY_IP6 ? 0x01000000 : 0xc0000201);
	sa.dst.word[0] = htonl(family == XIPSEC_FAMILY_IP6 ? 0x01000000 : 0xc0000202);
	if (family == XIPSEC_FAMILY_IP6) {
		sa.src.byte[15] = 1;
		sa.dst.byte[15] = 2;
	}
	sa.key_len = (__u16)alg_key_len(alg);
	for (unsigned int i = 0; i < sa.key_len; i++)
		sa.key[i] = (__u8)(i + 1);
	return sa;
}

static int call(struct nlmsghdr *req, mnl_cb_t cb, void *ctx)
{
	struct netlink nl = {0};
	int err = netlink_open(NETLINK_XFRM, &nl);

	if (err)
		return err;
	err = netlink_call(&nl, req, cb, ctx);
	netlink_close(&nl);
	return err;
}

static int try_sa(const struct xipsec_sa *sa)
{
	char buf[NETLINK_REQUEST_MAX];
	int err = call(xfrm_msg_sa(buf, sa, 0, 0, 0), NULL, NULL);

	if (!err)
		call(xfrm_msg_sa_gone(buf, sa), NULL, NULL);
	return err;
}

static void try_proto(struct loader_feature *out, __u8 l4_proto, __u8 family)
{
	struct xipsec_sa sa = sample_sa(XIPSEC_ALG_NULL_SHA256, l4_proto, family);

	feature_tried(out, try_sa(&sa));
}

void feature_esp4(struct loader_feature *out)
{
	try_proto(out, IPPROTO_ESP, XIPSEC_FAMILY_IP4);
}

void feature_esp6(struct loader_feature *out)
{
	try_proto(out, IPPROTO_ESP, XIPSEC_FAMILY_IP6);
}

void feature_ah4(struct loader_feature *out)
{
	try_proto(out, IPPROTO_AH, XIPSEC_FAMILY_IP4);
}

void feature_ah6(struct loader_feature *out)
{
	try_proto(out, IPPROTO_AH, XIPSEC_FAMILY_IP6);
}

/* All that sa_faults() does not refuse by name. */
void feature_algorithms(struct loader_feature *out)
{
	unsigned int has = 0, asked = 0;
	char missing[128] = "";
	size_t len = 0;

	for (unsigned int alg = XIPSEC_ALG_NONE + 1; alg < XIPSEC_ALG_COUNT; alg++) {
		struct xipsec_sa sa = sample_sa(alg, IPPROTO_ESP, XIPSEC_FAMILY_IP4);
		struct sa_fault fault;

		if (sa_faults(&sa, &fault, 1))
			continue;
		asked++;
		if (!try_sa(&sa))
			has++;
		else if (len < sizeof(missing))
			len += (size_t)snprintf(missing + len, sizeof(missing) - len, " %s",
						alg_name(alg, IPPROTO_ESP));
	}
	if (has == asked)
		feature_say(out, LOADER_FEATURE_YES, "%u", has);
	else if (has)
		feature_say(out, LOADER_FEATURE_PARTLY, "%u of %u; not:%s", has, asked, missing);
	else
		feature_say(out, LOADER_FEATURE_NO, "none of %u", asked);
}

void feature_ipcomp(struct loader_feature *out)
{
	struct xipsec_sa sa = sample_sa(XIPSEC_ALG_NULL_SHA256, IPPROTO_COMP, XIPSEC_FAMILY_IP4);
	struct xfrm_algo deflate = {.alg_name = "deflate"};
	struct xfrm_usersa_info *info;
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req;
	void *header;

	req = netlink_request(buf, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info),
			      &header);
	info = header;
	info->saddr.a4 = sa.src.word[0];
	info->id.daddr.a4 = sa.dst.word[0];
	info->id.spi = htonl(0x100); /* a CPI: 16 bits of it */
	info->id.proto = IPPROTO_COMP;
	info->family = AF_INET;
	info->mode = XFRM_MODE_TRANSPORT;
	info->lft = (struct xfrm_lifetime_cfg){XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
	mnl_attr_put(req, XFRMA_ALG_COMP, sizeof(deflate), &deflate);
	feature_tried(out, call(req, NULL, NULL));
}

static int on_sa(const struct nlmsghdr *nlh, void *ctx)
{
	const struct nlattr *attr;
	bool *has = ctx;

	mnl_attr_for_each(attr, nlh,
			  sizeof(struct xfrm_usersa_info)) if (mnl_attr_get_type(attr) ==
							       FEATURE_XFRMA_SA_PCPU) *has = true;
	return MNL_CB_OK;
}

/* A kernel that does not know an attribute takes the SA without it: so it is read back. */
void feature_percpu_sa(struct loader_feature *out)
{
	struct xipsec_sa sa = sample_sa(XIPSEC_ALG_NULL_SHA256, IPPROTO_ESP, XIPSEC_FAMILY_IP4);
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req = xfrm_msg_sa(buf, &sa, 0, 0, 0);
	bool has = false;
	int err;

	mnl_attr_put_u8(req, FEATURE_XFRMA_SA_DIR, 1);
	mnl_attr_put_u32(req, FEATURE_XFRMA_SA_PCPU, 0);
	err = call(req, NULL, NULL);
	if (!err) {
		req = xfrm_msg_sa_gone(buf, &sa);
		req->nlmsg_type = XFRM_MSG_GETSA; /* names it in the same way */
		err = call(req, on_sa, &has);
	}
	feature_tried(out, err ? err : has ? 0 : -EOPNOTSUPP);
}

static void try_udp_encap(struct loader_feature *out, int family)
{
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	const int type = UDP_ENCAP_ESPINUDP;
	int err = 0;

	if (fd < 0 || setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &type, sizeof(type)) < 0)
		err = -errno;
	feature_tried(out, err);
}

void feature_udp_encap4(struct loader_feature *out)
{
	try_udp_encap(out, AF_INET);
}

void feature_udp_encap6(struct loader_feature *out)
{
	try_udp_encap(out, AF_INET6);
}
