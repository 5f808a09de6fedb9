// SPDX-License-Identifier: BSD-2-Clause
#include "loader/xfrm_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/filter.h>
#include <openssl/crypto.h>

#include "lib/cleanup.h"
#include "lib/log.h"

/* ------------------------------------------------------------------ news */

static int on_event(const struct nlmsghdr *nlh, void *ctx)
{
	struct xfrm *xfrm = ctx;
	struct xfrm_news news;
	bool gone;

	xfrm_read_news(nlh, &news);
	gone = news.kind == XFRM_NEWS_POLICIES_GONE || news.kind == XFRM_NEWS_SAS_GONE;
	if (news.kind == XFRM_NEWS_POLICIES_GONE)
		xfrm->link_passes = false;
	if (news.kind != XFRM_NEWS_NONE && (xfrm_is_ours(news.reqid) || (gone && !news.reqid)))
		xfrm->news(xfrm->ctx, &news);
	return MNL_CB_OK;
}

/* More came than waited to be read: anything may have been taken. Limits that were lost are seen
 * when the counters are asked for. */
static void lost(struct xfrm *xfrm)
{
	struct xfrm_news news = {.kind = XFRM_NEWS_POLICIES_GONE};

	xfrm->link_passes = false;
	xfrm->news(xfrm->ctx, &news);
	news.kind = XFRM_NEWS_SAS_GONE;
	xfrm->news(xfrm->ctx, &news);
}

static void readable(evutil_socket_t fd, short what, void *ctx)
{
	struct xfrm *xfrm = ctx;
	int err = netlink_events(&xfrm->events, on_event, xfrm);

	if (err)
		log_warn("XFRM events: %s", strerror(-err));
	if (err == -ENOBUFS)
		lost(xfrm);
}

static int filter(const struct netlink *nl, struct sock_filter *code, unsigned short n)
{
	const struct sock_fprog program = {.len = n, .filter = code};

	return setsockopt(netlink_fd(nl), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) <
			       0
		       ? -errno
		       : 0;
}

/* What we do ourselves is told, too; thousands of SAs would leave no room for the rest. */
static int hear_others_alone(const struct xfrm *xfrm)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(xfrm->nl.portid), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	};

	return filter(&xfrm->events, code, 4);
}

/* But the ends that we make. */
static int hear_our_ends(struct xfrm *xfrm)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(xfrm->nl.portid), 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohs(XFRM_MSG_DELSA), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	int err = netlink_open(NETLINK_XFRM, &xfrm->ends);

	if (!err)
		err = filter(&xfrm->ends, code, 6);
	return err ? err : netlink_join(&xfrm->ends, XFRMNLGRP_SA);
}

static int listen_to(struct xfrm *xfrm, struct event_base *base)
{
	static const unsigned int groups[] = {XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE,
					      XFRMNLGRP_MAPPING, XFRMNLGRP_SA, XFRMNLGRP_POLICY};
	int err = netlink_open(NETLINK_XFRM, &xfrm->events);

	if (!err)
		err = hear_others_alone(xfrm);
	for (unsigned int i = 0; !err && i < sizeof(groups) / sizeof(groups[0]); i++)
		err = netlink_join(&xfrm->events, groups[i]);
	if (err)
		return err;
	xfrm->readable =
		event_new(base, netlink_fd(&xfrm->events), EV_READ | EV_PERSIST, readable, xfrm);
	return xfrm->readable && event_add(xfrm->readable, NULL) == 0 ? 0 : -ENOMEM;
}

int xfrm_new(struct event_base *base, xfrm_news_fn news, void *ctx, struct xfrm **out)
{
	struct xfrm *xfrm = calloc(1, sizeof(*xfrm));
	int err;

	if (!xfrm)
		return -ENOMEM;
	xfrm->news = news;
	xfrm->ctx = ctx;
	err = netlink_open(NETLINK_XFRM, &xfrm->nl);
	if (!err)
		err = hear_our_ends(xfrm);
	if (!err)
		err = listen_to(xfrm, base);
	if (!err) {
		*out = xfrm;
		return 0;
	}
	xfrm_free(xfrm);
	if (err != -EPROTONOSUPPORT)
		return err;
	*out = NULL;
	return 0;
}

void xfrm_free(struct xfrm *xfrm)
{
	if (!xfrm)
		return;
	if (xfrm->readable)
		event_free(xfrm->readable);
	netlink_close(&xfrm->events);
	netlink_close(&xfrm->ends);
	netlink_close(&xfrm->nl);
	for (unsigned int i = 0; i < xfrm->n_led; i++)
		free(xfrm->led[i]);
	free(xfrm->led);
	free(xfrm);
}

/* ------------------------------------------------------------------ SAs */

/* One selector stands in the SA itself, which nobody can take away alone; of several their
 * addresses do, the rest is the policies'. */
int xfrm_add(struct xfrm *xfrm, const struct xipsec_sa *sa, const struct xfrm_sels *sels,
	     __u32 index, __u32 child, __u64 seq)
{
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *nlh = xfrm_msg_sa(buf, sa, index, child, seq);
	struct xfrm_selector between = xfrm_between(sa);
	int err;

	if (sels)
		xfrm_msg_sa_narrow(nlh, sels->n == 1 ? &sels->sel[0] : &between);
	err = netlink_call(&xfrm->nl, nlh, NULL, NULL);
	OPENSSL_cleanse(buf, sizeof(buf));
	return err;
}

struct end {
	const struct xfrm_usersa_id *id;
	bool told;
	struct xfrm_state state;
};

static bool same_id(const struct xfrm_usersa_id *a, const struct xfrm_usersa_id *b)
{
	return !memcmp(&a->daddr, &b->daddr, sizeof(a->daddr)) && a->spi == b->spi &&
	       a->proto == b->proto && a->family == b->family;
}

static int on_end(const struct nlmsghdr *nlh, void *ctx)
{
	struct end *end = ctx;
	struct xfrm_state state;

	if (!xfrm_read_state(nlh, &state) && same_id(&state.id, end->id)) {
		end->state = state;
		end->told = true;
	}
	return MNL_CB_OK;
}

/* The kernel tells the end before it answers. */
static int delete_and_hear(struct xfrm *xfrm, struct nlmsghdr *request, struct end *end)
{
	int err;

	*end = (struct end){.id = mnl_nlmsg_get_payload(request)};
	err = netlink_call(&xfrm->nl, request, NULL, NULL);
	netlink_events(&xfrm->ends, on_end, end);
	return err;
}

int xfrm_delete(struct xfrm *xfrm, const struct xipsec_sa *sa, struct xfrm_count *last)
{
	char buf[NETLINK_REQUEST_MAX];
	struct end end;
	int err = delete_and_hear(xfrm, xfrm_msg_sa_gone(buf, sa), &end);

	if (end.told)
		*last = sa->dir == XIPSEC_DIR_OUT ? end.state.sent : end.state.heard;
	return err;
}

struct asked {
	__u8 dir;
	int err;
	struct xfrm_count *out;
};

static int on_answer(const struct nlmsghdr *nlh, void *ctx)
{
	struct asked *asked = ctx;

	asked->err = xfrm_read_count(nlh, asked->dir, asked->out);
	return MNL_CB_OK;
}

int xfrm_ask(struct xfrm *xfrm, const struct xipsec_sa *sa, struct xfrm_count *out)
{
	struct asked asked = {.dir = sa->dir, .err = -EBADMSG, .out = out};
	char buf[NETLINK_REQUEST_MAX];
	int err = netlink_call(&xfrm->nl, xfrm_msg_sa_ask(buf, sa), on_answer, &asked);

	return err ? err : asked.err;
}

/* From and to nobody, and too short a time there to meet a packet. */
bool xfrm_has_esp(struct xfrm *xfrm, __u8 family)
{
	struct xipsec_sa sa = {.outer_family = family,
			       .l4_proto = IPPROTO_ESP,
			       .spi = htonl(0x100),
			       .dir = XIPSEC_DIR_OUT,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .alg = XIPSEC_ALG_NULL_SHA256,
			       .window = XIPSEC_WINDOW_MIN};
	struct xfrm_count none;

	/* 192.0.2.255 and 100::1, which are for documentation and for nothing. */
	sa.src.word[0] = sa.dst.word[0] =
		htonl(family == XIPSEC_FAMILY_IP6 ? 0x01000000 : 0xc00002ff);
	if (family == XIPSEC_FAMILY_IP6)
		sa.src.byte[15] = sa.dst.byte[15] = 1;
	if (xfrm_add(xfrm, &sa, NULL, 0, 0, 0))
		return false;
	xfrm_delete(xfrm, &sa, &none);
	return true;
}

/* ------------------------------------------------------------------ what a dead one left */

/* What is to go: it cannot be deleted while it is listed. */
struct left {
	struct xfrm_state *sas;
	struct xfrm_way *ways;
	unsigned int n_sas, n_ways;
	int err;
};

static void *one_more(void *list, unsigned int n, size_t size)
{
	return n & (n + 1) ? list : reallocarray(list, (n + 1) * 2, size);
}

static int on_sa(const struct nlmsghdr *nlh, void *ctx)
{
	struct left *left = ctx;
	struct xfrm_state state;
	void *grown;

	if (xfrm_read_state(nlh, &state) || !xfrm_is_ours(state.reqid))
		return MNL_CB_OK;
	grown = one_more(left->sas, left->n_sas, sizeof(*left->sas));
	if (!grown) {
		left->err = -ENOMEM;
		return MNL_CB_OK;
	}
	left->sas = grown;
	left->sas[left->n_sas++] = state;
	return MNL_CB_OK;
}

static int on_policy(const struct nlmsghdr *nlh, void *ctx)
{
	struct left *left = ctx;
	struct xfrm_way way;
	void *grown;

	if (!xfrm_read_way(nlh, &way))
		return MNL_CB_OK;
	grown = one_more(left->ways, left->n_ways, sizeof(*left->ways));
	if (!grown) {
		left->err = -ENOMEM;
		return MNL_CB_OK;
	}
	left->ways = grown;
	left->ways[left->n_ways++] = way;
	return MNL_CB_OK;
}

/* SAs first: in transport mode policies are all that stands behind one. */
static int delete_left(struct xfrm *xfrm, struct left *left)
{
	char buf[NETLINK_REQUEST_MAX];
	int err, first = 0;
	struct end end;
	void *id;

	for (unsigned int i = 0; i < left->n_sas; i++) {
		struct nlmsghdr *nlh =
			netlink_request(buf, XFRM_MSG_DELSA, 0, sizeof(struct xfrm_usersa_id), &id);

		memcpy(id, &left->sas[i].id, sizeof(struct xfrm_usersa_id));
		err = delete_and_hear(xfrm, nlh, &end);
		first = first || err == -ESRCH ? first : err;
		if (end.told)
			left->sas[i] = end.state;
	}
	for (unsigned int i = 0; i < left->n_ways; i++) {
		err = xfrm_take(xfrm, &left->ways[i]);
		first = first ? first : err;
	}
	return first;
}

int xfrm_clear(struct xfrm *xfrm, xfrm_left_fn tell, void *ctx)
{
	_cleanup_free_ struct xfrm_state *sas = NULL;
	_cleanup_free_ struct xfrm_way *ways = NULL;
	char buf[NETLINK_REQUEST_MAX];
	struct left left = {0};
	void *header;
	int err;

	/* The list of SAs holds their keys: netlink_call() wipes what it has read. */
	err = netlink_call(&xfrm->nl, netlink_request(buf, XFRM_MSG_GETSA, NLM_F_DUMP, 0, &header),
			   on_sa, &left);
	if (!err)
		err = netlink_call(&xfrm->nl,
				   netlink_request(buf, XFRM_MSG_GETPOLICY, NLM_F_DUMP, 0, &header),
				   on_policy, &left);
	sas = left.sas;
	ways = left.ways;
	xfrm->link_passes = false;
	err = err ? err : left.err;
	if (!err && tell)
		err = tell(ctx, sas, left.n_sas);
	if (!err)
		err = delete_left(xfrm, &left);
	if (!err && tell)
		err = tell(ctx, sas, left.n_sas);
	return err;
}
