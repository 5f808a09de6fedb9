// SPDX-License-Identifier: BSD-2-Clause
#include "worker/outer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "worker/checksum.h"

#define IP4_LEN 20
#define IP6_LEN 40

static void outer_write_ip4(const struct outer *outer, __u8 *to, __u32 total, __u8 tos, __u16 id)
{
	__be16 total_be = htons((__u16)total), id_be = htons(id), tos_be = htons(tos);
	__u16 check = (__u16)~csum_fold((__u64)outer->sum + total_be + id_be + tos_be);

	memcpy(to, outer->header, IP4_LEN);
	to[1] = tos;
	memcpy(to + 2, &total_be, 2);
	memcpy(to + 4, &id_be, 2);
	memcpy(to + 10, &check, 2);
}

static void outer_write_ip6(const struct outer *outer, __u8 *to, __u32 total, __u8 tos, __u16 id)
{
	__be16 payload_be = htons((__u16)(total - IP6_LEN));

	memcpy(to, outer->header, IP6_LEN);
	to[0] = (__u8)(0x60 | tos >> 4);
	to[1] = (__u8)(tos << 4);
	memcpy(to + 4, &payload_be, 2);
}

static void outer_init_ip4(struct outer *outer, const struct xipsec_addr *src,
			   const struct xipsec_addr *dst, __u8 l4_proto)
{
	__u8 *header = outer->header;

	header[0] = 0x45;
	header[6] = 0x40; /* DF */
	header[8] = OUTER_TTL;
	header[9] = l4_proto;
	memcpy(header + 12, src->byte, 4);
	memcpy(header + 16, dst->byte, 4);
	outer->len = IP4_LEN;
	outer->sum = csum_fold(csum_add(0, header, IP4_LEN));
	outer->write = outer_write_ip4;
}

static void outer_init_ip6(struct outer *outer, const struct xipsec_addr *src,
			   const struct xipsec_addr *dst, __u8 l4_proto)
{
	__u8 *header = outer->header;

	header[0] = 0x60;
	header[6] = l4_proto;
	header[7] = OUTER_TTL;
	memcpy(header + 8, src->byte, 16);
	memcpy(header + 24, dst->byte, 16);
	outer->len = IP6_LEN;
	outer->write = outer_write_ip6;
}

int outer_init(struct outer *outer, __u8 family, const struct xipsec_addr *src,
	       const struct xipsec_addr *dst, __u8 l4_proto)
{
	if (family != XIPSEC_FAMILY_IP4 && family != XIPSEC_FAMILY_IP6)
		return -EINVAL;
	memset(outer, 0, sizeof(*outer));
	if (family == XIPSEC_FAMILY_IP4)
		outer_init_ip4(outer, src, dst, l4_proto);
	else
		outer_init_ip6(outer, src, dst, l4_proto);
	return 0;
}
