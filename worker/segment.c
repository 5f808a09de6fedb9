// SPDX-License-Identifier: BSD-2-Clause
#include "worker/segment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/checksum.h"
#include "xipsec/maps.h"

/* Since Linux 6.2; older headers do not know it. */
#define GSO_UDP_L4 5

#define IP4_LEN   20
#define IP4_TOTAL 2
#define IP4_ID    4
#define IP4_CHECK 10
#define IP6_LEN   40
#define IP6_PLEN  4
#define TCP_SEQ   4
#define TCP_DOFF  12
#define TCP_FLAGS 13
#define TCP_CHECK 16
#define TCP_FIN   0x01
#define TCP_PSH   0x08
#define TCP_CWR   0x80
#define UDP_HEAD  8
#define UDP_TOTAL 4
#define UDP_CHECK 6

static void put_be16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static __u32 get_be16(const __u8 *at)
{
	return (__u32)(at[0] << 8 | at[1]);
}

/* ------------------------------------------------------------------ checksums */

/* Both are the same number; 0 means "none" to UDP. */
static void put_check(__u8 *at, __u64 sum)
{
	__u16 check = (__u16)~csum_fold(sum);

	if (!check)
		check = 0xffff;
	memcpy(at, &check, sizeof(check));
}

/* As the header says, whatever the packet looks like: the field holds what belongs to the sum from
 * outside of csum_start to the end. */
static int complete(const struct virtio_net_hdr *hdr, __u32 l3_off, __u8 *data, __u32 len)
{
	__u32 start = hdr->csum_start - l3_off, at = start + hdr->csum_offset;

	if (hdr->csum_start < l3_off + IP4_LEN || at + 2 > len)
		return -EINVAL;
	put_check(data + at, csum_add(0, data + start, len - start));
	return 0;
}

/* ------------------------------------------------------------------ setting up */

/* Which protocol the header wants to see cut: 0, IPPROTO_TCP or IPPROTO_UDP; -EINVAL. */
static int wanted(const struct virtio_net_hdr *hdr, const struct inner *inner)
{
	__u8 type = hdr->gso_type & (__u8)~VIRTIO_NET_HDR_GSO_ECN;
	__u8 family = inner->family;
	int proto;

	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return 0;
	if ((type == VIRTIO_NET_HDR_GSO_TCPV4 && family == XIPSEC_FAMILY_IP4) ||
	    (type == VIRTIO_NET_HDR_GSO_TCPV6 && family == XIPSEC_FAMILY_IP6))
		proto = IPPROTO_TCP;
	else if (type == GSO_UDP_L4)
		proto = IPPROTO_UDP;
	else
		return -EINVAL;
	/* The checksums of segments are made anew: it must be known that this one was open. */
	if (inner->l4_proto != proto || !hdr->gso_size ||
	    !(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return -EINVAL;
	return proto;
}

static bool can_cut(const struct inner *inner)
{
	return !inner->opaque && !(inner->flags & INNER_FRAG);
}

static __u32 check_off(__u8 l4_proto)
{
	return l4_proto == IPPROTO_TCP ? TCP_CHECK : UDP_CHECK;
}

/* Its own pseudo-header's sum, as it stands in the field of a checksum that is open, without the
 * length. */
static __u64 stated_sum(const __u8 *data, const struct inner *inner)
{
	__u16 field;

	memcpy(&field, data + inner->l4_off + check_off(inner->l4_proto), sizeof(field));
	return (__u64)field + (__u16)~htons((__u16)(inner->len - inner->l4_off));
}

/* Of addresses and protocol. Behind a routing header the last destination counts, which is not the
 * one that stands in front (RFC 8200 8.1): there the sender's word is taken. */
static __u64 pseudo_sum(const __u8 *data, const struct inner *inner)
{
	if (inner->flags & INNER_ROUTED)
		return stated_sum(data, inner);
	return csum_pseudo(data, inner->l4_proto, 0);
}

static void describe(struct segments *s, const __u8 *data, const struct inner *inner, __u32 size)
{
	__u32 l4_len = inner->l4_proto == IPPROTO_TCP ? (data[inner->l4_off + TCP_DOFF] >> 4) * 4u
						      : UDP_HEAD;

	*s = (struct segments){
		.data = data,
		.head = inner->l4_off + l4_len,
		.payload = inner->len - inner->l4_off - l4_len,
		.size = size,
		.pseudo = pseudo_sum(data, inner),
		.l4_off = inner->l4_off,
		.family = inner->family,
		.l4_proto = inner->l4_proto,
	};
}

int segments_start(const struct virtio_net_hdr *hdr, __u32 l3_off, __u8 *data,
		   const struct inner *inner, __u32 max, struct segments *out)
{
	bool open = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	int proto = wanted(hdr, inner);
	__u32 size = hdr->gso_size;

	if (proto < 0 || (proto && !can_cut(inner)))
		return -EINVAL;
	/* In one piece and too long: ICMP tells its sender, who will learn from it. */
	if (!proto)
		return open ? complete(hdr, l3_off, data, inner->len) : 0;
	describe(out, data, inner, size);
	if (proto == IPPROTO_UDP)
		return 1;
	if (out->head >= max)
		return -EMSGSIZE;
	if (out->size > max - out->head)
		out->size = max - out->head;
	return 1;
}

__u32 segments_longest(const struct segments *s)
{
	return s->head + (s->payload < s->size ? s->payload : s->size);
}

/* ------------------------------------------------------------------ one segment */

static void finish_ip(const struct segments *s, __u8 *ip, __u32 len)
{
	__u16 check = 0;

	if (s->family == XIPSEC_FAMILY_IP6) {
		put_be16(ip + IP6_PLEN, len - IP6_LEN);
		return;
	}
	put_be16(ip + IP4_TOTAL, len);
	put_be16(ip + IP4_ID, get_be16(ip + IP4_ID) + s->n);
	memcpy(ip + IP4_CHECK, &check, 2);
	check = (__u16)~csum_fold(csum_add(0, ip, (ip[0] & 0xf) * 4u));
	memcpy(ip + IP4_CHECK, &check, 2);
}

/* RFC 793 for the numbers; FIN and PSH belong to the end, CWR (RFC 3168 6.1.2) to the first. */
static void finish_tcp(const struct segments *s, __u8 *tcp, bool last)
{
	__be32 seq_be;

	memcpy(&seq_be, tcp + TCP_SEQ, 4);
	seq_be = htonl(ntohl(seq_be) + s->done);
	memcpy(tcp + TCP_SEQ, &seq_be, 4);
	if (!last)
		tcp[TCP_FLAGS] &= (__u8) ~(TCP_FIN | TCP_PSH);
	if (s->n)
		tcp[TCP_FLAGS] &= (__u8)~TCP_CWR;
}

__u32 segments_next(struct segments *s, __u8 *to)
{
	__u32 left = s->payload - s->done, take = left < s->size ? left : s->size;
	__u32 len = s->head + take, l4_len = len - s->l4_off, check;
	__u8 *l4 = to + s->l4_off;

	if (s->n && !left)
		return 0;
	memcpy(to, s->data, s->head);
	memcpy(to + s->head, s->data + s->head + s->done, take);
	finish_ip(s, to, len);
	if (s->l4_proto == IPPROTO_TCP)
		finish_tcp(s, l4, take == left);
	else
		put_be16(l4 + UDP_TOTAL, l4_len);
	check = check_off(s->l4_proto);
	memset(l4 + check, 0, 2);
	put_check(l4 + check, csum_add(s->pseudo + htons((__u16)l4_len), l4, l4_len));
	s->done += take;
	s->n++;
	return len;
}
