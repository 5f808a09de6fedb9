// SPDX-License-Identifier: BSD-2-Clause
#include "loader/xfrm_msg.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/udp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/alg.h"

#define ANY_MARK 0xffffffff

static __u16 af_of(__u8 family)
{
	return family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET;
}

static void addr_put(xfrm_address_t *to, const struct xipsec_addr *from)
{
	_Static_assert(sizeof(*to) == sizeof(*from), "both hold an IPv6 address");
	memcpy(to, from, sizeof(*to));
}

__u32 xfrm_reqid(const struct xipsec_sa *sa, __u32 index, __u32 child)
{
	return sa->dir == XIPSEC_DIR_OUT ? XIPSEC_MARK_XFRM | index : XIPSEC_MARK_OPENED | child;
}

/* ------------------------------------------------------------------ algorithms */

/* The kernel's names. NULL: it has none, and sa_faults() has said so. */
static const char *aead_name(enum alg_kind kind)
{
	switch (kind) {
	case ALG_GCM: return "rfc4106(gcm(aes))";
	case ALG_GMAC: return "rfc4543(gcm(aes))";
	case ALG_CHACHA: return "rfc7539esp(chacha20,poly1305)";
	case ALG_CCM: return "rfc4309(ccm(aes))";
	default: return NULL;
	}
}

static const char *cipher_name(enum alg_kind kind)
{
	switch (kind) {
	case ALG_CBC_HMAC: return "cbc(aes)";
	case ALG_CTR_HMAC: return "rfc3686(ctr(aes))";
	default: return "ecb(cipher_null)";
	}
}

static const char *hash_name(const struct alg *alg)
{
	return alg->auth_key == 32   ? "hmac(sha256)"
	       : alg->auth_key == 48 ? "hmac(sha384)"
				     : "hmac(sha512)";
}

/* Each ends with the key: this much room for all of them. */
#define ALGO_ROOM (sizeof(struct xfrm_algo_auth) + XIPSEC_KEY_MAX)

/* Cipher key and salt stand behind each other, as the kernel wants them. */
static void put_aead(struct nlmsghdr *nlh, const struct alg *alg, const char *name, const __u8 *key)
{
	char room[ALGO_ROOM] __attribute__((aligned(8))) = {0};
	struct xfrm_algo_aead *aead = (void *)room;
	const __u32 len = alg->cipher_key + alg->salt;

	strncpy(aead->alg_name, name, sizeof(aead->alg_name) - 1);
	aead->alg_key_len = len * 8;
	aead->alg_icv_len = alg->icv * 8;
	memcpy(aead->alg_key, key, len);
	mnl_attr_put(nlh, XFRMA_ALG_AEAD, sizeof(*aead) + len, aead);
	explicit_bzero(room, sizeof(room));
}

static void put_cipher(struct nlmsghdr *nlh, const struct alg *alg, const char *name,
		       const __u8 *key)
{
	char room[ALGO_ROOM] __attribute__((aligned(8))) = {0};
	struct xfrm_algo *cipher = (void *)room;
	const __u32 len = alg->cipher_key + alg->salt;

	strncpy(cipher->alg_name, name, sizeof(cipher->alg_name) - 1);
	cipher->alg_key_len = len * 8;
	memcpy(cipher->alg_key, key, len);
	mnl_attr_put(nlh, XFRMA_ALG_CRYPT, sizeof(*cipher) + len, cipher);
	explicit_bzero(room, sizeof(room));
}

static void put_hash(struct nlmsghdr *nlh, const struct alg *alg, const __u8 *key)
{
	char room[ALGO_ROOM] __attribute__((aligned(8))) = {0};
	struct xfrm_algo_auth *hash = (void *)room;

	strncpy(hash->alg_name, hash_name(alg), sizeof(hash->alg_name) - 1);
	hash->alg_key_len = alg->auth_key * 8;
	hash->alg_trunc_len = alg->icv * 8;
	memcpy(hash->alg_key, key + alg->cipher_key + alg->salt, alg->auth_key);
	mnl_attr_put(nlh, XFRMA_ALG_AUTH_TRUNC, sizeof(*hash) + alg->auth_key, hash);
	explicit_bzero(room, sizeof(room));
}

static void put_algorithms(struct nlmsghdr *nlh, const struct xipsec_sa *sa)
{
	const enum alg_kind kind = alg_kind(sa->alg);
	const struct alg *alg = alg_get(sa->alg);
	const char *aead = aead_name(kind);

	if (aead) {
		put_aead(nlh, alg, aead, sa->key);
		return;
	}
	put_hash(nlh, alg, sa->key);
	if (sa->l4_proto == IPPROTO_ESP)
		put_cipher(nlh, alg, cipher_name(kind), sa->key);
}

/* ------------------------------------------------------------------ SAs */

/* The window as words of 32; with or without ESN, for the old form ends at 32 packets. */
static void put_replay(struct nlmsghdr *nlh, const struct xipsec_sa *sa, __u64 seq)
{
	char room[sizeof(struct xfrm_replay_state_esn) + SA_KERNEL_WINDOW_MAX / 8]
		__attribute__((aligned(8))) = {0};
	struct xfrm_replay_state_esn *replay = (void *)room;

	replay->replay_window = sa->window;
	replay->bmp_len = (sa->window + 31) / 32;
	if (sa->dir == XIPSEC_DIR_OUT) {
		replay->oseq = (__u32)seq;
		replay->oseq_hi = seq >> 32;
	} else {
		replay->seq = (__u32)seq;
		replay->seq_hi = seq >> 32;
		/* What is not above `seq` counts as received. */
		if (seq)
			memset(replay->bmp, 0xff, replay->bmp_len * 4);
	}
	mnl_attr_put(nlh, XFRMA_REPLAY_ESN_VAL, sizeof(*replay) + replay->bmp_len * 4, replay);
}

static void put_encap(struct nlmsghdr *nlh, const struct xipsec_sa *sa)
{
	struct xfrm_encap_tmpl encap = {.encap_type = UDP_ENCAP_ESPINUDP,
					.encap_sport = sa->src_port,
					.encap_dport = sa->dst_port};

	if (sa->flags & XIPSEC_SA_UDP)
		mnl_attr_put(nlh, XFRMA_ENCAP, sizeof(encap), &encap);
}

static __u64 limit_or_none(__u64 limit)
{
	return limit ? limit : XFRM_INF;
}

/* Limits of time are kept by sa_limits.c, which tells of them; so that nothing is sealed or opened
 * afterwards, the kernel ends the SA a second later. */
static void fill_lifetimes(struct xfrm_lifetime_cfg *lft, const struct xipsec_limits *limits)
{
	lft->soft_packet_limit = limit_or_none(limits->soft_packets);
	lft->hard_packet_limit = limit_or_none(limits->hard_packets);
	lft->soft_byte_limit = limit_or_none(limits->soft_bytes);
	lft->hard_byte_limit = limit_or_none(limits->hard_bytes);
	if (limits->hard_time)
		lft->hard_add_expires_seconds = (__u64)limits->hard_time + 1;
}

static void fill_flags(struct xfrm_usersa_info *info, const struct xipsec_sa *sa)
{
	if (sa->flags & XIPSEC_SA_ESN)
		info->flags |= XFRM_STATE_ESN;
	if (sa->flags & XIPSEC_SA_NO_ECN)
		info->flags |= XFRM_STATE_NOECN;
	if (sa->mode == XIPSEC_MODE_TUNNEL)
		info->flags |= XFRM_STATE_AF_UNSPEC; /* either family inside */
	if (sa->df == XIPSEC_DF_CLEAR)
		info->flags |= XFRM_STATE_NOPMTUDISC;
	if (sa->l4_proto == IPPROTO_AH && sa->outer_family == XIPSEC_FAMILY_IP4)
		info->flags |= XFRM_STATE_ALIGN4; /* RFC 4302 3.3.3.2.1 */
}

struct nlmsghdr *xfrm_msg_sa(void *buf, const struct xipsec_sa *sa, __u32 index, __u32 child,
			     __u64 seq)
{
	struct xfrm_usersa_info *info;
	void *header;
	struct nlmsghdr *nlh = netlink_request(buf, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL,
					       sizeof(*info), &header);

	info = header;
	addr_put(&info->saddr, &sa->src);
	addr_put(&info->id.daddr, &sa->dst);
	info->id.spi = sa->spi;
	info->id.proto = sa->l4_proto;
	info->family = af_of(sa->outer_family);
	info->mode = sa->mode == XIPSEC_MODE_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
	info->reqid = xfrm_reqid(sa, index, child);
	fill_lifetimes(&info->lft, &sa->limits);
	fill_flags(info, sa);
	put_algorithms(nlh, sa);
	put_encap(nlh, sa);
	put_replay(nlh, sa, seq);
	if (sa->tfc_size && sa->dir == XIPSEC_DIR_OUT)
		mnl_attr_put_u32(nlh, XFRMA_TFCPAD, sa->tfc_size);
	if ((sa->flags & XIPSEC_SA_DSCP) && sa->dir == XIPSEC_DIR_OUT)
		mnl_attr_put_u32(nlh, XFRMA_SA_EXTRA_FLAGS, XFRM_SA_XFLAG_DONT_ENCAP_DSCP);
	mnl_attr_put_u32(nlh, XFRMA_SET_MARK,
			 (sa->dir == XIPSEC_DIR_IN ? XIPSEC_MARK_OPENED : XIPSEC_MARK_XFRM) |
				 child);
	mnl_attr_put_u32(nlh, XFRMA_SET_MARK_MASK, ANY_MARK);
	if (sa->if_id)
		mnl_attr_put_u32(nlh, XFRMA_IF_ID, sa->if_id);
	return nlh;
}

void xfrm_msg_sa_narrow(struct nlmsghdr *nlh, const struct xfrm_selector *sel)
{
	struct xfrm_usersa_info *info = mnl_nlmsg_get_payload(nlh);

	info->sel = *sel;
}

struct xfrm_selector xfrm_between(const struct xipsec_sa *sa)
{
	struct xfrm_selector sel = {.family = af_of(sa->outer_family)};

	addr_put(&sel.saddr, &sa->src);
	addr_put(&sel.daddr, &sa->dst);
	sel.prefixlen_s = sel.prefixlen_d = sa->outer_family == XIPSEC_FAMILY_IP6 ? 128 : 32;
	return sel;
}

static void fill_id(struct xfrm_usersa_id *id, const struct xipsec_sa *sa)
{
	addr_put(&id->daddr, &sa->dst);
	id->spi = sa->spi;
	id->proto = sa->l4_proto;
	id->family = af_of(sa->outer_family);
}

struct nlmsghdr *xfrm_msg_sa_gone(void *buf, const struct xipsec_sa *sa)
{
	void *header;
	struct nlmsghdr *nlh =
		netlink_request(buf, XFRM_MSG_DELSA, 0, sizeof(struct xfrm_usersa_id), &header);

	fill_id(header, sa);
	return nlh;
}

struct nlmsghdr *xfrm_msg_sa_ask(void *buf, const struct xipsec_sa *sa)
{
	struct xfrm_aevent_id *ask;
	void *header;
	struct nlmsghdr *nlh = netlink_request(buf, XFRM_MSG_GETAE, 0, sizeof(*ask), &header);

	ask = header;
	fill_id(&ask->sa_id, sa);
	addr_put(&ask->saddr, &sa->src);
	return nlh;
}

/* ------------------------------------------------------------------ policies */

/* Which packets meet it, beside its selector. */
static void put_meets(struct nlmsghdr *nlh, const struct xfrm_way *way)
{
	struct xfrm_mark mark = {.m = way->host ? XFRM_HOST_BIT : ANY_MARK};

	_Static_assert(XIPSEC_MARK_OWN & XIPSEC_MARK_XFRM & XIPSEC_MARK_OPENED & XFRM_HOST_BIT,
		       "in all of them");
	if (way->if_id)
		mnl_attr_put_u32(nlh, XFRMA_IF_ID, way->if_id);
	if (way->if_id && way->dir == XFRM_POLICY_OUT)
		return;
	if (!way->host)
		mark.v = (way->dir == XFRM_POLICY_OUT ? XIPSEC_MARK_XFRM : XIPSEC_MARK_OPENED) |
			 way->child;
	mnl_attr_put(nlh, XFRMA_MARK, sizeof(mark), &mark);
}

struct nlmsghdr *xfrm_msg_way(void *buf, const struct xfrm_way *way)
{
	struct xfrm_user_tmpl tmpl = {.id.proto = way->l4_proto,
				      .family = af_of(way->sa_family),
				      .reqid = way->reqid,
				      .mode = way->mode == XIPSEC_MODE_TUNNEL ? XFRM_MODE_TUNNEL
									      : XFRM_MODE_TRANSPORT,
				      .aalgos = ~0U,
				      .ealgos = ~0U,
				      .calgos = ~0U};
	struct xfrm_userpolicy_info *info;
	void *header;
	struct nlmsghdr *nlh =
		netlink_request(buf, XFRM_MSG_UPDPOLICY, NLM_F_CREATE, sizeof(*info), &header);

	info = header;
	info->sel = way->sel;
	info->sel.family = way->family;
	info->dir = way->dir;
	info->priority = way->priority;
	info->action = way->kind == XFRM_WAY_BLOCK ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
	info->share = XFRM_SHARE_ANY;
	info->lft = (struct xfrm_lifetime_cfg){.soft_byte_limit = XFRM_INF,
					       .hard_byte_limit = XFRM_INF,
					       .soft_packet_limit = XFRM_INF,
					       .hard_packet_limit = XFRM_INF};
	addr_put(&tmpl.saddr, &way->src);
	addr_put(&tmpl.id.daddr, &way->dst);
	if (way->kind == XFRM_WAY_SA)
		mnl_attr_put(nlh, XFRMA_TMPL, sizeof(tmpl), &tmpl);
	put_meets(nlh, way);
	return nlh;
}

struct nlmsghdr *xfrm_msg_way_gone(void *buf, const struct xfrm_way *way)
{
	struct xfrm_userpolicy_id *id;
	void *header;
	struct nlmsghdr *nlh = netlink_request(buf, XFRM_MSG_DELPOLICY, 0, sizeof(*id), &header);

	id = header;
	id->sel = way->sel;
	id->sel.family = way->family;
	id->dir = way->dir;
	put_meets(nlh, way);
	return nlh;
}

/* ------------------------------------------------------------------ what the kernel says */

/* The payload of the attribute `type` behind a header of `offset` bytes, of at least `size` bytes,
 * is copied: the kernel aligns it to 4 bytes. false: it is not there. */
static bool copy_attr(const struct nlmsghdr *nlh, size_t offset, __u16 type, void *out, size_t size)
{
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(nlh) < offset)
		return false;
	mnl_attr_for_each(attr, nlh, (unsigned int)offset)
	{
		if (mnl_attr_get_type(attr) != type)
			continue;
		if (mnl_attr_get_payload_len(attr) < size)
			return false;
		memcpy(out, mnl_attr_get_payload(attr), size);
		return true;
	}
	return false;
}

static __u64 sent_of(const struct xfrm_replay_state_esn *replay)
{
	return (__u64)replay->oseq_hi << 32 | replay->oseq;
}

static __u64 heard_of(const struct xfrm_replay_state_esn *replay)
{
	return (__u64)replay->seq_hi << 32 | replay->seq;
}

static struct xfrm_usersa_id id_of(const struct xfrm_usersa_info *info)
{
	return (struct xfrm_usersa_id){.daddr = info->id.daddr,
				       .spi = info->id.spi,
				       .proto = info->id.proto,
				       .family = info->family};
}

int xfrm_read_count(const struct nlmsghdr *nlh, __u8 dir, struct xfrm_count *out)
{
	const size_t offset = sizeof(struct xfrm_aevent_id);
	struct xfrm_lifetime_cur cur;
	struct xfrm_replay_state_esn replay;

	if (nlh->nlmsg_type != XFRM_MSG_NEWAE ||
	    !copy_attr(nlh, offset, XFRMA_LTIME_VAL, &cur, sizeof(cur)) ||
	    !copy_attr(nlh, offset, XFRMA_REPLAY_ESN_VAL, &replay, sizeof(replay)))
		return -EBADMSG;
	*out = (struct xfrm_count){.packets = cur.packets,
				   .bytes = cur.bytes,
				   .seq = dir == XIPSEC_DIR_OUT ? sent_of(&replay)
								: heard_of(&replay)};
	return 0;
}

int xfrm_read_state(const struct nlmsghdr *nlh, struct xfrm_state *out)
{
	struct xfrm_replay_state_esn replay;
	struct xfrm_usersa_info info;
	size_t offset = sizeof(info);

	if (nlh->nlmsg_type == XFRM_MSG_DELSA) {
		offset = sizeof(struct xfrm_usersa_id);
		if (!copy_attr(nlh, offset, XFRMA_SA, &info, sizeof(info)))
			return -EBADMSG;
	} else {
		if (nlh->nlmsg_type != XFRM_MSG_NEWSA || mnl_nlmsg_get_payload_len(nlh) < offset)
			return -EBADMSG;
		memcpy(&info, mnl_nlmsg_get_payload(nlh), sizeof(info));
	}
	if (!copy_attr(nlh, offset, XFRMA_REPLAY_ESN_VAL, &replay, sizeof(replay)))
		return -EBADMSG;
	*out = (struct xfrm_state){
		.id = id_of(&info),
		.reqid = info.reqid,
		.sent = {info.curlft.packets, info.curlft.bytes, sent_of(&replay)},
		.heard = {info.curlft.packets, info.curlft.bytes, heard_of(&replay)}};
	return 0;
}

bool xfrm_is_ours(__u32 word)
{
	const __u32 kind = word & XIPSEC_MARK_MASK;

	return kind == XIPSEC_MARK_XFRM || kind == XIPSEC_MARK_OPENED;
}

bool xfrm_read_way(const struct nlmsghdr *nlh, struct xfrm_way *out)
{
	const struct xfrm_userpolicy_info *info = mnl_nlmsg_get_payload(nlh);
	struct xfrm_user_tmpl tmpl = {0};
	struct xfrm_mark mark = {0};
	__u32 if_id = 0;

	copy_attr(nlh, sizeof(*info), XFRMA_MARK, &mark, sizeof(mark));
	copy_attr(nlh, sizeof(*info), XFRMA_TMPL, &tmpl, sizeof(tmpl));
	copy_attr(nlh, sizeof(*info), XFRMA_IF_ID, &if_id, sizeof(if_id));
	if (!xfrm_is_ours(mark.v) && !xfrm_mark_is_host(&mark) &&
	    !(if_id && xfrm_is_ours(tmpl.reqid)))
		return false;
	*out = (struct xfrm_way){.dir = info->dir,
				 .host = xfrm_mark_is_host(&mark),
				 .family = info->sel.family,
				 .sel = info->sel,
				 .child = mark.v & ~XIPSEC_MARK_MASK,
				 .if_id = if_id};
	out->sel.family = 0;
	return true;
}

static void read_acquire(const struct nlmsghdr *nlh, struct xfrm_news *out)
{
	struct xfrm_user_tmpl tmpl;

	if (!copy_attr(nlh, sizeof(struct xfrm_user_acquire), XFRMA_TMPL, &tmpl, sizeof(tmpl)))
		return;
	out->kind = XFRM_NEWS_ACQUIRE;
	out->reqid = tmpl.reqid;
}

static void read_state(const struct xfrm_usersa_info *state, struct xfrm_news *out)
{
	out->reqid = state->reqid;
	out->sa = id_of(state);
	out->count.packets = state->curlft.packets;
	out->count.bytes = state->curlft.bytes;
}

static void read_expire(const struct nlmsghdr *nlh, struct xfrm_news *out)
{
	const struct xfrm_user_expire *expire = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*expire))
		return;
	read_state(&expire->state, out);
	out->kind = expire->hard ? XFRM_NEWS_HARD : XFRM_NEWS_SOFT;
}

static void read_mapping(const struct nlmsghdr *nlh, struct xfrm_news *out)
{
	const struct xfrm_user_mapping *mapping = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*mapping))
		return;
	out->kind = XFRM_NEWS_MAPPING;
	out->reqid = mapping->reqid;
	out->sa = mapping->id;
	memcpy(&out->src, &mapping->new_saddr, sizeof(out->src));
	out->src_port = mapping->new_sport;
}

bool xfrm_mark_is_host(const struct xfrm_mark *mark)
{
	return mark->m == XFRM_HOST_BIT && !mark->v;
}

static void read_policy_gone(const struct nlmsghdr *nlh, struct xfrm_news *out)
{
	const size_t offset = sizeof(struct xfrm_userpolicy_id);
	struct xfrm_user_tmpl tmpl;
	struct xfrm_mark mark;

	if (copy_attr(nlh, offset, XFRMA_MARK, &mark, sizeof(mark)))
		out->reqid = xfrm_mark_is_host(&mark) ? XIPSEC_MARK_XFRM : mark.v;
	else if (copy_attr(nlh, offset, XFRMA_TMPL, &tmpl, sizeof(tmpl)))
		out->reqid = tmpl.reqid; /* of a tunnel */
	out->kind = XFRM_NEWS_POLICIES_GONE;
	if (!out->reqid)
		out->kind = XFRM_NEWS_NONE;
}

static void read_sa_gone(const struct nlmsghdr *nlh, struct xfrm_news *out)
{
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(out->sa))
		return;
	out->kind = XFRM_NEWS_SAS_GONE;
	memcpy(&out->sa, mnl_nlmsg_get_payload(nlh), sizeof(out->sa));
}

void xfrm_read_news(const struct nlmsghdr *nlh, struct xfrm_news *out)
{
	memset(out, 0, sizeof(*out));
	switch (nlh->nlmsg_type) {
	case XFRM_MSG_ACQUIRE: read_acquire(nlh, out); break;
	case XFRM_MSG_EXPIRE: read_expire(nlh, out); break;
	case XFRM_MSG_MAPPING: read_mapping(nlh, out); break;
	case XFRM_MSG_FLUSHPOLICY: out->kind = XFRM_NEWS_POLICIES_GONE; break;
	case XFRM_MSG_DELPOLICY: read_policy_gone(nlh, out); break;
	case XFRM_MSG_FLUSHSA: out->kind = XFRM_NEWS_SAS_GONE; break;
	case XFRM_MSG_DELSA: read_sa_gone(nlh, out); break;
	}
}
