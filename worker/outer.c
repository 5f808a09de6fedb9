// SPDX-License-Identifier: BSD-2-Clause
#include "worker/outer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include "worker/checksum.h"

#define IP4_LEN   20
#define IP6_LEN   40
#define UDP_CHECK 6

static _Thread_local struct {
	__u16 last, step;
} ids = {.step = 1};

void outer_ids(__u32 number, __u32 workers)
{
	__u16 start = 0;

	ids.step = 1;
	while (ids.step < workers)
		ids.step = (__u16)(ids.step << 1);
	/* Where nothing is random yet they begin at 0, and still differ. */
	if (getrandom(&start, sizeof(start), GRND_NONBLOCK) < 0)
		start = 0;
	ids.last = (__u16)(start * ids.step + number);
}

__u16 outer_next_id(void)
{
	ids.last = (__u16)(ids.last + ids.step);
	return ids.last;
}

static __u32 outer_tos(const struct outer *outer, const struct shown *shown)
{
	return (shown->tos & outer->tos_mask) | outer->tos_set;
}

/* Three words made in registers: fewer stores than to patch a copy of the template. */
void outer_write_ip4(const struct outer *outer, __u8 *to, __u32 total, const struct shown *shown,
		     __u16 id)
{
	__u32 df = outer->df_set | (shown->df & outer->df_copy);
	__u32 tos = outer_tos(outer, shown);
	__u16 check = (__u16)~csum_fold32(outer->sum + tos + total + id + df);
	__be32 first = htonl(0x45000000u | tos << 16 | total), second = htonl((__u32)id << 16 | df);
	__be32 third = htonl(outer->ttl_next | check);

	memcpy(to, &first, 4);
	memcpy(to + 4, &second, 4);
	memcpy(to + 8, &third, 4);
	memcpy(to + 12, outer->header + 12, 8);
}

void outer_write_ip6(const struct outer *outer, __u8 *to, __u32 total, const struct shown *shown,
		     __u16 id)
{
	__u32 tos = outer_tos(outer, shown);
	__be32 first = htonl(0x60000000u | tos << 20 | (shown->flow & outer->flow_mask));
	__be32 second = htonl((total - IP6_LEN) << 16 | outer->ttl_next);

	memcpy(to, &first, 4);
	memcpy(to + 4, &second, 4);
	memcpy(to + 8, outer->header + 8, 32);
}

void outer_write_udp(const struct outer *outer, __u8 *to, __u32 total)
{
	__be16 len_be = htons((__u16)total);

	memcpy(to, outer->header + outer->ip_len, OUTER_UDP);
	memcpy(to + 4, &len_be, 2);
}

void outer_write_ip4_udp(const struct outer *outer, __u8 *to, __u32 total,
			 const struct shown *shown, __u16 id)
{
	outer_write_ip4(outer, to, total, shown, id);
	outer_write_udp(outer, to + IP4_LEN, total - IP4_LEN);
}

void outer_write_ip6_udp(const struct outer *outer, __u8 *to, __u32 total,
			 const struct shown *shown, __u16 id)
{
	outer_write_ip6(outer, to, total, shown, id);
	outer_write_udp(outer, to + IP6_LEN, total - IP6_LEN);
}

/* RFC 8200 8.1: the pseudo-header has the final destination, which a routing header with segments
 * left holds: as its last address (types 0 and 2), or as its first (type 4, RFC 8754 2). Headers in
 * front of UDP stand there in transport mode alone, and have been parsed. */
static const __u8 *final_dst(const __u8 *data, __u32 udp_off)
{
	const __u8 *ext = data + IP6_LEN;
	__u8 next = data[6];

	while (ext + 8 <= data + udp_off) {
		__u32 n = ext[1] / 2u, len = next == IPPROTO_FRAGMENT ? 8 : 8 + ext[1] * 8u;

		if (next == IPPROTO_ROUTING && ext[3] && n && ext + len <= data + udp_off) {
			if (ext[2] == 4)
				return ext + 8;
			if (ext[2] == 0 || ext[2] == 2)
				return ext + 8 + 16 * (n - 1);
		}
		next = ext[0];
		ext += len;
	}
	return data + 24;
}

void outer_finish_udp6(__u8 *data, __u32 udp_off, __u32 len)
{
	__u64 sum = htonl(len - udp_off + IPPROTO_UDP);
	__u16 check;

	/* The addresses stand before UDP, and are summed with it. */
	if (__builtin_expect(udp_off == IP6_LEN, 1)) {
		sum = csum_add(sum, data + 8, len - 8);
	} else {
		sum = csum_add(sum, data + 8, 16);
		sum = csum_add(sum, final_dst(data, udp_off), 16);
		sum = csum_add(sum, data + udp_off, len - udp_off);
	}
	check = (__u16)~csum_fold(sum);
	if (!check)
		check = 0xffff;
	memcpy(data + udp_off + UDP_CHECK, &check, 2);
}

static void outer_init_ip4(struct outer *outer, const struct xipsec_sa *sa, __u8 next)
{
	__u8 *header = outer->header;

	header[0] = 0x45;
	header[8] = sa->ttl ? sa->ttl : OUTER_TTL;
	header[9] = next;
	memcpy(header + 12, sa->src.byte, 4);
	memcpy(header + 16, sa->dst.byte, 4);
	outer->ip_len = IP4_LEN;
	outer->ttl_next = (__u32)header[8] << 24 | (__u32)next << 16;
	outer->sum = ntohs(csum_fold(csum_add(0, header, IP4_LEN)));
	outer->df_set = sa->df == XIPSEC_DF_SET ? OUTER_DF : 0;
	outer->df_copy = sa->df == XIPSEC_DF_COPY ? OUTER_DF : 0;
}

static void outer_init_ip6(struct outer *outer, const struct xipsec_sa *sa, __u8 next)
{
	__u8 *header = outer->header;

	header[0] = 0x60;
	header[6] = next;
	header[7] = sa->ttl ? sa->ttl : OUTER_TTL;
	memcpy(header + 8, sa->src.byte, 16);
	memcpy(header + 24, sa->dst.byte, 16);
	outer->ip_len = IP6_LEN;
	outer->ttl_next = (__u32)next << 8 | header[7];
	outer->flow_mask = sa->flags & XIPSEC_SA_FLOW_COPY ? 0xfffff : 0;
}

int outer_init(struct outer *outer, const struct xipsec_sa *sa)
{
	const int udp = !!(sa->flags & XIPSEC_SA_UDP);
	__u8 next = udp ? IPPROTO_UDP : sa->l4_proto;

	memset(outer, 0, sizeof(*outer));
	if (sa->outer_family == XIPSEC_FAMILY_IP4) {
		outer_init_ip4(outer, sa, next);
		outer->write = udp ? outer_write_ip4_udp : outer_write_ip4;
	} else if (sa->outer_family == XIPSEC_FAMILY_IP6) {
		outer_init_ip6(outer, sa, next);
		outer->write = udp ? outer_write_ip6_udp : outer_write_ip6;
	} else {
		return -EINVAL;
	}
	outer->len = outer->ip_len + (udp ? OUTER_UDP : 0);
	memcpy(outer->header + outer->ip_len, &sa->src_port, 2);
	memcpy(outer->header + outer->ip_len + 2, &sa->dst_port, 2);
	outer->tos_mask = (sa->flags & XIPSEC_SA_DSCP ? 0 : 0xfcu) |
			  (sa->flags & XIPSEC_SA_NO_ECN ? 0 : 0x03u);
	outer->tos_set = sa->flags & XIPSEC_SA_DSCP ? (__u8)(sa->dscp << 2) : 0;
	return 0;
}
