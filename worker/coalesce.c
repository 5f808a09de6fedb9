// SPDX-License-Identifier: BSD-2-Clause
#include "worker/coalesce.h"

#include <netinet/in.h>
#include <string.h>

#include "worker/checksum.h"
#include "xipsec/maps.h"

#define IP4_LEN   20
#define IP6_LEN   40
#define IP_MAX    65535
#define TCP_LEN   20
#define TCP_SEQ   4
#define TCP_ACK   8
#define TCP_DOFF  12
#define TCP_FLAGS 13
#define TCP_CHECK 16
#define FLAG_PSH  0x08
#define FLAG_ACK  0x10

static __u32 be16_at(const __u8 *at)
{
	return (__u32)(at[0] << 8 | at[1]);
}

static __u32 be32_at(const __u8 *at)
{
	return be16_at(at) << 16 | be16_at(at + 2);
}

static void put_be16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

/* Where its TCP header stands; 0: it has none right behind a plain IP header, is a fragment, or a
 * checksum or a length does not hold. */
static __u16 plain_tcp(const struct packet *p)
{
	const __u8 *ip = p->data;
	__u32 at, l4_len;

	if (p->len < IP4_LEN + TCP_LEN)
		return 0;
	if (p->family == XIPSEC_FAMILY_IP4) {
		at = IP4_LEN;
		if (ip[0] != 0x45 || ip[9] != IPPROTO_TCP || (be16_at(ip + 6) & 0x3fff) ||
		    be16_at(ip + 2) != p->len || csum_fold(csum_add(0, ip, IP4_LEN)) != 0xffff)
			return 0;
	} else {
		at = IP6_LEN;
		if (ip[0] >> 4 != 6 || ip[6] != IPPROTO_TCP || p->len < IP6_LEN + TCP_LEN ||
		    be16_at(ip + 4) != p->len - IP6_LEN)
			return 0;
	}
	l4_len = p->len - at;
	if (!(p->flags & PACKET_SUM) &&
	    csum_fold(csum_add(csum_pseudo(ip, IPPROTO_TCP, l4_len), ip + at, l4_len)) != 0xffff)
		return 0;
	return (__u16)at;
}

/* Data and an acknowledgement, nothing that asks for more than to be counted. */
static bool is_stream(const __u8 *tcp, __u32 l4_len)
{
	__u32 head = (tcp[TCP_DOFF] >> 4) * 4u;

	return head >= TCP_LEN && head < l4_len && !(tcp[TCP_DOFF] & 0x0f) &&
	       (tcp[TCP_FLAGS] & ~FLAG_PSH) == FLAG_ACK;
}

bool coalesce_start(struct coalesce *c, struct packet *p)
{
	const __u8 *tcp;
	__u16 at;

	c->n = 0;
	at = plain_tcp(p);
	tcp = p->data + at;
	if (!at || !is_stream(tcp, p->len - at) || (tcp[TCP_FLAGS] & FLAG_PSH))
		return false;
	*c = (struct coalesce){
		.first = p,
		.n = 1,
		.len = p->len,
		.head = at + (tcp[TCP_DOFF] >> 4) * 4u,
		.tcp = at,
	};
	c->size = p->len - c->head;
	c->seq = be32_at(tcp + TCP_SEQ) + c->size;
	return true;
}

/* All that one IP header would say of both. */
static bool same_ip(const struct coalesce *c, const __u8 *a, const __u8 *b)
{
	if (c->tcp == IP6_LEN)
		return !memcmp(a, b, 4) && !memcmp(a + 6, b + 6, IP6_LEN - 6);
	/* An ID that must not be cut by is of no meaning (RFC 6864). */
	if (!(a[6] & 0x40) && be16_at(b + 4) != (__u16)(be16_at(a + 4) + c->n))
		return false;
	return a[1] == b[1] && !memcmp(a + 6, b + 6, 4) && !memcmp(a + 12, b + 12, 8);
}

/* Ports, acknowledged number, flags but PSH, window, options. */
static bool same_tcp(const struct coalesce *c, const __u8 *a, const __u8 *b)
{
	return !memcmp(a, b, 4) && !memcmp(a + TCP_ACK, b + TCP_ACK, 5) &&
	       !((a[TCP_FLAGS] ^ b[TCP_FLAGS]) & ~FLAG_PSH) && !memcmp(a + 14, b + 14, 2) &&
	       !memcmp(a + 18, b + 18, c->head - c->tcp - 18);
}

bool coalesce_add(struct coalesce *c, const struct packet *p)
{
	const __u8 *was = c->first->data, *tcp = p->data + c->tcp;
	__u32 size = p->len - c->head;

	if (!c->n || c->full || p->len <= c->head || size > c->size || c->len + size > IP_MAX ||
	    p->family != c->first->family || be32_at(tcp + TCP_SEQ) != c->seq ||
	    !same_ip(c, was, p->data) || !same_tcp(c, was + c->tcp, tcp) || plain_tcp(p) != c->tcp)
		return false;
	c->n++;
	c->len += size;
	c->seq += size;
	c->full = size < c->size || (tcp[TCP_FLAGS] & FLAG_PSH);
	return true;
}

void coalesce_finish(struct coalesce *c, const struct packet *last, __u32 l3_off,
		     struct virtio_net_hdr *hdr)
{
	__u8 *ip = c->first->data, *tcp = ip + c->tcp;
	__u16 check = 0;

	tcp[TCP_FLAGS] |= last->data[c->tcp + TCP_FLAGS] & FLAG_PSH;
	if (c->tcp == IP6_LEN) {
		put_be16(ip + 4, c->len - IP6_LEN);
	} else {
		put_be16(ip + 2, c->len);
		memcpy(ip + 10, &check, 2);
		check = (__u16)~csum_fold(csum_add(0, ip, IP4_LEN));
		memcpy(ip + 10, &check, 2);
	}
	/* The rest of the sum is left to whoever cuts it, if anybody does. */
	check = csum_fold(csum_pseudo(ip, IPPROTO_TCP, c->len - c->tcp));
	memcpy(tcp + TCP_CHECK, &check, 2);
	*hdr = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = c->tcp == IP6_LEN ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (__u16)(l3_off + c->head),
		.gso_size = (__u16)c->size,
		.csum_start = (__u16)(l3_off + c->tcp),
		.csum_offset = TCP_CHECK,
	};
}
