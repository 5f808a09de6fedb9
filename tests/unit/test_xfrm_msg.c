// SPDX-License-Identifier: BSD-2-Clause
/* What the kernel is told of SAs and policies of the engine xfrm, field by field, and what is made
 * of its answers. Whether it takes them: prog/test_xfrm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <linux/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/alg.h"
#include "loader/xfrm_msg.h"
#include "tests/lib/sa_make.h"

#define INDEX 0x321
#define CHILD 0x17

static char buf[NETLINK_REQUEST_MAX];

static struct xipsec_sa make(__u8 dir, __u8 alg)
{
	return sa_make(dir, alg, 0xabcd1234);
}

static const struct nlattr *attr_of(const struct nlmsghdr *nlh, size_t offset, __u16 type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, (unsigned int)offset)
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static const void *sa_attr(const struct nlmsghdr *nlh, __u16 type, size_t size)
{
	const struct nlattr *attr = attr_of(nlh, sizeof(struct xfrm_usersa_info), type);

	if (!attr)
		return NULL;
	assert_int_equal(mnl_attr_get_payload_len(attr), size);
	return mnl_attr_get_payload(attr);
}

static __u32 sa_word(const struct nlmsghdr *nlh, __u16 type)
{
	const __u32 *word = sa_attr(nlh, type, 4);

	assert_non_null(word);
	return *word;
}

/* The bytes of struct xfrm_usersa_info, written down by hand: offsets of linux/xfrm.h. */
static void sa_header(void **state)
{
	struct xipsec_sa sa = make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16);
	const struct nlmsghdr *nlh;
	const __u8 *byte;

	sa.limits.hard_packets = 7;
	nlh = xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0);
	assert_int_equal(nlh->nlmsg_type, 0x10);
	assert_int_equal(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
	byte = mnl_nlmsg_get_payload(nlh);
	/* no selector: 56 bytes of nothing */
	for (int i = 0; i < 56; i++)
		assert_int_equal(byte[i], 0);
	assert_memory_equal(byte + 56, "\xc0\x00\x02\x02", 4);                 /* id.daddr */
	assert_memory_equal(byte + 72, "\xab\xcd\x12\x34", 4);                 /* id.spi */
	assert_int_equal(byte[76], 50);                                        /* id.proto */
	assert_memory_equal(byte + 80, "\xc0\x00\x02\x01", 4);                 /* saddr */
	assert_memory_equal(byte + 96, "\xff\xff\xff\xff\xff\xff\xff\xff", 8); /* soft bytes */
	assert_memory_equal(byte + 96 + 24, "\7\0\0\0\0\0\0\0", 8);            /* hard packets */
}

static void sa_fields(void **state)
{
	struct xipsec_sa sa = make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16);
	const struct xfrm_usersa_info *info;
	const struct nlmsghdr *nlh;

	sa.flags = XIPSEC_SA_ESN | XIPSEC_SA_NO_ECN;
	sa.df = XIPSEC_DF_CLEAR;
	sa.limits = (struct xipsec_limits){.soft_packets = 1,
					   .hard_packets = 2,
					   .soft_bytes = 3,
					   .hard_bytes = 4,
					   .soft_time = 5,
					   .hard_time = 6};
	nlh = xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0);
	info = mnl_nlmsg_get_payload(nlh);
	assert_int_equal(info->family, AF_INET);
	assert_int_equal(info->mode, XFRM_MODE_TUNNEL);
	assert_int_equal(info->reqid, XIPSEC_MARK_XFRM | INDEX);
	assert_int_equal(info->replay_window, 0);
	assert_int_equal(info->flags, XFRM_STATE_ESN | XFRM_STATE_NOECN | XFRM_STATE_AF_UNSPEC |
					      XFRM_STATE_NOPMTUDISC);
	assert_int_equal(info->lft.soft_packet_limit, 1);
	assert_int_equal(info->lft.hard_packet_limit, 2);
	assert_int_equal(info->lft.soft_byte_limit, 3);
	assert_int_equal(info->lft.hard_byte_limit, 4);
	assert_int_equal(info->lft.hard_add_expires_seconds, 7); /* behind xipsecd, which tells */
	assert_int_equal(sa_word(nlh, XFRMA_SET_MARK), XIPSEC_MARK_XFRM | CHILD);
	assert_null(sa_attr(nlh, XFRMA_ENCAP, 0));

	sa.outer_family = XIPSEC_FAMILY_IP6;
	sa.mode = XIPSEC_MODE_TRANSPORT;
	sa.flags = 0;
	sa.df = XIPSEC_DF_SET;
	info = mnl_nlmsg_get_payload(xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0));
	assert_int_equal(info->family, AF_INET6);
	assert_int_equal(info->mode, XFRM_MODE_TRANSPORT);
	assert_int_equal(info->flags, 0);
}

static void inbound_marks_what_it_opens(void **state)
{
	struct xipsec_sa sa = make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16);
	const struct nlmsghdr *nlh = xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0);
	const struct xfrm_usersa_info *info = mnl_nlmsg_get_payload(nlh);

	assert_int_equal(info->reqid, XIPSEC_MARK_OPENED | CHILD);
	assert_int_equal(sa_word(nlh, XFRMA_SET_MARK), XIPSEC_MARK_OPENED | CHILD);
	assert_int_equal(sa_word(nlh, XFRMA_SET_MARK_MASK), 0xffffffff);
}

static void outbound_options(void **state)
{
	struct xipsec_sa sa = make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16);
	const struct xfrm_encap_tmpl *encap;
	const struct nlmsghdr *nlh;

	sa.flags = XIPSEC_SA_UDP | XIPSEC_SA_DSCP;
	sa.src_port = htons(4500);
	sa.dst_port = htons(31337);
	sa.tfc_size = 1200;
	nlh = xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0);
	encap = sa_attr(nlh, XFRMA_ENCAP, sizeof(*encap));
	assert_non_null(encap);
	assert_int_equal(encap->encap_type, UDP_ENCAP_ESPINUDP);
	assert_int_equal(encap->encap_sport, htons(4500));
	assert_int_equal(encap->encap_dport, htons(31337));
	assert_int_equal(sa_word(nlh, XFRMA_TFCPAD), 1200);
	assert_int_equal(sa_word(nlh, XFRMA_SA_EXTRA_FLAGS), XFRM_SA_XFLAG_DONT_ENCAP_DSCP);
}

/* ------------------------------------------------------------------ algorithms */

static void aead(__u8 alg, const char *name, __u32 key_bits, __u32 icv_bits)
{
	struct xipsec_sa sa = make(XIPSEC_DIR_OUT, alg);
	const struct nlmsghdr *nlh = xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0);
	const struct xfrm_algo_aead *got =
		sa_attr(nlh, XFRMA_ALG_AEAD, sizeof(*got) + key_bits / 8);

	assert_non_null(got);
	assert_string_equal(got->alg_name, name);
	assert_int_equal(got->alg_key_len, key_bits);
	assert_int_equal(got->alg_icv_len, icv_bits);
	assert_memory_equal(got->alg_key, sa.key, key_bits / 8);
	assert_null(attr_of(nlh, sizeof(struct xfrm_usersa_info), XFRMA_ALG_CRYPT));
	assert_null(attr_of(nlh, sizeof(struct xfrm_usersa_info), XFRMA_ALG_AUTH_TRUNC));
}

/* RFC 4106, 4309, 4543, 7634: key and salt as KEYMAT has them. */
static void aeads(void **state)
{
	aead(XIPSEC_ALG_AES128GCM16, "rfc4106(gcm(aes))", 160, 128);
	aead(XIPSEC_ALG_AES256GCM16, "rfc4106(gcm(aes))", 288, 128);
	aead(XIPSEC_ALG_AES128GMAC, "rfc4543(gcm(aes))", 160, 128);
	aead(XIPSEC_ALG_AES256GMAC, "rfc4543(gcm(aes))", 288, 128);
	aead(XIPSEC_ALG_CHACHA20POLY1305, "rfc7539esp(chacha20,poly1305)", 288, 128);
	aead(XIPSEC_ALG_AES128CCM16, "rfc4309(ccm(aes))", 152, 128);
	aead(XIPSEC_ALG_AES256CCM8, "rfc4309(ccm(aes))", 280, 64);
}

/* `key_bits` of the cipher, its salt included; the hash's key stands behind it in ours. */
static void pair(__u8 alg, __u8 proto, const char *cipher, __u32 key_bits, const char *hash,
		 __u32 hash_bits)
{
	struct xipsec_sa sa = make(XIPSEC_DIR_OUT, alg);
	const struct xfrm_algo_auth *auth;
	const struct xfrm_algo *crypt;
	const struct nlmsghdr *nlh;

	sa.l4_proto = proto;
	nlh = xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0);
	auth = sa_attr(nlh, XFRMA_ALG_AUTH_TRUNC, sizeof(*auth) + hash_bits / 8);
	assert_non_null(auth);
	assert_string_equal(auth->alg_name, hash);
	assert_int_equal(auth->alg_key_len, hash_bits);
	assert_int_equal(auth->alg_trunc_len, hash_bits / 2); /* RFC 4868 */
	assert_memory_equal(auth->alg_key, sa.key + key_bits / 8, hash_bits / 8);
	crypt = sa_attr(nlh, XFRMA_ALG_CRYPT, sizeof(*crypt) + key_bits / 8);
	if (!cipher) {
		assert_null(crypt);
		return;
	}
	assert_non_null(crypt);
	assert_string_equal(crypt->alg_name, cipher);
	assert_int_equal(crypt->alg_key_len, key_bits);
	assert_memory_equal(crypt->alg_key, sa.key, key_bits / 8);
}

static void pairs(void **state)
{
	pair(XIPSEC_ALG_AES128CBC_SHA256, IPPROTO_ESP, "cbc(aes)", 128, "hmac(sha256)", 256);
	pair(XIPSEC_ALG_AES256CBC_SHA384, IPPROTO_ESP, "cbc(aes)", 256, "hmac(sha384)", 384);
	pair(XIPSEC_ALG_AES128CTR_SHA512, IPPROTO_ESP, "rfc3686(ctr(aes))", 160, "hmac(sha512)",
	     512);
	pair(XIPSEC_ALG_NULL_SHA256, IPPROTO_ESP, "ecb(cipher_null)", 0, "hmac(sha256)", 256);
	pair(XIPSEC_ALG_NULL_SHA512, IPPROTO_AH, NULL, 0, "hmac(sha512)", 512);
}

static void ah_is_aligned_as_the_rfc_says(void **state)
{
	struct xipsec_sa sa = make(XIPSEC_DIR_OUT, XIPSEC_ALG_NULL_SHA256);
	const struct xfrm_usersa_info *info;

	sa.l4_proto = IPPROTO_AH;
	info = mnl_nlmsg_get_payload(xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0));
	assert_int_equal(info->id.proto, IPPROTO_AH);
	assert_true(info->flags & XFRM_STATE_ALIGN4);
	sa.outer_family = XIPSEC_FAMILY_IP6;
	info = mnl_nlmsg_get_payload(xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0));
	assert_false(info->flags & XFRM_STATE_ALIGN4);
}

/* ------------------------------------------------------------------ numbers */

static const struct xfrm_replay_state_esn *replay_of(const struct xipsec_sa *sa, __u64 seq)
{
	const struct nlmsghdr *nlh = xfrm_msg_sa(buf, sa, INDEX, CHILD, seq);
	const struct xfrm_replay_state_esn *replay;

	replay = sa_attr(nlh, XFRMA_REPLAY_ESN_VAL, sizeof(*replay) + (sa->window + 31) / 32 * 4);
	assert_non_null(replay);
	assert_int_equal(replay->replay_window, sa->window);
	assert_int_equal(replay->bmp_len, (sa->window + 31) / 32);
	return replay;
}

static void numbers(void **state)
{
	struct xipsec_sa sa = make(XIPSEC_DIR_OUT, XIPSEC_ALG_AES128GCM16);
	const struct xfrm_replay_state_esn *replay = replay_of(&sa, 0x0000000512345678);

	assert_int_equal(replay->oseq, 0x12345678);
	assert_int_equal(replay->oseq_hi, 5);
	assert_int_equal(replay->seq | replay->seq_hi, 0);
	sa.dir = XIPSEC_DIR_IN;
	sa.window = SA_KERNEL_WINDOW_MAX;
	replay = replay_of(&sa, 0x0000000512345678);
	assert_int_equal(replay->seq, 0x12345678);
	assert_int_equal(replay->seq_hi, 5);
	assert_int_equal(replay->oseq | replay->oseq_hi, 0);
	/* all that was before counts as received */
	for (__u32 i = 0; i < replay->bmp_len; i++)
		assert_int_equal(replay->bmp[i], 0xffffffff);
	replay = replay_of(&sa, 0);
	for (__u32 i = 0; i < replay->bmp_len; i++)
		assert_int_equal(replay->bmp[i], 0);
}

/* ------------------------------------------------------------------ policies */

static void check_way(const struct nlmsghdr *nlh, __u32 mark, __u32 reqid, __u8 dir)
{
	const size_t size = sizeof(struct xfrm_userpolicy_info);
	const struct xfrm_userpolicy_info *info = mnl_nlmsg_get_payload(nlh);
	const struct xfrm_mark *have;
	const struct xfrm_user_tmpl *tmpl;
	const struct nlattr *attr;

	assert_int_equal(nlh->nlmsg_type, XFRM_MSG_UPDPOLICY);
	assert_int_equal(info->dir, dir);
	assert_int_equal(info->action, XFRM_POLICY_ALLOW);
	assert_int_equal(info->sel.family, AF_INET6);
	assert_int_equal(info->sel.prefixlen_s | info->sel.prefixlen_d | info->sel.proto, 0);
	attr = attr_of(nlh, size, XFRMA_MARK);
	assert_non_null(attr);
	have = mnl_attr_get_payload(attr);
	assert_int_equal(have->v, mark);
	assert_int_equal(have->m, 0xffffffff);
	attr = attr_of(nlh, size, XFRMA_TMPL);
	assert_non_null(attr);
	assert_int_equal(mnl_attr_get_payload_len(attr), sizeof(*tmpl));
	tmpl = mnl_attr_get_payload(attr);
	assert_int_equal(tmpl->reqid, reqid);
	assert_int_equal(tmpl->id.proto, IPPROTO_ESP);
	assert_int_equal(tmpl->id.spi, 0);
	assert_int_equal(tmpl->family, AF_INET);
	assert_int_equal(tmpl->mode, XFRM_MODE_TUNNEL);
	assert_int_equal(tmpl->optional, 0); /* required: no SA, no packet */
	assert_int_equal(tmpl->aalgos & tmpl->ealgos & tmpl->calgos, 0xffffffff);
}

static void policies(void **state)
{
	struct xfrm_way way = {.dir = XFRM_POLICY_OUT,
			       .family = AF_INET6,
			       .child = CHILD,
			       .reqid = XIPSEC_MARK_XFRM | INDEX,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .l4_proto = IPPROTO_ESP,
			       .sa_family = XIPSEC_FAMILY_IP4};
	const struct xfrm_userpolicy_id *id;
	const struct nlmsghdr *nlh;

	check_way(xfrm_msg_way(buf, &way), XIPSEC_MARK_XFRM | CHILD, XIPSEC_MARK_XFRM | INDEX,
		  XFRM_POLICY_OUT);
	way.dir = XFRM_POLICY_FWD;
	way.reqid = XIPSEC_MARK_OPENED | CHILD;
	check_way(xfrm_msg_way(buf, &way), XIPSEC_MARK_OPENED | CHILD, XIPSEC_MARK_OPENED | CHILD,
		  XFRM_POLICY_FWD);
	nlh = xfrm_msg_way_gone(buf, &way);
	assert_int_equal(nlh->nlmsg_type, XFRM_MSG_DELPOLICY);
	id = mnl_nlmsg_get_payload(nlh);
	assert_int_equal(id->dir, XFRM_POLICY_FWD);
	assert_int_equal(id->sel.family, AF_INET6);
	assert_non_null(attr_of(nlh, sizeof(*id), XFRMA_MARK));
}

/* This host's own packets: by selector, of what has no mark of ours. What refuses asks for no SA.
 */
static void policies_of_this_host(void **state)
{
	struct xfrm_way way = {.dir = XFRM_POLICY_OUT,
			       .host = true,
			       .family = AF_INET,
			       .sel = {.proto = IPPROTO_TCP,
				       .sport = htons(22),
				       .sport_mask = 0xffff,
				       .prefixlen_d = 24},
			       .priority = 3,
			       .child = CHILD,
			       .mode = XIPSEC_MODE_TRANSPORT,
			       .l4_proto = IPPROTO_ESP,
			       .sa_family = XIPSEC_FAMILY_IP4};
	const size_t size = sizeof(struct xfrm_userpolicy_info);
	const struct xfrm_userpolicy_info *info;
	const struct xfrm_userpolicy_id *id;
	const struct xfrm_mark *mark;
	struct nlmsghdr *nlh = xfrm_msg_way(buf, &way);

	info = mnl_nlmsg_get_payload(nlh);
	assert_int_equal(info->priority, 3);
	assert_int_equal(info->sel.family, AF_INET);
	assert_int_equal(info->sel.proto, IPPROTO_TCP);
	assert_int_equal(info->sel.sport, htons(22));
	assert_int_equal(info->sel.prefixlen_d, 24);
	mark = mnl_attr_get_payload(attr_of(nlh, size, XFRMA_MARK));
	assert_int_equal(mark->v, 0);
	assert_int_equal(mark->m, 0x40000000);
	assert_true(xfrm_mark_is_host(mark));
	assert_non_null(attr_of(nlh, size, XFRMA_TMPL));
	nlh = xfrm_msg_way_gone(buf, &way);
	id = mnl_nlmsg_get_payload(nlh);
	assert_int_equal(id->sel.sport, htons(22));
	mark = mnl_attr_get_payload(attr_of(nlh, sizeof(*id), XFRMA_MARK));
	assert_true(xfrm_mark_is_host(mark));

	way.kind = XFRM_WAY_PLAIN;
	nlh = xfrm_msg_way(buf, &way);
	info = mnl_nlmsg_get_payload(nlh);
	assert_int_equal(info->action, XFRM_POLICY_ALLOW);
	assert_null(attr_of(nlh, size, XFRMA_TMPL));
	way.kind = XFRM_WAY_BLOCK;
	nlh = xfrm_msg_way(buf, &way);
	info = mnl_nlmsg_get_payload(nlh);
	assert_int_equal(info->action, XFRM_POLICY_BLOCK);
	assert_null(attr_of(nlh, size, XFRMA_TMPL));
}

static __u32 if_id_of(const struct nlmsghdr *nlh, size_t size)
{
	const struct nlattr *attr = attr_of(nlh, size, XFRMA_IF_ID);

	return attr ? mnl_attr_get_u32(attr) : 0;
}

/* A tunnel's: its if_id says which packets, on the way out whatever mark they carry. What is listed
 * is known again by its template, or by the mark of what was opened. */
static void policies_of_a_tunnel(void **state)
{
	struct xfrm_way way = {.dir = XFRM_POLICY_OUT,
			       .family = AF_INET,
			       .child = CHILD,
			       .if_id = 7,
			       .reqid = XIPSEC_MARK_XFRM | INDEX,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .l4_proto = IPPROTO_ESP,
			       .sa_family = XIPSEC_FAMILY_IP4};
	const size_t size = sizeof(struct xfrm_userpolicy_info);
	struct xipsec_sa sa = make(XIPSEC_DIR_IN, XIPSEC_ALG_AES128GCM16);
	const struct xfrm_mark *mark;
	struct nlmsghdr *nlh = xfrm_msg_way(buf, &way);
	struct xfrm_way read;

	assert_int_equal(if_id_of(nlh, size), 7);
	assert_null(attr_of(nlh, size, XFRMA_MARK));
	assert_true(xfrm_read_way(nlh, &read));
	assert_int_equal(read.if_id, 7);
	assert_int_equal(read.dir, XFRM_POLICY_OUT);
	assert_int_equal(read.family, AF_INET);
	nlh = xfrm_msg_way_gone(buf, &way);
	assert_int_equal(if_id_of(nlh, sizeof(struct xfrm_userpolicy_id)), 7);
	way.reqid = 9; /* somebody else's tunnel */
	assert_false(xfrm_read_way(xfrm_msg_way(buf, &way), &read));
	way.reqid = XIPSEC_MARK_XFRM | INDEX;
	way.if_id = 0;
	way.dir = XFRM_POLICY_FWD;
	assert_int_equal(if_id_of(xfrm_msg_way(buf, &way), size), 0);

	way.if_id = 7;
	way.kind = XFRM_WAY_BLOCK;
	nlh = xfrm_msg_way(buf, &way);
	assert_int_equal(if_id_of(nlh, size), 7);
	mark = mnl_attr_get_payload(attr_of(nlh, size, XFRMA_MARK));
	assert_int_equal(mark->v, XIPSEC_MARK_OPENED | CHILD);
	assert_int_equal(mark->m, 0xffffffff);
	assert_true(xfrm_read_way(nlh, &read));
	assert_int_equal(read.child, CHILD);
	assert_int_equal(read.if_id, 7);

	assert_null(sa_attr(xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0), XFRMA_IF_ID, 4));
	sa.if_id = 7;
	assert_int_equal(sa_word(xfrm_msg_sa(buf, &sa, INDEX, CHILD, 0), XFRMA_IF_ID), 7);
}

/* ------------------------------------------------------------------ answers and events */

static void *message(__u16 type, size_t size)
{
	void *header;

	netlink_request(buf, type, 0, size, &header);
	return header;
}

static void counters(void **state)
{
	struct xfrm_lifetime_cur cur = {.bytes = 1000, .packets = 10};
	struct xfrm_replay_state_esn replay = {.oseq = 3, .oseq_hi = 1, .seq = 4, .seq_hi = 2};
	struct nlmsghdr *nlh = (void *)buf;
	struct xfrm_count count = {0};

	message(XFRM_MSG_NEWAE, sizeof(struct xfrm_aevent_id));
	assert_int_equal(xfrm_read_count(nlh, XIPSEC_DIR_OUT, &count), -EBADMSG);
	mnl_attr_put(nlh, XFRMA_LTIME_VAL, sizeof(cur), &cur);
	mnl_attr_put(nlh, XFRMA_REPLAY_ESN_VAL, sizeof(replay), &replay);
	assert_int_equal(xfrm_read_count(nlh, XIPSEC_DIR_OUT, &count), 0);
	assert_int_equal(count.packets, 10);
	assert_int_equal(count.bytes, 1000);
	assert_int_equal(count.seq, 0x100000003);
	assert_int_equal(xfrm_read_count(nlh, XIPSEC_DIR_IN, &count), 0);
	assert_int_equal(count.seq, 0x200000004);
	/* cut short */
	message(XFRM_MSG_NEWAE, sizeof(struct xfrm_aevent_id));
	mnl_attr_put(nlh, XFRMA_LTIME_VAL, 8, &cur);
	mnl_attr_put(nlh, XFRMA_REPLAY_ESN_VAL, sizeof(replay), &replay);
	assert_int_equal(xfrm_read_count(nlh, XIPSEC_DIR_OUT, &count), -EBADMSG);
	message(XFRM_MSG_NEWSA, sizeof(struct xfrm_aevent_id));
	assert_int_equal(xfrm_read_count(nlh, XIPSEC_DIR_OUT, &count), -EBADMSG);
}

/* A listed SA, and the end of one. */
static void numbers_of_a_state(void **state)
{
	const struct xfrm_replay_state_esn replay = {
		.oseq = 3, .oseq_hi = 1, .seq = 4, .seq_hi = 2};
	struct xfrm_usersa_info info = {.id = {.spi = htonl(0x1001), .proto = IPPROTO_ESP},
					.family = AF_INET6,
					.curlft = {.bytes = 1000, .packets = 10},
					.reqid = XIPSEC_MARK_OPENED | CHILD};
	struct nlmsghdr *nlh = (void *)buf;
	struct xfrm_state read;

	info.id.daddr.a6[3] = 7;
	for (int gone = 0; gone < 2; gone++) {
		if (gone) {
			message(XFRM_MSG_DELSA, sizeof(struct xfrm_usersa_id));
			mnl_attr_put(nlh, XFRMA_SA, sizeof(info), &info);
		} else {
			*(struct xfrm_usersa_info *)message(XFRM_MSG_NEWSA, sizeof(info)) = info;
		}
		assert_int_equal(xfrm_read_state(nlh, &read), -EBADMSG);
		mnl_attr_put(nlh, XFRMA_REPLAY_ESN_VAL, sizeof(replay), &replay);
		memset(&read, 0, sizeof(read));
		assert_int_equal(xfrm_read_state(nlh, &read), 0);
		assert_int_equal(read.id.spi, htonl(0x1001));
		assert_int_equal(read.id.proto, IPPROTO_ESP);
		assert_int_equal(read.id.family, AF_INET6);
		assert_int_equal(read.id.daddr.a6[3], 7);
		assert_int_equal(read.reqid, XIPSEC_MARK_OPENED | CHILD);
		assert_int_equal(read.sent.seq, 0x100000003);
		assert_int_equal(read.heard.seq, 0x200000004);
		assert_int_equal(read.heard.packets, 10);
		assert_int_equal(read.sent.bytes, 1000);
	}
	/* cut short, and of another kind */
	message(XFRM_MSG_NEWSA, sizeof(info) - 8);
	assert_int_equal(xfrm_read_state(nlh, &read), -EBADMSG);
	message(XFRM_MSG_DELSA, sizeof(struct xfrm_usersa_id));
	mnl_attr_put(nlh, XFRMA_SA, sizeof(info) - 8, &info);
	mnl_attr_put(nlh, XFRMA_REPLAY_ESN_VAL, sizeof(replay), &replay);
	assert_int_equal(xfrm_read_state(nlh, &read), -EBADMSG);
	message(XFRM_MSG_UPDSA, sizeof(info));
	mnl_attr_put(nlh, XFRMA_REPLAY_ESN_VAL, sizeof(replay), &replay);
	assert_int_equal(xfrm_read_state(nlh, &read), -EBADMSG);
}

static void news_of_expiry(void **state)
{
	struct xfrm_user_expire *expire = message(XFRM_MSG_EXPIRE, sizeof(*expire));
	struct xfrm_news news;

	expire->hard = 1;
	expire->state.reqid = XIPSEC_MARK_XFRM | INDEX;
	expire->state.id.spi = htonl(0x1001);
	expire->state.id.proto = IPPROTO_ESP;
	expire->state.family = AF_INET;
	expire->state.id.daddr.a4 = htonl(0xc0000202);
	expire->state.curlft.packets = 5;
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_HARD);
	assert_int_equal(news.reqid, XIPSEC_MARK_XFRM | INDEX);
	assert_int_equal(news.sa.spi, htonl(0x1001));
	assert_int_equal(news.sa.daddr.a4, htonl(0xc0000202));
	assert_int_equal(news.count.packets, 5);
	expire->hard = 0;
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_SOFT);
	((struct nlmsghdr *)buf)->nlmsg_len -= 8;
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_NONE);
}

static void news_of_others(void **state)
{
	struct xfrm_user_tmpl tmpl = {.reqid = XIPSEC_MARK_XFRM | INDEX};
	struct xfrm_mark mark = {.v = XIPSEC_MARK_OPENED | CHILD, .m = 0xffffffff};
	struct xfrm_user_mapping *mapping;
	struct xfrm_usersa_id *id;
	struct xfrm_news news;

	message(XFRM_MSG_ACQUIRE, sizeof(struct xfrm_user_acquire));
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_NONE);
	mnl_attr_put((void *)buf, XFRMA_TMPL, sizeof(tmpl), &tmpl);
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_ACQUIRE);
	assert_int_equal(news.reqid, XIPSEC_MARK_XFRM | INDEX);

	mapping = message(XFRM_MSG_MAPPING, sizeof(*mapping));
	mapping->reqid = XIPSEC_MARK_OPENED | CHILD;
	mapping->new_saddr.a4 = htonl(0xc0000209);
	mapping->new_sport = htons(1024);
	mapping->id.spi = htonl(0x1001);
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_MAPPING);
	assert_int_equal(news.src.word[0], htonl(0xc0000209));
	assert_int_equal(news.src_port, htons(1024));
	assert_int_equal(news.sa.spi, htonl(0x1001));

	message(XFRM_MSG_FLUSHPOLICY, 0);
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_POLICIES_GONE);
	assert_int_equal(news.reqid, 0);
	message(XFRM_MSG_DELPOLICY, sizeof(struct xfrm_userpolicy_id));
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_NONE); /* without a mark it is not ours */
	mnl_attr_put((void *)buf, XFRMA_MARK, sizeof(mark), &mark);
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_POLICIES_GONE);
	assert_int_equal(news.reqid, XIPSEC_MARK_OPENED | CHILD);

	message(XFRM_MSG_DELPOLICY, sizeof(struct xfrm_userpolicy_id)); /* a tunnel's */
	mnl_attr_put((void *)buf, XFRMA_TMPL, sizeof(tmpl), &tmpl);
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_POLICIES_GONE);
	assert_int_equal(news.reqid, XIPSEC_MARK_XFRM | INDEX);

	message(XFRM_MSG_FLUSHSA, sizeof(struct xfrm_usersa_flush));
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_SAS_GONE);
	assert_int_equal(news.sa.proto, 0);
	id = message(XFRM_MSG_DELSA, sizeof(*id));
	id->spi = htonl(0x1001);
	id->proto = IPPROTO_ESP;
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_SAS_GONE);
	assert_int_equal(news.sa.spi, htonl(0x1001));
	message(XFRM_MSG_DELSA, sizeof(*id) - 4);
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_NONE);

	message(XFRM_MSG_NEWPOLICY, 400);
	xfrm_read_news((void *)buf, &news);
	assert_int_equal(news.kind, XFRM_NEWS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sa_header),
		cmocka_unit_test(sa_fields),
		cmocka_unit_test(inbound_marks_what_it_opens),
		cmocka_unit_test(outbound_options),
		cmocka_unit_test(aeads),
		cmocka_unit_test(pairs),
		cmocka_unit_test(ah_is_aligned_as_the_rfc_says),
		cmocka_unit_test(numbers),
		cmocka_unit_test(policies),
		cmocka_unit_test(policies_of_this_host),
		cmocka_unit_test(policies_of_a_tunnel),
		cmocka_unit_test(counters),
		cmocka_unit_test(numbers_of_a_state),
		cmocka_unit_test(news_of_expiry),
		cmocka_unit_test(news_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
